//! The folders of the checkout that the local stack reads, and the one that it writes.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The checkout that this program was built from.
#[derive(Clone, Debug)]
pub struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// Finds it: two folders above this crate.
    pub fn find() -> Result<Self> {
        let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = crate_folder.join("../..").canonicalize();
        root.map(|root| Self { root }).map_err(Error::file(crate_folder))
    }

    /// The folder with the workspace's `Cargo.toml`.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Everything that the local stack writes: `.local`, readable by its owner alone.
    pub fn local_folder(&self) -> Result<PathBuf> {
        let folder = self.root.join(".local");
        make_private_folder(&folder)?;
        Ok(folder)
    }

    /// The template that is deployed, here as in production.
    #[must_use]
    pub fn template(&self) -> PathBuf {
        self.root.join("infra/template.yaml")
    }

    pub(crate) fn emulator_folder(&self) -> PathBuf {
        self.root.join("infra/local/emulator")
    }

    /// The functions' names, as their folders are called, in alphabetical order.
    pub fn functions(&self) -> Result<Vec<String>> {
        package_functions::functions(&self.root).map_err(Error::file(self.root.join("functions")))
    }
}

/// Makes a folder, and those above it, that only its owner can enter.
pub(crate) fn make_private_folder(folder: &Path) -> Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::file(folder))
}
