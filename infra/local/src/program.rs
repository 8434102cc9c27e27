//! Running other programs, such as Python scripts that read and print JSON, and reporting their
//! failures on one line.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Output, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::{Error, Result};

/// Runs a script with one JSON object on its standard input and another one on its standard output.
pub(crate) async fn run_script<T: DeserializeOwned>(
    python: &Path,
    script: &Path,
    request: &impl Serialize,
    what: &str,
) -> Result<T> {
    let failed = |reason: String| Error::Program { what: what.to_owned(), reason };
    let input = serde_json::to_vec(request).map_err(|error| failed(error.to_string()))?;
    let mut child = Command::new(python)
        .arg("-B") // no __pycache__ in the checkout
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A script that ends early reports the reason on its standard error.
        let _ = stdin.write_all(&input).await;
    }
    let output = child.wait_with_output().await;
    let output = output.map_err(|error| failed(error.to_string()))?;
    check(&output, what)?;
    serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))
}

/// Runs a program to its end and returns its standard output.
pub(crate) async fn run(
    program: impl AsRef<OsStr>,
    arguments: &[&OsStr],
    stderr: Stdio,
    what: &str,
) -> Result<Vec<u8>> {
    let started = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .kill_on_drop(true)
        .spawn();
    let output = match started {
        Ok(child) => child.wait_with_output().await,
        Err(error) => Err(error),
    };
    let output =
        output.map_err(|error| Error::Program { what: what.to_owned(), reason: error.to_string() })?;
    check(&output, what)?;
    Ok(output.stdout)
}

fn check(output: &Output, what: &str) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let last = stderr.lines().rev().find(|line| !line.trim().is_empty());
    Err(Error::Program {
        what: what.to_owned(),
        reason: last.map_or_else(|| output.status.to_string(), |line| line.trim().to_owned()),
    })
}
