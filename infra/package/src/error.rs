//! Errors, each in one line that says what to do.

use std::path::{Path, PathBuf};

/// Why packaging failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Neither the current folder nor this program is in a checkout.
    #[error(
        "{} is not in a checkout of Pipeline Secrets: change to the folder of the checkout, then run the \
         command again",
        current.display()
    )]
    Checkout {
        /// The current folder.
        current: PathBuf,
    },
    /// A program cannot be started or failed; its own messages come first.
    #[error("{what} failed: {reason}")]
    Program {
        /// Its task.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// A program that builds the Nextflow plugin is missing.
    #[error("{program} is not installed: install the Debian package {package}, or another with {program}")]
    Java {
        /// The program.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A jar differs from its pin.
    #[error(
        "{} does not have the SHA-256 digest in infra/nextflow-plugin/jars.sha256: delete the file, then \
         run the command again",
        path.display()
    )]
    Jar {
        /// The file.
        path: PathBuf,
    },
    /// An unknown function.
    #[error("unknown function {name}: the functions are {known}")]
    Function {
        /// The name.
        name: String,
        /// All functions.
        known: String,
    },
    /// Rust's standard library for this target is missing.
    #[error(
        "Rust's target {target} is not installed: run `rustup target add {target}`, or build and deploy \
         for this machine's processor with `--arch {other}`"
    )]
    Target {
        /// The target.
        target: &'static str,
        /// The architecture that can be built.
        other: &'static str,
    },
    /// A program needs a newer C library than Amazon Linux 2023 has.
    #[error("{function} needs GLIBC_2.{minor}, and Amazon Linux 2023 has 2.34")]
    CLibrary {
        /// The function.
        function: String,
        /// The version that it needs.
        minor: u32,
    },
    /// cargo's answer or `Cargo.lock` has an unknown form.
    #[error("the SBOM cannot be made: {0}")]
    Sbom(String),
}

/// The result of packaging.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// For `map_err` on file operations.
    pub fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    pub(crate) fn sbom(error: impl std::fmt::Display) -> Self {
        Self::Sbom(error.to_string())
    }
}
