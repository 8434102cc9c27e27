//! The emulator, installed once per checkout into `.local/venv`, every package pinned with its hashes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::program::run;
use crate::{Checkout, Error, Progress, Result};

/// Tried in this order; the first that is new enough is used.
const PYTHONS: [&str; 7] =
    ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python"];

/// Prints nothing and fails unless this Python can make a virtual environment and is new enough for the emulator.
const CHECK: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))";

/// Where the emulator, the AWS CLI and the scripts' Python are.
#[derive(Clone, Debug)]
pub struct Installation {
    folder: PathBuf,
}

impl Installation {
    /// Installs what is not there yet; several processes may ask at once.
    pub async fn ready(checkout: &Checkout, progress: Progress) -> Result<Self> {
        let local = checkout.local_folder()?;
        let installation = Self { folder: local.join("venv") };
        let lock_path = local.join("venv.lock");
        let lock = std::fs::File::create(&lock_path).map_err(Error::file(&lock_path))?;
        lock.lock().map_err(Error::file(&lock_path))?;
        let requirements = checkout.emulator_folder().join("requirements.txt");
        let wanted = read(&requirements)?;
        let done = installation.folder.join("installed.txt");
        if std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
            return Ok(installation);
        }
        progress.step("Installing the AWS emulator into .local/venv (once, about 300 MB) …");
        let python = find_python().await?;
        installation.install(python, &requirements, progress).await?;
        std::fs::write(&done, wanted).map_err(Error::file(&done))?;
        Ok(installation)
    }

    /// Its Python.
    #[must_use]
    pub fn python(&self) -> PathBuf {
        self.folder.join("bin/python")
    }

    /// The AWS CLI.
    #[must_use]
    pub fn aws(&self) -> PathBuf {
        self.folder.join("bin/aws")
    }

    async fn install(&self, python: &OsStr, requirements: &Path, progress: Progress) -> Result<()> {
        let make: [&OsStr; 4] = ["-m".as_ref(), "venv".as_ref(), "--clear".as_ref(), self.folder.as_ref()];
        run(python, &make, Stdio::piped(), "making .local/venv").await?;
        let fill: [&OsStr; 10] = [
            "-m".as_ref(),
            "pip".as_ref(),
            "install".as_ref(),
            "--disable-pip-version-check".as_ref(),
            "--no-input".as_ref(),
            "--quiet".as_ref(),
            "--progress-bar=off".as_ref(),
            "--require-hashes".as_ref(),
            "--requirement".as_ref(),
            requirements.as_ref(),
        ];
        run(self.python(), &fill, progress.stderr(), "installing the AWS emulator").await?;
        Ok(())
    }
}

async fn find_python() -> Result<&'static OsStr> {
    for name in PYTHONS {
        let arguments = ["-c".as_ref(), CHECK.as_ref()];
        if run(name, &arguments, Stdio::piped(), name).await.is_ok() {
            return Ok(name.as_ref());
        }
    }
    Err(Error::Python(
        "no Python 3.10 or later with venv was found; install it (Debian and Ubuntu: apt install python3 python3-venv)"
            .to_owned(),
    ))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(Error::file(path))
}
