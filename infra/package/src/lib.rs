//! Builds the functions for AWS Lambda (`cargo package-functions`) and the folder that is released
//! (`cargo package-release`). The same source gives the same bytes.

mod build;
mod error;
mod links;
mod pack;
mod release;
mod sbom;
mod venv;

use std::path::{Path, PathBuf};

use clap::ValueEnum;

pub use error::{Error, Result};
pub use pack::{Packed, Zip};
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

/// The checkout that this program was built from.
pub fn checkout() -> Result<PathBuf> {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.join("../..").canonicalize().map_err(Error::file(crate_folder))
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
