//! Tools that are Python packages, in a virtual environment that `infra/venv` makes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A virtual environment of Python.
#[derive(Clone, Debug)]
pub struct Venv {
    folder: PathBuf,
}

impl Venv {
    /// The environment in this folder with exactly these requirements; installed if need be.
    ///
    /// # Errors
    ///
    /// Where it cannot be; standard error has the reason.
    pub fn ready(root: &Path, folder: &Path, requirements: &Path) -> std::io::Result<Self> {
        let mut install = Command::new(root.join("infra/venv"));
        install.arg(folder).arg(requirements).stdin(Stdio::null()).stdout(std::io::stderr());
        match install.status()? {
            status if status.success() => Ok(Self { folder: folder.to_owned() }),
            status => Err(std::io::Error::other(status.to_string())),
        }
    }

    /// Where its programs are.
    #[must_use]
    pub fn bin(&self) -> PathBuf {
        self.folder.join("bin")
    }

    /// Its Python.
    #[must_use]
    pub fn python(&self) -> PathBuf {
        self.bin().join("python3")
    }

    /// A search path on which its programs come first.
    #[must_use]
    pub fn path(&self) -> OsString {
        let rest = std::env::var_os("PATH").unwrap_or_default();
        let all = std::iter::once(self.bin()).chain(std::env::split_paths(&rest));
        // A folder with a colon in its name cannot be on a search path: the rest of it still can.
        std::env::join_paths(all).unwrap_or(rest)
    }
}
