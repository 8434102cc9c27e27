//! What can go wrong, in one line that says what to do.

use std::path::{Path, PathBuf};

/// Why nothing, or not everything, was compared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file or folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Loopback, a certificate or a program of this machine refused.
    #[error("{what}: {reason}")]
    Machine {
        /// What was wanted.
        what: String,
        /// Why it is not to be had.
        reason: String,
    },
    /// A contender did not start, died, or did not answer in time.
    #[error("{contender} {what}; the end of its log: {log}")]
    Contender {
        /// Which.
        contender: String,
        /// What it did.
        what: String,
        /// The last line that it printed.
        log: String,
    },
    /// A contender's answer is not what was asked for: none of its figures counts.
    #[error("{contender} answers wrongly: {what}")]
    Wrong {
        /// Which.
        contender: String,
        /// What is wrong.
        what: String,
    },
    /// Somebody stopped it.
    #[error("stopped: nothing is left running")]
    Stopped,
}

/// The result of everything here.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// For `map_err` on whatever is done with a file.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    /// For `map_err` on whatever else the machine is asked for.
    pub(crate) fn machine<E: std::fmt::Display>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |error| Self::Machine { what, reason: error.to_string() }
    }
}
