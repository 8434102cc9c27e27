//! Errors, each printed on one line.

use std::path::{Path, PathBuf};

/// Why the comparison failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file or folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// A port, a certificate or a program on this machine failed.
    #[error("{what}: {reason}")]
    Machine {
        /// The operation that failed.
        what: String,
        reason: String,
    },
    /// A contender did not start, exited, or did not answer in time.
    #[error("{contender} {what}; the last line of its log: {log}")]
    Contender {
        contender: String,
        what: String,
        /// The last line that it printed.
        log: String,
    },
    /// A contender's answer is wrong, so its figures are meaningless.
    #[error("{contender} returned a wrong answer: {what}")]
    Wrong { contender: String, what: String },
    /// A signal stopped the program.
    #[error("stopped: no process is left running")]
    Stopped,
}

/// A result with this crate's error.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// For `map_err` on file operations.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    /// For `map_err` on other operations of this machine.
    pub(crate) fn machine<E: std::fmt::Display>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |error| Self::Machine { what, reason: error.to_string() }
    }
}
