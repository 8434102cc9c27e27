//! The contenders of ours: built with the release profile for this machine, and as zips for Lambda.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::error::{Error, Result};
use crate::starts::megabytes;

/// What was built.
pub(crate) struct Programs {
    /// The folder of the functions, and of their limits.
    pub(crate) folder: PathBuf,
    /// The benchmarks of what happens between calls.
    pub(crate) micro: PathBuf,
}

/// The functions, by name: the folders of `functions`.
pub(crate) fn functions(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("functions");
    let entries = std::fs::read_dir(&folder).map_err(Error::file(&folder))?;
    let mut names: Vec<_> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// Builds them all with one cargo, so that their dependencies are built once.
pub(crate) async fn build(root: &Path) -> Result<Programs> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--locked", "--message-format", "json-render-diagnostics"]);
    cargo.args(["--package", "limit", "--package", "micro", "--bench", "micro"]);
    for function in functions(root)? {
        cargo.args(["--package", &function, "--bin", &function, "--bin", &format!("limit-{function}")]);
    }
    let messages = run(cargo.current_dir(root), "building the functions").await?;
    let mut programs = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let path = PathBuf::from(message["executable"].as_str()?);
        Some((message["target"]["name"].as_str()?.to_owned(), path))
    });
    let (mut micro, mut folder) = (None, None);
    for (name, path) in &mut programs {
        match name.as_str() {
            "micro" => micro = Some(path),
            "launch-run" => folder = path.parent().map(Path::to_owned),
            _ => {}
        }
    }
    match (folder, micro) {
        (Some(folder), Some(micro)) => Ok(Programs { folder, micro }),
        _ => Err(Error::Machine {
            what: "building the functions".to_owned(),
            reason: "cargo names no program".to_owned(),
        }),
    }
}

/// The sizes of the zips for Lambda's arm64, by function, in megabytes.
pub(crate) async fn zips(root: &Path) -> Result<Vec<(String, f64)>> {
    let folder = root.join("target/functions");
    let mut cargo = Command::new("cargo");
    cargo.args(["package-functions", "--arch", "arm64", "--out"]).arg(&folder).current_dir(root);
    run(&mut cargo, "packaging").await?;
    let sizes = functions(root)?.into_iter().map(|function| {
        let path = folder.join("arm64").join(format!("{function}.zip"));
        let size = std::fs::metadata(&path).map_err(Error::file(&path))?.len();
        Ok((function, megabytes(size)))
    });
    sizes.collect()
}

/// Runs a program whose complaints people see, and gives what it printed. It ends with the future.
pub(crate) async fn run(command: &mut Command, what: &str) -> Result<String> {
    let failed = |reason: String| Error::Machine { what: what.to_owned(), reason };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
    let running = command.spawn().map_err(|error| failed(error.to_string()))?;
    let output = running.wait_with_output().await.map_err(|error| failed(error.to_string()))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(failed(output.status.to_string())),
    }
}
