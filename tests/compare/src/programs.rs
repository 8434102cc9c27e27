//! The contenders of ours: built for this machine, and as zips for Lambda.

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
    /// The benchmarks of what happens between calls, where they were asked for.
    pub(crate) micro: Option<PathBuf>,
}

fn functions(root: &Path) -> Result<Vec<String>> {
    package_functions::functions(root).map_err(Error::file(&root.join("functions")))
}

/// How the contenders are built.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    /// As they are deployed.
    Release,
    /// As the tests have built them: the whole workspace, because what is selected decides the features of the SDK, and other
    /// features would compile it once more.
    Dev,
}

/// Builds the functions and their limits, and the benchmarks where `micro` asks for them, into one folder.
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
        reason: "cargo names no program".to_owned(),
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

/// Builds what is selected of a workspace; gives the name and path of each program.
async fn cargo(
    root: &Path,
    profile: Profile,
    manifest: &str,
    selected: impl IntoIterator<Item = &str>,
    what: &str,
) -> Result<Vec<(String, PathBuf)>> {
    // Of one version and with one profile: the same compiled SDK serves both workspaces in one target folder.
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
