//! What a long step shows while it runs.

use std::io::Write as _;
use std::process::Stdio;

/// Whether long steps are shown on standard error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Steps, and the output of cargo and pip.
    Shown,
    /// Nothing: tests, and output that a program reads.
    Quiet,
}

impl Progress {
    /// Says what happens now.
    pub fn step(self, text: &str) {
        if self == Self::Shown {
            // A closed standard error is no reason to stop.
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
