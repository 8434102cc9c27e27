//! What can go wrong, in one line that says what to do.

use std::path::{Path, PathBuf};

/// Why nothing was packaged.
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
    /// A program cannot be started, or failed; what it printed stands above.
    #[error("{what} failed: {reason}")]
    Program {
        /// What it was to do.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// There is no such function.
    #[error("there is no function {name}: there are {known}")]
    Function {
        /// The name.
        name: String,
        /// The functions that there are.
        known: String,
    },
    /// Rust cannot build for these processors yet.
    #[error(
        "Rust's target {target} is not installed: run `rustup target add {target}`, or build for this machine's processors \
         with `--arch {other}` and deploy with Architecture={other}"
    )]
    Target {
        /// The target.
        target: &'static str,
        /// What can be built.
        other: &'static str,
    },
    /// A program asks for a newer C library than Amazon Linux 2023 has.
    #[error("{function} needs GLIBC_2.{minor}, and Amazon Linux 2023 has 2.34")]
    CLibrary {
        /// The function.
        function: String,
        /// The version that it needs.
        minor: u32,
    },
}

/// The result of everything here.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// For `map_err` on whatever is done with a file.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}
