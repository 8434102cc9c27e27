//! How a launch grows with its secrets, a list with its length, a sweep with the past, and what the account's quota of
//! `CreateSecret` allows.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::{Value, json};
use support::Limit;

use crate::Effort;
use crate::aws::Snapshot;
use crate::error::Result;
use crate::function::Function;
use crate::stage::{SOON, Stage, expect, wrong};
use crate::starts::megabytes;
use crate::stats::{Summary, milliseconds};

/// Everything that grows.
#[derive(Debug, Serialize)]
pub(crate) struct Growth {
    /// Launches.
    pub(crate) launches: Vec<Launch>,
    /// Lists.
    pub(crate) lists: Vec<List>,
    /// Sweeps.
    pub(crate) sweeps: Vec<Sweep>,
    /// Launches a second at the quota: with bundles, and with a copy per name.
    pub(crate) launches_per_second: [f64; 2],
    /// The most memory that a function held in all but the last, in megabytes.
    pub(crate) peak_mb: f64,
    /// Peak memory of launch-run in a launch with 64 values of 32 KiB, in megabytes.
    pub(crate) large_launch_mb: f64,
}

/// A launch with so many secrets, each call of AWS answered 20 ms late.
#[derive(Debug, Serialize)]
pub(crate) struct Launch {
    /// How many.
    pub(crate) secrets: usize,
    /// Time on the wall over one delay: how many calls waited for one another.
    pub(crate) delays: Summary,
    /// Calls of AWS.
    pub(crate) calls: usize,
}

/// A list of so many secrets.
#[derive(Debug, Serialize)]
pub(crate) struct List {
    /// How many.
    pub(crate) secrets: usize,
    /// Processor time, in milliseconds.
    pub(crate) cpu: Summary,
    /// Calls of AWS.
    pub(crate) calls: usize,
}

/// A sweep with 100 runs due.
#[derive(Debug, Serialize)]
pub(crate) struct Sweep {
    /// Runs that ended before.
    pub(crate) ended: usize,
    /// Processor time, in milliseconds.
    pub(crate) cpu_ms: f64,
    /// Calls of AWS.
    pub(crate) calls: usize,
}

const DELAY: Duration = Duration::from_millis(20);
const DUE: usize = 100;
/// `CreateSecret` and others in a second:
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>.
const QUOTA: u32 = 50;

/// Measures all of it.
pub(crate) async fn measure(stage: &Stage, effort: Effort) -> Result<Growth> {
    let mut peak = 0;
    let mut launches = Vec::new();
    for secrets in [1, 8, 64] {
        launches.push(launch(stage, secrets, effort, &mut peak).await?);
    }
    let mut lists = Vec::new();
    for secrets in [10, 100, 1_000] {
        lists.push(list(stage, secrets, effort, &mut peak).await?);
    }
    let sweeps = sweeps(stage, &mut peak).await?;
    Ok(Growth {
        launches,
        lists,
        sweeps,
        peak_mb: megabytes(peak),
        launches_per_second: quota(stage, effort).await?,
        large_launch_mb: large_launch(stage).await?,
    })
}

async fn launch(stage: &Stage, secrets: usize, effort: Effort, peak: &mut u64) -> Result<Launch> {
    let from = stage.secrets(secrets, 64).await?;
    let mut launcher = stage.start(&stage.ours("launch-run")).await?;
    let (mut delays, mut calls) = (Vec::new(), 0);
    for turn in 0..=effort.growth {
        stage.aws.restore(&from);
        stage.aws.with(|aws| aws.delay = DELAY);
        let (answer, spent) = launcher.invoke(&stage.launch("aws-batch", "bundle")).await?;
        let body = expect("launch-run", &answer, 200)?;
        if body["secrets"].as_array().map(Vec::len) != Some(secrets) {
            return Err(wrong("launch-run", format!("a launch with {secrets} secrets has others")));
        }
        calls = stage.aws.take_calls().len();
        // The first one opens connections.
        if turn > 0 {
            let late = stage.aws.with(|aws| Summary::of_times(std::mem::take(&mut aws.delays)));
            delays.push(milliseconds(spent.wall) / late.median);
        }
    }
    *peak = launcher.peak_memory()?.max(*peak);
    Ok(Launch { secrets, delays: Summary::of(delays), calls })
}

async fn list(stage: &Stage, secrets: usize, effort: Effort, peak: &mut u64) -> Result<List> {
    stage.secrets(secrets, 64).await?;
    let mut reader = stage.start(&stage.ours("read-secrets")).await?;
    let (mut times, mut calls) = (Vec::new(), 0);
    for turn in 0..=effort.growth {
        stage.aws.take_calls();
        let (answer, spent) = reader.invoke(&stage.list()).await?;
        if expect("read-secrets", &answer, 200)?["totalSize"] != secrets {
            return Err(wrong("read-secrets", format!("a list of {secrets} has another length")));
        }
        calls = stage.aws.take_calls().len();
        if turn > 0 {
            times.push(spent.cpu);
        }
    }
    *peak = reader.peak_memory()?.max(*peak);
    Ok(List { secrets, cpu: Summary::of_times(times), calls })
}

