//! What can go wrong, each in one line that says what to do.

use std::fmt::Display;
use std::path::PathBuf;

/// Why the local stack could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program that was started could not be, or failed.
    #[error("{what} failed: {reason}")]
    Program {
        /// What it was to do.
        what: String,
        /// Its last line of output.
        reason: String,
    },
    /// A chosen port belongs to another program.
    #[error("{0}; stop what uses it, or choose another port (cargo local up --help)")]
    Port(String),
    /// The emulator did not come up, or ended.
    #[error("the AWS emulator does not run: {reason} (its log: {})", log.display())]
    Emulator {
        /// What was seen of it.
        reason: String,
        /// Where the rest stands.
        log: PathBuf,
    },
    /// The emulator or the deployed service answered something else than expected.
    #[error("{what}: {reason}")]
    Answer {
        /// What was asked.
        what: String,
        /// What came back.
        reason: String,
    },
    /// A file of the local stack could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What was asked does not fit the state of the local stack.
    #[error("{0}")]
    State(String),
}

/// The result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    pub(crate) fn answer(what: impl Into<String>, reason: &dyn Display) -> Self {
        Self::Answer { what: what.into(), reason: reason.to_string() }
    }
}
