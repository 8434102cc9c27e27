//! `cargo compare`: measures the functions against their peers, their limit and growing data
//! (`docs/performance.md`).

mod aws;
mod cost;
mod credstash;
mod error;
mod fixture;
mod function;
mod growth;
mod install;
mod micro;
mod plots;
mod programs;
mod report;
mod scenario;
mod starts;
mod stats;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::aws::Aws;
use crate::error::{Error, Result};
use crate::fixture::Fixture;
use crate::install::Peers;
use crate::programs::Profile;
use crate::report::{Parts, Report};
use crate::scenario::Scenario;

/// Measures every function against its peers, its limit and growing data, and prints tables.
#[derive(Parser)]
#[command(name = "cargo compare", bin_name = "cargo compare")]
struct Options {
    /// Run a small comparison in a few minutes, with the tests' profile. Its figures show whether
    /// something broke, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// Measure only our functions and the limit, without Node, Python, credstash and the benchmarks
    /// of work between AWS calls.
    #[arg(long)]
    ours: bool,
    /// Print the figures as one JSON object on one line.
    #[arg(long)]
    json: bool,
    /// The folder for the plots; created if it does not exist.
    #[arg(long, default_value = "target/compare")]
    plots: PathBuf,
}

/// The number of measurements.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// Cold starts of each contender.
    cold: usize,
    /// Warm calls of each contender.
    warm: usize,
    /// Calls for each size of growing data.
    growth: usize,
    /// How long launches compete for the quota.
    quota: Duration,
    /// Seconds of warm-up and of measurement of each benchmark.
    micro: [f64; 2],
}

impl Options {
    fn effort(&self) -> Effort {
        match self.quick {
            true => {
                Effort { cold: 10, warm: 100, growth: 5, quota: Duration::from_secs(4), micro: [0.2, 0.5] }
            }
            false => {
                Effort { cold: 40, warm: 400, growth: 20, quota: Duration::from_secs(20), micro: [3.0, 5.0] }
            }
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let tasks = tokio::task::LocalSet::new();
    let compared = tokio::select! {
        compared = tasks.run_until(compare(&options)) => compared,
        stopped = stop() => Err(stopped),
    };
    match compared.and_then(|report| print(&options, &report).map(|()| report)) {
        Ok(report) if report.missing.is_empty() => ExitCode::SUCCESS,
        Ok(report) => {
            report.missing.iter().for_each(|missing| note(&format!("error: not measured: {missing}")));
            ExitCode::FAILURE
        }
        Err(error) => {
            note(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Waits for a signal. Every process ends with the future that started it.
async fn stop() -> Error {
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => return Error::machine("waiting for a signal")(error),
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Error::Stopped
}

async fn compare(options: &Options) -> Result<Report> {
    let root = checkout()?;
    let effort = options.effort();
    let started = Instant::now();
    let step = |what: &str| note(&format!("{:>4} s  {what}", started.elapsed().as_secs()));
    let peers = if options.ours {
        Peers::none()
    } else {
        step("installing the peers: Node, Python, credstash");
        install::install(&root)
    };
    step("building the functions and their limits for this machine");
    let profile = if options.quick { Profile::Dev } else { Profile::Release };
    let programs = programs::build(&root, profile, !options.ours).await?;
    step("building the functions' zips for arm64");
    let zips = programs::zips(&root).await.unwrap_or_else(|error| {
        // Without Rust's target for arm64, everything else can still be measured.
        note(&format!("warning: no zip sizes: {error}"));
        Vec::new()
    });
    let folder = tempfile::tempdir().map_err(Error::machine("a temporary folder"))?;
    let micro = match &programs.micro {
        Some(program) => {
            step("measuring the work between AWS calls");
            Some(micro::measure(program, folder.path(), effort).await?)
        }
        None => None,
    };
    let aws = Aws::start(folder.path()).await?;
    let fixture = Fixture::set(aws, folder.path(), &programs.folder).await?;
    step("measuring cold starts and warm calls");
    let scenarios = Scenario::all(&fixture, effort.warm).await?;
    let starts = starts::measure(&fixture, &scenarios, &peers, effort).await?;
    if peers.python.is_some() {
        step("measuring credstash");
    }
    let credstash = credstash::measure(&fixture, &peers, effort).await?;
    step("measuring growth");
    let growth = growth::measure(&fixture, effort).await?;
    step("done");
    Ok(Report::of(Parts { missing: peers.missing, starts, growth, micro, credstash, zips }))
}

fn print(options: &Options, report: &Report) -> Result<()> {
    plots::draw(report, &options.plots)?;
    let printed = match options.json {
        true => serde_json::to_string(report).map_err(Error::machine("the figures as JSON"))?,
        false => report.tables(),
    };
    writeln!(std::io::stdout(), "{printed}").map_err(Error::machine("standard output"))
}

/// Prints to standard error: standard output is for the figures only.
fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The checkout, two folders above this crate.
fn checkout() -> Result<PathBuf> {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.join("../..").canonicalize().map_err(Error::file(crate_folder))
}
