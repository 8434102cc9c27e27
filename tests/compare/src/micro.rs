//! Runs the criterion benchmarks of the work between AWS calls, in the release profile, and reads
//! their estimates.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use tokio::process::Command;

use crate::Effort;
use crate::error::{Error, Result};
use crate::programs::run;

/// Median processor times, in microseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Micro {
    /// The envelope and the bare cipher, by size of the value.
    pub(crate) sizes: Vec<Sealing>,
    /// Resolving a selection from 64 workspace secrets and 64 user secrets.
    pub(crate) resolve_us: f64,
    /// A `progress` message of 4 MB, from the event to the answer.
    pub(crate) progress_us: f64,
    /// The size of that message in bytes.
    pub(crate) progress_bytes: u64,
    /// Bytes allocated while it is handled.
    pub(crate) progress_allocated: u64,
}

/// The times for a value of one size, in microseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Sealing {
    pub(crate) size: &'static str,
    /// Sealing with the envelope, and with the cipher alone.
    pub(crate) seal_us: [f64; 2],
    /// Opening with the envelope, and with the cipher alone.
    pub(crate) open_us: [f64; 2],
}

/// Runs the benchmarks.
pub(crate) async fn measure(program: &Path, folder: &Path, effort: Effort) -> Result<Micro> {
    let home = folder.join("criterion");
    std::fs::create_dir_all(&home).map_err(Error::file(&home))?;
    let seconds = |time: f64| format!("{time}");
    let [warm_up, measurement] = effort.micro.map(seconds);
    let mut benchmarks = Command::new(program);
    benchmarks.args(["--bench", "--noplot", "--warm-up-time", &warm_up, "--measurement-time", &measurement]);
    run(benchmarks.env("CRITERION_HOME", &home).current_dir(folder), "the benchmarks").await?;
    let estimate = |name: &str| -> Result<f64> {
        let estimates = read(&home.join(name).join("new/estimates.json"))?;
        Ok(estimates["median"]["point_estimate"].as_f64().unwrap_or(f64::NAN) / 1_000.0)
    };
    let sizes = ["64 B", "4 KiB", "32 KiB"].map(|size| {
        let pair = |operation: &str| -> Result<[f64; 2]> {
            Ok([estimate(&format!("{operation}/{size}"))?, estimate(&format!("cipher-{operation}/{size}"))?])
        };
        Ok(Sealing { size, seal_us: pair("seal")?, open_us: pair("open")? })
    });
    let allocated = read(&home.join("allocated.json"))?;
    Ok(Micro {
        sizes: sizes.into_iter().collect::<Result<_>>()?,
        resolve_us: estimate("resolve")?,
        progress_us: estimate("progress/4 MB")?,
        progress_bytes: allocated["message"].as_u64().unwrap_or_default(),
        progress_allocated: allocated["allocated"].as_u64().unwrap_or_default(),
    })
}

fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
    serde_json::from_str(&text).map_err(Error::machine(path.display().to_string()))
}
