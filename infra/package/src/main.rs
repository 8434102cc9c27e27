//! `cargo package-functions`: builds every function for AWS Lambda's `provided.al2023` and packs it as a zip.
//!
//! cargo-lambda builds, with zig as the linker for the system's older C library; both are Python packages, pinned with
//! their hashes and installed once into `.local/package`. Paths of this machine are kept out of the programs, and a zip holds
//! one entry with a fixed date, so that the same source gives the same bytes.

mod build;
mod error;
mod pack;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use package_functions::Venv;

pub(crate) use error::{Error, Result};

/// Builds the functions for AWS Lambda: one zip each, the same bytes for the same source.
#[derive(Parser)]
#[command(name = "cargo package-functions", bin_name = "cargo package-functions")]
struct Arguments {
    /// The processors that the functions are for; the template's parameter Architecture has to be the same.
    #[arg(long, value_enum, default_value_t = Arch::Arm64)]
    arch: Arch,
    /// Where the zips go: a folder, made if need be.
    #[arg(long, default_value = "target/functions")]
    out: PathBuf,
    /// Where cargo builds, if not in the checkout's target folder.
    #[arg(long)]
    target_dir: Option<PathBuf>,
    /// Just these functions; all of them where none is named.
    functions: Vec<String>,
}

/// A kind of processor that Lambda has.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Arch {
    /// AWS Graviton: a fifth cheaper.
    Arm64,
    /// Intel and AMD.
    #[value(name = "x86_64")]
    X86,
}

impl Arch {
    /// As the template's parameter `Architecture` has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86 => "x86_64",
        }
    }

    /// Rust's name of the target.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-gnu",
            Self::X86 => "x86_64-unknown-linux-gnu",
        }
    }
}

fn main() -> ExitCode {
    match package(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn package(arguments: &Arguments) -> Result<()> {
    let root = checkout()?;
    let functions = build::choose(&root, &arguments.functions)?;
    build::check_target(arguments.arch)?;
    let requirements = root.join("infra/package/requirements.txt");
    let tools = Venv::ready(&root, &root.join(".local/package"), &requirements);
    let tools = tools.map_err(|error| Error::Program { what: "infra/venv", reason: error.to_string() })?;
    let target = arguments.target_dir.clone().unwrap_or_else(|| root.join("target"));
    let programs = build::build(&root, &tools, &target, arguments.arch, &functions)?;
    let out =
        std::path::absolute(&arguments.out).map_err(Error::file(&arguments.out))?.join(arguments.arch.name());
    let packed = pack::pack(&root, &tools.python(), &out, &programs, pack::Pack::Smallest)?;
    let mut stdout = std::io::stdout();
    for one in &packed.zips {
        let line = format!(
            "{:<14} {:>5.2} MB zipped, {:>5.2} MB as a program",
            one.function,
            megabytes(one.packed_bytes),
            megabytes(one.program_bytes)
        );
        writeln!(stdout, "{line}").map_err(Error::file(&out))?;
    }
    writeln!(
        stdout,
        "{} zips for {} in {}; code prefix {}",
        packed.zips.len(),
        arguments.arch.name(),
        out.display(),
        packed.prefix
    )
    .map_err(Error::file(&out))
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Two folders above this crate.
fn checkout() -> Result<PathBuf> {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.join("../..").canonicalize().map_err(Error::file(crate_folder))
}
