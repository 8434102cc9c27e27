//! The errors of the local stack. Each one is printed on one line.

use std::fmt::Display;
use std::path::PathBuf;

/// Why a command of the local stack failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program could not be started, or it failed.
    #[error("{what} failed: {reason}")]
    Program {
        /// The task of the program.
        what: String,
        /// Its last line of output.
        reason: String,
    },
    /// Another program uses a requested port.
    #[error("{0}. Stop the program that uses it, or choose another port (cargo local up --help)")]
    Port(String),
    /// The emulator did not start, or it failed.
    #[error("the AWS emulator failed: {reason}. Its log is {}", log.display())]
    Emulator {
        /// The reason, as far as it is known.
        reason: String,
        /// The path of its log.
        log: PathBuf,
    },
    /// The emulator or the deployed service gave an unexpected response.
    #[error("{what}: {reason}")]
    Answer {
        /// The request or the part of the response.
        what: String,
        /// What is wrong with the response.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The command does not match the state of the local stack.
    #[error("{0}")]
    State(String),
}

/// A result with this [`Error`].
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
