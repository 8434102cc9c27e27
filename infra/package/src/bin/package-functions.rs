//! `cargo package-functions`: builds every function for AWS Lambda's `provided.al2023` and packs it
//! as a zip.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use package_functions::{Arch, Error, Order, Result, checkout, exit_code, package};

/// Builds the functions for AWS Lambda: one zip each, the same bytes for the same source.
#[derive(Parser)]
#[command(name = "cargo package-functions", bin_name = "cargo package-functions")]
struct Arguments {
    /// The processor architecture; the template's parameter Architecture must have the same value.
    #[arg(long, value_enum, default_value_t = Arch::Arm64)]
    arch: Arch,
    /// The folder for the zips.
    #[arg(long, default_value = "target/functions")]
    out: PathBuf,
    /// Where cargo builds. Default: the checkout's target folder.
    #[arg(long)]
    target_dir: Option<PathBuf>,
    /// The functions to build. Default: all functions.
    functions: Vec<String>,
}

fn main() -> ExitCode {
    exit_code(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    let root = checkout()?;
    let target = arguments.target_dir.clone().unwrap_or_else(|| root.join("target"));
    let order = Order { root: &root, target: &target, out: &arguments.out, functions: &arguments.functions };
    let packed = package(&order, arguments.arch)?;
    let mut stdout = std::io::stdout();
    for one in &packed.zips {
        let line = format!(
            "{:<14} {:>5.2} MB zipped, {:>5.2} MB as a program",
            one.function,
            megabytes(one.packed_bytes),
            megabytes(one.program_bytes)
        );
        writeln!(stdout, "{line}").map_err(Error::file(&arguments.out))?;
    }
    let (count, arch, out) = (packed.zips.len(), arguments.arch.name(), packed.folder.display());
    // infra/deploy reads the prefix at the end of this line.
    writeln!(stdout, "{count} zips for {arch} in {out}; code prefix {}", packed.prefix)
        .map_err(Error::file(&arguments.out))
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
