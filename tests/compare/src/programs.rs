//! Builds our functions and their limits for this machine, and the zips for Lambda.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::error::{Error, Result};
use crate::starts::megabytes;

/// The built programs.
pub(crate) struct Programs {
    /// The folder of the functions and their limits.
    pub(crate) folder: PathBuf,
    /// The benchmarks of the work between AWS calls, if requested.
    pub(crate) micro: Option<PathBuf>,
}

fn functions(root: &Path) -> Result<Vec<String>> {
    package_functions::functions(root).map_err(Error::file(&root.join("functions")))
}

/// How the contenders are built.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    /// The profile that is deployed.
    Release,
    /// The profile of the tests. Builds the whole workspace: a smaller selection would change the
    /// features of the SDK and compile it again.
    Dev,
}

/// Builds the functions and their limits into one folder, and the benchmarks if `micro` is set.
pub(crate) async fn build(root: &Path, profile: Profile, micro: bool) -> Result<Programs> {
    let ours = functions(root)?;
    let ours = match profile {
        Profile::Release => ours.iter().flat_map(|one| ["--package", one, "--bin", one]).collect(),
        Profile::Dev => vec!["--workspace", "--bins"],
    };
    let built = cargo(root, profile, "Cargo.toml", ours, "building the functions").await?;
    let limit = ["--package", "limit"];
    cargo(root, profile, "tests/compare/Cargo.toml", limit, "building their limits").await?;
    let folder = built.iter().find(|(name, _)| name == "launch-run").and_then(|(_, path)| path.parent());
    let folder = folder.ok_or_else(|| Error::Machine {
        what: "building the functions".to_owned(),
        reason: "cargo reported no executable".to_owned(),
    })?;
    let benchmarks = match micro {
        true => {
            let selected = ["--package", "micro", "--bench", "micro"];
            cargo(root, Profile::Release, "tests/compare/Cargo.toml", selected, "building the benchmarks")
                .await?
        }
        false => Vec::new(),
    };
    let micro = benchmarks.into_iter().find(|(name, _)| name == "micro").map(|(_, path)| path);
    Ok(Programs { folder: folder.to_owned(), micro })
}

/// Builds the selected packages of a workspace, and returns the name and path of each program.
async fn cargo(
    root: &Path,
    profile: Profile,
    manifest: &str,
    selected: impl IntoIterator<Item = &str>,
    what: &str,
) -> Result<Vec<(String, PathBuf)>> {
    // With the same versions and profile, both workspaces share the compiled SDK in one target
    // folder.
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| root.join("target").into());
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "--message-format", "json-render-diagnostics", "--profile"]);
    cargo.arg(match profile {
        Profile::Release => "release",
        Profile::Dev => "dev",
    });
    cargo.args(["--manifest-path", manifest, "--target-dir"]).arg(target).args(selected);
    let messages = run(cargo.current_dir(root), what).await?;
    let programs = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let path = PathBuf::from(message["executable"].as_str()?);
        Some((message["target"]["name"].as_str()?.to_owned(), path))
    });
    Ok(programs.collect())
}

/// Builds the zips for Lambda on arm64, and returns their sizes by function, in megabytes.
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

/// Runs a program with its errors on the terminal, and returns its standard output. Dropping the
/// future stops it.
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
