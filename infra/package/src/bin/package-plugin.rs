//! `cargo package-plugin`: builds the Nextflow plugin as a zip.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use package_functions::{Error, PluginOrder, REQUIRES, Result, checkout, exit_code, package_plugin};

/// Builds the Nextflow plugin nf-pipeline-secrets as a zip: the same bytes for the same source.
#[derive(Parser)]
#[command(name = "cargo package-plugin", bin_name = "cargo package-plugin")]
struct Arguments {
    /// The folder for the zip.
    #[arg(long, default_value = "target/nextflow-plugin")]
    out: PathBuf,
    /// Where cargo builds; the jars of Maven Central are kept in its folder nextflow-plugin.
    /// Default: the checkout's target folder.
    #[arg(long)]
    target_dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    exit_code(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    let root = checkout()?;
    let target = arguments.target_dir.clone().unwrap_or_else(|| root.join("target"));
    let target = target.join("nextflow-plugin");
    let order = PluginOrder { root: &root, target: &target, out: &arguments.out, requires: REQUIRES };
    let plugin = package_plugin(&order)?;
    let mut stdout = std::io::stdout();
    let zip = plugin.zip.display();
    writeln!(stdout, "{zip}\nsha256 {}", plugin.digest).map_err(Error::file(&arguments.out))
}
