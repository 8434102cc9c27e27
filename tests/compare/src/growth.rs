//! Measures how the cost of a launch grows with its secrets, of a list with its length, and of a
//! sweep with the number of ended runs, and how many launches the account's quota of `CreateSecret`
//! allows.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::{Value, json};
use support::Limit;

use crate::Effort;
use crate::aws::Snapshot;
use crate::error::Result;
use crate::fixture::{Fixture, SOON, expect, wrong};
use crate::function::Function;
use crate::starts::megabytes;
use crate::stats::{Summary, milliseconds};

/// The results of all measurements in this file.
#[derive(Debug, Serialize)]
pub(crate) struct Growth {
    pub(crate) launches: Vec<Launch>,
    pub(crate) lists: Vec<List>,
    pub(crate) sweeps: Vec<Sweep>,
    /// Launches per second at the quota, with bundles and with one copy per name.
    pub(crate) launches_per_second: [f64; 2],
    /// Peak memory of a function, in megabytes, in all measurements but the large launch.
    pub(crate) peak_mb: f64,
    /// Peak memory of launch-run in a launch with 64 values of 32 KiB, in megabytes.
    pub(crate) large_launch_mb: f64,
}

/// A launch where each AWS call takes 20 ms.
#[derive(Debug, Serialize)]
pub(crate) struct Launch {
    /// The number of secrets.
    pub(crate) secrets: usize,
    /// Wall-clock time divided by one delay: the number of sequential calls.
    pub(crate) delays: Summary,
    /// AWS calls.
    pub(crate) calls: usize,
}

/// A list of secrets.
#[derive(Debug, Serialize)]
pub(crate) struct List {
    /// The number of secrets.
    pub(crate) secrets: usize,
    /// Processor time, in milliseconds.
    pub(crate) cpu: Summary,
    /// AWS calls.
    pub(crate) calls: usize,
}

/// A sweep with 100 due runs.
#[derive(Debug, Serialize)]
pub(crate) struct Sweep {
    /// The number of runs that ended before.
    pub(crate) ended: usize,
    /// Processor time, in milliseconds.
    pub(crate) cpu_ms: f64,
    /// AWS calls.
    pub(crate) calls: usize,
}

const DELAY: Duration = Duration::from_millis(20);
const DUE: usize = 100;
/// The quota per second for `CreateSecret` and other operations:
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>.
const QUOTA: u32 = 50;

/// Runs all measurements.
pub(crate) async fn measure(fixture: &Fixture, effort: Effort) -> Result<Growth> {
    let mut peak = 0;
    let mut launches = Vec::new();
    for secrets in [1, 8, 64] {
        launches.push(launch(fixture, secrets, effort, &mut peak).await?);
    }
    let mut lists = Vec::new();
    for secrets in [10, 100, 1_000] {
        lists.push(list(fixture, secrets, effort, &mut peak).await?);
    }
    let sweeps = sweeps(fixture, &mut peak).await?;
    Ok(Growth {
        launches,
        lists,
        sweeps,
        peak_mb: megabytes(peak),
        launches_per_second: quota(fixture, effort).await?,
        large_launch_mb: large_launch(fixture).await?,
    })
}

async fn launch(fixture: &Fixture, secrets: usize, effort: Effort, peak: &mut u64) -> Result<Launch> {
    let from = fixture.secrets(secrets, 64).await?;
    let mut launcher = fixture.start(&fixture.ours("launch-run")).await?;
    let (mut delays, mut calls) = (Vec::new(), 0);
    for round in 0..=effort.growth {
        fixture.aws.restore(&from);
        fixture.aws.with(|aws| aws.delay = DELAY);
        let (answer, spent) = launcher.invoke(&fixture.launch("aws-batch", "bundle")).await?;
        let body = expect("launch-run", &answer, 200)?;
        if body["secrets"].as_array().map(Vec::len) != Some(secrets) {
            return Err(wrong(
                "launch-run",
                format!("a launch with {secrets} secrets resolved a different number"),
            ));
        }
        calls = fixture.aws.take_calls().len();
        // The first call opens connections.
        if round > 0 {
            let delay = fixture.aws.with(|aws| Summary::of_times(std::mem::take(&mut aws.delays)));
            delays.push(milliseconds(spent.wall) / delay.median);
        }
    }
    *peak = launcher.peak_memory()?.max(*peak);
    Ok(Launch { secrets, delays: Summary::of(delays), calls })
}

async fn list(fixture: &Fixture, secrets: usize, effort: Effort, peak: &mut u64) -> Result<List> {
    fixture.secrets(secrets, 64).await?;
    let mut reader = fixture.start(&fixture.ours("read-secrets")).await?;
    let (mut times, mut calls) = (Vec::new(), 0);
    for round in 0..=effort.growth {
        fixture.aws.take_calls();
        let (answer, spent) = reader.invoke(&fixture.list()).await?;
        if expect("read-secrets", &answer, 200)?["totalSize"] != secrets {
            return Err(wrong("read-secrets", format!("a list of {secrets} secrets has the wrong length")));
        }
        calls = fixture.aws.take_calls().len();
        if round > 0 {
            times.push(spent.cpu);
        }
    }
    *peak = reader.peak_memory()?.max(*peak);
    Ok(List { secrets, cpu: Summary::of_times(times), calls })
}

