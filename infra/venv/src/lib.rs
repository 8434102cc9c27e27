//! Tools that are Python packages: installed once into a virtual environment, pinned with their hashes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why there is no such environment.
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
    /// Python cannot be started, or failed; what it printed stands above.
    #[error("{what} failed: {reason}")]
    Python {
        /// What it was to do.
        what: String,
        /// Why.
        reason: String,
    },
}

/// A virtual environment of Python.
#[derive(Clone, Debug)]
pub struct Venv {
    folder: PathBuf,
}

impl Venv {
    /// The environment in this folder, with exactly these requirements: made anew if it is not there, or holds others.
    pub fn ready(folder: &Path, requirements: &Path) -> Result<Self, Error> {
        let file = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { path, source }
        };
        let wanted = std::fs::read_to_string(requirements).map_err(file(requirements))?;
        let venv = Self { folder: folder.to_owned() };
        let done = folder.join("installed.txt");
        if std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
            return Ok(venv);
        }
        let name = folder.display();
        let mut make = Command::new("python3");
        make.args(["-m", "venv", "--clear"]).arg(folder);
        run(&mut make, format!("making {name} with python3 and its venv"))?;
        let mut fill = Command::new(venv.python());
        fill.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"]);
        fill.args(["--progress-bar=off", "--require-hashes", "--requirement"]).arg(requirements);
        run(&mut fill, format!("installing {} into {name}", requirements.display()))?;
        std::fs::write(&done, wanted).map_err(file(&done))?;
        Ok(venv)
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

/// Runs a program whose messages people see, on standard error.
fn run(command: &mut Command, what: String) -> Result<(), Error> {
    match command.stdin(Stdio::null()).stdout(std::io::stderr()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::Python { what, reason: status.to_string() }),
        Err(error) => Err(Error::Python { what, reason: error.to_string() }),
    }
}
