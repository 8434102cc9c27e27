//! Builds the functions for AWS Lambda (`cargo package-functions`), the folder that is released
//! (`cargo package-release`) and the Nextflow plugin (`cargo package-plugin`). The same source
//! gives the same bytes.

mod build;
mod error;
mod links;
mod pack;
mod plugin;
mod release;
mod sbom;
mod venv;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;

pub use error::{Error, Result};
pub use pack::{Packed, Zip};
pub use plugin::{Plugin, PluginOrder, REQUIRES, package_plugin};
pub use release::{Release, assemble};
pub use venv::Venv;

/// A processor architecture that Lambda has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Arch {
    /// AWS Graviton, a fifth cheaper.
    Arm64,
    /// Intel and AMD.
    #[value(name = "x86_64")]
    X86,
}

impl Arch {
    /// Every architecture, in alphabetical order.
    pub const ALL: [Self; 2] = [Self::Arm64, Self::X86];

    /// The name in the template's parameter `Architecture`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86 => "x86_64",
        }
    }

    /// The name of Rust's target.
    #[must_use]
    pub fn target(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-gnu",
            Self::X86 => "x86_64-unknown-linux-gnu",
        }
    }
}

/// Reports a command's error on standard error, and returns its exit code.
#[must_use]
pub fn exit_code(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The names of the functions' folders in this checkout, in alphabetical order.
///
/// # Errors
///
/// Where the folder cannot be read.
pub fn functions(root: &Path) -> std::io::Result<Vec<String>> {
    let mut names: Vec<String> = std::fs::read_dir(root.join("functions"))?
        .filter_map(std::result::Result::ok)
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// Files that are together only in a checkout. A release lacks the last one.
const OF_A_CHECKOUT: [&str; 3] = ["Cargo.toml", "infra/template.yaml", "infra/local/Cargo.toml"];

/// Finds the checkout that contains the current folder, or else the one that contains this program.
///
/// The folder that the program was built in is not used, because a checkout can be copied together
/// with its `target/`.
pub fn checkout() -> Result<PathBuf> {
    let current = std::env::current_dir().map_err(Error::file(Path::new(".")))?;
    let program = std::env::current_exe().unwrap_or_default();
    checkout_above(&current).or_else(|| checkout_above(&program)).ok_or(Error::Checkout { current })
}

fn checkout_above(path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    let found = path.ancestors().find(|folder| OF_A_CHECKOUT.iter().all(|file| folder.join(file).is_file()));
    found.map(Path::to_owned)
}

/// What to build, and where.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The checkout.
    pub root: &'a Path,
    /// Where cargo builds.
    pub target: &'a Path,
    /// Where the zips go: a folder for each architecture is made here.
    pub out: &'a Path,
    /// The functions to build; all of them where the list is empty.
    pub functions: &'a [String],
}

/// Builds functions and packs each as a zip.
///
/// The build runs cargo-lambda, with zig as the linker for the older C library of Amazon Linux.
/// Both are Python packages, pinned with their hashes and installed once into `.local/package`. The
/// programs contain no path of this machine, and a zip holds one entry with a fixed date.
pub fn package(order: &Order<'_>, arch: Arch) -> Result<Packed> {
    let functions = build::choose(order.root, order.functions)?;
    build::check_target(arch)?;
    let requirements = order.root.join("infra/package/requirements.txt");
    let tools = Venv::ready(order.root, &order.root.join(".local/package"), &requirements);
    let tools = tools.map_err(|error| Error::Program { what: "infra/venv", reason: error.to_string() })?;
    let programs = build::build(order.root, &tools, order.target, arch, &functions)?;
    let out = std::path::absolute(order.out).map_err(Error::file(order.out))?.join(arch.name());
    pack::pack(order.root, &tools.python(), &out, &programs, pack::Pack::Smallest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_is_found_from_each_of_its_folders() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().canonicalize().unwrap().join("copy");
        std::fs::create_dir_all(root.join("infra/local")).unwrap();
        std::fs::create_dir_all(root.join("target/debug")).unwrap();
        for file in OF_A_CHECKOUT {
            assert_eq!(checkout_above(&root.join("infra/local")), None);
            std::fs::write(root.join(file), "").unwrap();
        }
        for folder in ["", "infra/local", "target/debug", "infra/template.yaml"] {
            assert_eq!(checkout_above(&root.join(folder)).as_deref(), Some(root.as_path()), "{folder}");
        }
        assert_eq!(checkout_above(parent.path()), None);
    }
}
