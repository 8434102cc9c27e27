//! `cargo package-release`: makes the folder that is released, and the same folder as a tar
//! archive.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use package_functions::{
    Arch, Error, Order, PluginOrder, REQUIRES, Result, assemble, checkout, exit_code, package, package_plugin,
};

/// Makes the folder that is released: zips of all functions and of the Nextflow plugin, template,
/// scripts, guides, SBOM and checksums. The same source gives the same bytes.
#[derive(Parser)]
#[command(name = "cargo package-release", bin_name = "cargo package-release")]
struct Arguments {
    /// Include only this processor architecture; may be repeated. Default: both.
    #[arg(long, value_enum)]
    arch: Vec<Arch>,
    /// The folder in which the release folder and its archive are made.
    #[arg(long, default_value = "target/releases")]
    out: PathBuf,
    /// Where cargo builds. Default: the checkout's target folder.
    #[arg(long)]
    target_dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    exit_code(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    let root = checkout()?;
    let target = arguments.target_dir.clone().unwrap_or_else(|| root.join("target"));
    // The zips of `cargo package-functions`: what did not change is not packed again.
    let order = Order { root: &root, target: &target, out: &target.join("functions"), functions: &[] };
    let mut zips = Vec::new();
    for arch in Arch::ALL {
        if arguments.arch.is_empty() || arguments.arch.contains(&arch) {
            zips.push((arch, package(&order, arch)?));
        }
    }
    let folder = target.join("nextflow-plugin");
    let order = PluginOrder { root: &root, target: &folder, out: &folder, requires: REQUIRES };
    let plugin = package_plugin(&order)?;
    let files = zips.iter().map(|(arch, packed)| (*arch, packed.files())).collect();
    let release = assemble(&root, &arguments.out, &files, &plugin.zip)?;
    let mut stdout = std::io::stdout();
    let mut line = |line: String| writeln!(stdout, "{line}").map_err(Error::file(&arguments.out));
    for (arch, packed) in &zips {
        line(format!("{} zips for {}; code prefix {}", packed.zips.len(), arch.name(), packed.prefix))?;
    }
    line(format!("{} files in {}", release.files, release.folder.display()))?;
    line(format!("archive {}", release.archive.display()))?;
    line(format!("sha256 {}", release.archive_digest))
}