async fn sweeps(stage: &Stage, peak: &mut u64) -> Result<Vec<Sweep>> {
    let from = stage.secrets(1, 64).await?;
    let ended = ended_run(stage, &from).await?;
    let mut program = stage.ours("launch-run");
    program.environment.push(("PENDING_SECONDS".to_owned(), SOON.as_secs().to_string().into()));
    stage.aws.restore(&from);
    let mut launcher = stage.start(&program).await?;
    for _ in 0..DUE {
        stage.launched(&mut launcher, "aws-batch").await?;
    }
    let due = stage.aws.snapshot();
    // No stand-in for time: what is to be due has to come to be.
    tokio::time::sleep(SOON).await;
    let (mut sweeps, mut there) = (Vec::new(), 0);
    stage.aws.restore(&due);
    for history in [1_000, 10_000, 100_000] {
        stage.aws.with(|aws| {
            for number in there..history {
                aws.services.database.put(&renamed(&ended, number));
            }
        });
        there = history;
        sweeps.push(sweep(stage, &due, history, peak).await?);
    }
    Ok(sweeps)
}

/// One sweep; what it changed is put back.
async fn sweep(stage: &Stage, due: &Snapshot, ended: usize, peak: &mut u64) -> Result<Sweep> {
    let mut cleaner = stage.start(&stage.ours("cleanup-run")).await?;
    stage.aws.take_calls();
    let (answer, spent) = cleaner.invoke(&json!({ "source": "pipeline-secrets.sweep" })).await?;
    let calls = stage.aws.take_calls();
    let left = stage.aws.with(|aws| aws.services.target.secrets.len());
    if !answer.is_null() || left != 0 {
        return Err(wrong("cleanup-run", format!("a sweep of {DUE} runs left {left} copies")));
    }
    stage.aws.put_back(due);
    *peak = cleaner.peak_memory()?.max(*peak);
    Ok(Sweep { ended, cpu_ms: milliseconds(spent.cpu), calls: calls.len() })
}

/// The row of a run that was launched, and ended.
async fn ended_run(stage: &Stage, from: &Snapshot) -> Result<Value> {
    let run = stage.run(from, "aws-batch").await?;
    let mut reporter = stage.start(&stage.ours("report-run")).await?;
    let (answer, _) = reporter.invoke(&stage.end(&run)).await?;
    expect("report-run", &answer, 200)?;
    let mut cleaner = stage.start(&stage.ours("cleanup-run")).await?;
    let look = json!({
        "source": "pipeline-secrets", "detail-type": "Run Look", "detail": { "workflowId": run.id },
    });
    cleaner.invoke(&look).await?;
    let key = format!("RUN#{}", run.id);
    let row =
        stage.aws.with(|aws| aws.services.database.rows()).into_iter().find(|row| row["pk"]["S"] == *key);
    let row = row.filter(|row| row["due"].is_null());
    row.ok_or_else(|| wrong("cleanup-run", "a run that was reported as over did not end"))
}

fn renamed(row: &Value, number: usize) -> Value {
    let mut row = row.clone();
    row["pk"]["S"] = format!("RUN#ab12{number:010}").into();
    row
}

/// Launches with 20 secrets each, from more clients than the quota serves: how many a second are live.
async fn quota(stage: &Stage, effort: Effort) -> Result<[f64; 2]> {
    let from = stage.secrets(20, 64).await?;
    let bundle = rate(stage, &from, "bundle", 8, effort.quota).await?;
    // A copy per name does best with as many clients as do not get into each other's way.
    let mut per_name: f64 = 0.0;
    for clients in [1, 2] {
        per_name = per_name.max(rate(stage, &from, "per-name", clients, effort.quota).await?);
    }
    Ok([bundle, per_name])
}

async fn rate(stage: &Stage, from: &Snapshot, layout: &str, clients: usize, time: Duration) -> Result<f64> {
    stage.aws.restore(from);
    let mut launchers = Vec::new();
    for _ in 0..clients {
        launchers.push(stage.start(&stage.ours("launch-run")).await?);
    }
    let mut limit = Limit::per_second(QUOTA);
    while limit.allows() {} // no second's worth saved up
    stage.aws.with(|aws| aws.limits.insert("CreateSecret", limit));
    let begun = Instant::now();
    let live =
        try_join_all(launchers.iter_mut().map(|launcher| launching(stage, launcher, layout, begun, time)));
    let live: u32 = live.await?.into_iter().sum();
    Ok(f64::from(live) / time.as_secs_f64())
}

/// Launches one after the other until the time is over; gives how many were live by then.
async fn launching(
    stage: &Stage,
    launcher: &mut Function,
    layout: &str,
    begun: Instant,
    time: Duration,
) -> Result<u32> {
    let mut live = 0;
    while begun.elapsed() < time {
        let (answer, _) = launcher.invoke(&stage.launch("aws-batch", layout)).await?;
        if answer["statusCode"] == 429 {
            continue;
        }
        expect("launch-run", &answer, 200)?;
        live += u32::from(begun.elapsed() < time);
    }
    Ok(live)
}

async fn large_launch(stage: &Stage) -> Result<f64> {
    let from = stage.secrets(64, 32 * 1024).await?;
    stage.aws.restore(&from);
    let mut launcher = stage.start(&stage.ours("launch-run")).await?;
    let (answer, _) = launcher.invoke(&stage.launch("aws-batch", "bundle")).await?;
    expect("launch-run", &answer, 200)?;
    Ok(megabytes(launcher.peak_memory()?))
}
