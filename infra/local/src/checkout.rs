//! The folders of the checkout that the local stack reads, and the folder that it writes.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A checkout of this repository.
#[derive(Clone, Debug)]
pub struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// Finds the checkout that contains the current folder, or else the one that contains this
    /// program.
    pub fn find() -> Result<Self> {
        let root = package_functions::checkout().map_err(|error| Error::State(error.to_string()))?;
        Ok(Self { root })
    }

    /// The folder with the workspace's `Cargo.toml`.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder `.local` for everything that the local stack writes. Only its owner can read it.
    pub fn local_folder(&self) -> Result<PathBuf> {
        let folder = self.root.join(".local");
        make_private_folder(&folder)?;
        Ok(folder)
    }

    /// The template that is deployed locally and in production.
    #[must_use]
    pub fn template(&self) -> PathBuf {
        self.root.join("infra/template.yaml")
    }

    pub(crate) fn emulator_folder(&self) -> PathBuf {
        self.root.join("infra/local/emulator")
    }

    /// The names of the functions' folders, in alphabetical order.
    pub fn functions(&self) -> Result<Vec<String>> {
        package_functions::functions(&self.root).map_err(Error::file(self.root.join("functions")))
    }
}

/// Creates a folder and its parents so that only the owner can enter them.
pub(crate) fn make_private_folder(folder: &Path) -> Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::file(folder))
}
