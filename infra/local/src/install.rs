//! The emulator, installed once per checkout into `.local/venv`. Every package is pinned with its
//! hashes.

use std::path::PathBuf;

use crate::program::run;
use crate::{Checkout, Error, Progress, Result};

/// The installed emulator, with the AWS CLI and the Python interpreter for the scripts.
#[derive(Clone, Debug)]
pub struct Installation {
    folder: PathBuf,
}

impl Installation {
    /// Installs the emulator if needed. Several processes may call this at the same time.
    pub async fn ready(checkout: &Checkout, progress: Progress) -> Result<Self> {
        let local = checkout.local_folder()?;
        let installation = Self { folder: local.join("venv") };
        let lock_path = local.join("venv.lock");
        let lock = std::fs::File::create(&lock_path).map_err(Error::file(&lock_path))?;
        lock.lock().map_err(Error::file(&lock_path))?;
        let requirements = checkout.emulator_folder().join("requirements.txt");
        let wanted = std::fs::read_to_string(&requirements).map_err(Error::file(&requirements))?;
        let installed = std::fs::read_to_string(installation.folder.join("installed.txt"));
        if installed.is_ok_and(|installed| installed == wanted) {
            return Ok(installation);
        }
        progress.step("Installing the AWS emulator into .local/venv (only once, about 300 MB) …");
        let arguments = [installation.folder.as_ref(), requirements.as_ref()];
        let script = checkout.root().join("infra/venv");
        run(script, &arguments, progress.stderr(), "installing the AWS emulator").await?;
        Ok(installation)
    }

    /// The Python interpreter.
    #[must_use]
    pub fn python(&self) -> PathBuf {
        self.folder.join("bin/python")
    }

    /// The AWS CLI.
    #[must_use]
    pub fn aws(&self) -> PathBuf {
        self.folder.join("bin/aws")
    }
}