async fn sweeps(fixture: &Fixture, peak: &mut u64) -> Result<Vec<Sweep>> {
    let from = fixture.secrets(1, 64).await?;
    let ended = ended_run(fixture, &from).await?;
    let mut program = fixture.ours("launch-run");
    program.environment.push(("PENDING_SECONDS".to_owned(), SOON.as_secs().to_string().into()));
    fixture.aws.restore(&from);
    let mut launcher = fixture.start(&program).await?;
    for _ in 0..DUE {
        fixture.launched(&mut launcher, "aws-batch").await?;
    }
    let due = fixture.aws.snapshot();
    // Time is real: wait until the runs are due.
    tokio::time::sleep(SOON).await;
    let (mut sweeps, mut present) = (Vec::new(), 0);
    fixture.aws.restore(&due);
    for history in [1_000, 10_000, 100_000] {
        fixture.aws.with(|aws| {
            for number in present..history {
                aws.services.database.put(&renamed(&ended, number));
            }
        });
        present = history;
        sweeps.push(sweep(fixture, &due, history, peak).await?);
    }
    Ok(sweeps)
}

/// Runs one sweep and reverts its changes.
async fn sweep(fixture: &Fixture, due: &Snapshot, ended: usize, peak: &mut u64) -> Result<Sweep> {
    let mut cleaner = fixture.start(&fixture.ours("cleanup-run")).await?;
    fixture.aws.take_calls();
    let (answer, spent) = cleaner.invoke(&json!({ "source": "pipeline-secrets.sweep" })).await?;
    let calls = fixture.aws.take_calls();
    let left = fixture.aws.with(|aws| aws.services.target.secrets.len());
    if !answer.is_null() || left != 0 {
        return Err(wrong("cleanup-run", format!("a sweep of {DUE} runs left {left} copies")));
    }
    fixture.aws.put_back(due);
    *peak = cleaner.peak_memory()?.max(*peak);
    Ok(Sweep { ended, cpu_ms: milliseconds(spent.cpu), calls: calls.len() })
}

/// The row of an ended run.
async fn ended_run(fixture: &Fixture, from: &Snapshot) -> Result<Value> {
    let run = fixture.run(from, "aws-batch").await?;
    let mut reporter = fixture.start(&fixture.ours("report-run")).await?;
    let (answer, _) = reporter.invoke(&fixture.end(&run)).await?;
    expect("report-run", &answer, 200)?;
    let mut cleaner = fixture.start(&fixture.ours("cleanup-run")).await?;
    let look = json!({
        "source": "pipeline-secrets", "detail-type": "Run Look", "detail": { "workflowId": run.id },
    });
    cleaner.invoke(&look).await?;
    let key = format!("RUN#{}", run.id);
    let row =
        fixture.aws.with(|aws| aws.services.database.rows()).into_iter().find(|row| row["pk"]["S"] == *key);
    let row = row.filter(|row| row["due"].is_null());
    row.ok_or_else(|| wrong("cleanup-run", "a run with a reported end did not end"))
}

fn renamed(row: &Value, number: usize) -> Value {
    let mut row = row.clone();
    row["pk"]["S"] = format!("RUN#ab12{number:010}").into();
    row
}

/// Launches per second with 20 secrets each, from more clients than the quota serves.
async fn quota(fixture: &Fixture, effort: Effort) -> Result<[f64; 2]> {
    let from = fixture.secrets(20, 64).await?;
    let bundle = rate(fixture, &from, "bundle", 8, effort.quota).await?;
    // More clients than the queue holds, so that some are refused and retry.
    let per_name = rate(fixture, &from, "per-name", 24, effort.quota).await?;
    Ok([bundle, per_name])
}

async fn rate(
    fixture: &Fixture,
    from: &Snapshot,
    layout: &str,
    clients: usize,
    time: Duration,
) -> Result<f64> {
    fixture.aws.restore(from);
    let mut launchers = Vec::new();
    for _ in 0..clients {
        launchers.push(fixture.start(&fixture.ours("launch-run")).await?);
    }
    let mut limit = Limit::per_second(QUOTA);
    while limit.allows() {} // drain the initial burst
    fixture.aws.with(|aws| aws.limits.insert("CreateSecret", limit));
    let started = Instant::now();
    let live = try_join_all(
        launchers.iter_mut().map(|launcher| launching(fixture, launcher, layout, started, time)),
    );
    let live: u32 = live.await?.into_iter().sum();
    Ok(f64::from(live) / time.as_secs_f64())
}

/// Launches sequentially until the time is over, retries after `Retry-After`, and returns how many
/// runs were live by then.
async fn launching(
    fixture: &Fixture,
    launcher: &mut Function,
    layout: &str,
    started: Instant,
    time: Duration,
) -> Result<u32> {
    let mut live = 0;
    while started.elapsed() < time {
        let (answer, _) = launcher.invoke(&fixture.launch("aws-batch", layout)).await?;
        if answer["statusCode"] == 429 {
            tokio::time::sleep(retry_after(&answer)?).await;
            continue;
        }
        expect("launch-run", &answer, 200)?;
        live += u32::from(started.elapsed() < time);
    }
    Ok(live)
}

/// Returns the time after which a refused client may retry.
fn retry_after(answer: &Value) -> Result<Duration> {
    let seconds = answer["headers"]["retry-after"].as_str().and_then(|seconds| seconds.parse().ok());
    let seconds = seconds.ok_or_else(|| wrong("launch-run", "a refused launch has no Retry-After"))?;
    Ok(Duration::from_secs(seconds))
}

async fn large_launch(fixture: &Fixture) -> Result<f64> {
    let from = fixture.secrets(64, 32 * 1024).await?;
    fixture.aws.restore(&from);
    let mut launcher = fixture.start(&fixture.ours("launch-run")).await?;
    let (answer, _) = launcher.invoke(&fixture.launch("aws-batch", "bundle")).await?;
    expect("launch-run", &answer, 200)?;
    Ok(megabytes(launcher.peak_memory()?))
}
