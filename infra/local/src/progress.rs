//! The progress of long steps.

use std::io::Write as _;
use std::process::Stdio;

/// Whether progress is shown on standard error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Shows the steps and the output of cargo and pip.
    Shown,
    /// Shows nothing: for tests, and for output that a program reads.
    Quiet,
}

impl Progress {
    /// Reports the start of a step.
    pub fn step(self, text: &str) {
        if self == Self::Shown {
            // A closed standard error must not stop the command.
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    pub(crate) fn stderr(self) -> Stdio {
        match self {
            Self::Shown => Stdio::inherit(),
            Self::Quiet => Stdio::piped(),
        }
    }
}
