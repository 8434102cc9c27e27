//! Packing: by the script that packs for the local stack too, but as small as it goes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::build::Program;
use crate::tools::Tools;
use crate::{Error, Result};

/// What was packed.
pub(crate) struct Packed {
    /// A name for exactly these zips: where they go in a bucket.
    pub(crate) prefix: String,
    /// Each of them.
    pub(crate) zips: Vec<Zip>,
}

/// A function's zip.
pub(crate) struct Zip {
    /// The function.
    pub(crate) function: String,
    /// Bytes of the zip.
    pub(crate) packed_bytes: u64,
    /// Bytes of the program.
    pub(crate) program_bytes: u64,
}

/// Packs the programs as `<function>.zip` into the folder.
pub(crate) fn pack(root: &Path, tools: &Tools, out: &Path, programs: &[Program]) -> Result<Packed> {
    let paths: Value = programs.iter().map(|one| (one.function.clone(), json!(one.path))).collect();
    let order = json!({"folder": out.join("packed"), "programs": paths, "release": true});
    let answer = ask(tools, &root.join("infra/local/emulator/package.py"), &order)?;
    let mut zips = Vec::new();
    for program in programs {
        let packed = PathBuf::from(answer["zips"][&program.function].as_str().unwrap_or_default());
        let zip = out.join(format!("{}.zip", program.function));
        let packed_bytes = std::fs::copy(&packed, &zip).map_err(Error::file(&packed))?;
        let program_bytes = std::fs::metadata(&program.path).map_err(Error::file(&program.path))?.len();
        zips.push(Zip { function: program.function.clone(), packed_bytes, program_bytes });
    }
    let prefix = answer["prefix"].as_str().unwrap_or_default().to_owned();
    Ok(Packed { prefix, zips })
}

fn ask(tools: &Tools, script: &Path, order: &Value) -> Result<Value> {
    let failed = |reason: String| Error::Program { what: "packing", reason };
    let mut python = Command::new(tools.python());
    let python = python.arg("-B").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = python.stdin.take() {
        stdin.write_all(order.to_string().as_bytes()).map_err(|error| failed(error.to_string()))?;
    }
    let output = python.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))
}
