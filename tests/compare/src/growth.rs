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
use crate::fixture::{Fixture, SOON, expect, wrong};
use crate::function::Function;
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
    for turn in 0..=effort.growth {
        fixture.aws.restore(&from);
        fixture.aws.with(|aws| aws.delay = DELAY);
        let (answer, spent) = launcher.invoke(&fixture.launch("aws-batch", "bundle")).await?;
        let body = expect("launch-run", &answer, 200)?;
        if body["secrets"].as_array().map(Vec::len) != Some(secrets) {
            return Err(wrong("launch-run", format!("a launch with {secrets} secrets has others")));
        }
        calls = fixture.aws.take_calls().len();
        // The first one opens connections.
        if turn > 0 {
            let late = fixture.aws.with(|aws| Summary::of_times(std::mem::take(&mut aws.delays)));
            delays.push(milliseconds(spent.wall) / late.median);
        }
    }
    *peak = launcher.peak_memory()?.max(*peak);
    Ok(Launch { secrets, delays: Summary::of(delays), calls })
}

async fn list(fixture: &Fixture, secrets: usize, effort: Effort, peak: &mut u64) -> Result<List> {
    fixture.secrets(secrets, 64).await?;
    let mut reader = fixture.start(&fixture.ours("read-secrets")).await?;
    let (mut times, mut calls) = (Vec::new(), 0);
    for turn in 0..=effort.growth {
        fixture.aws.take_calls();
        let (answer, spent) = reader.invoke(&fixture.list()).await?;
        if expect("read-secrets", &answer, 200)?["totalSize"] != secrets {
            return Err(wrong("read-secrets", format!("a list of {secrets} has another length")));
        }
        calls = fixture.aws.take_calls().len();
        if turn > 0 {
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
    // No stand-in for time: what is to be due has to come to be.
    tokio::time::sleep(SOON).await;
    let (mut sweeps, mut there) = (Vec::new(), 0);
    fixture.aws.restore(&due);
    for history in [1_000, 10_000, 100_000] {
        fixture.aws.with(|aws| {
            for number in there..history {
                aws.services.database.put(&renamed(&ended, number));
            }
        });
        there = history;
        sweeps.push(sweep(fixture, &due, history, peak).await?);
    }
    Ok(sweeps)
}

/// One sweep; what it changed is put back.
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

/// The row of a run that was launched, and ended.
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
    row.ok_or_else(|| wrong("cleanup-run", "a run that was reported as over did not end"))
}

fn renamed(row: &Value, number: usize) -> Value {
    let mut row = row.clone();
    row["pk"]["S"] = format!("RUN#ab12{number:010}").into();
    row
}

/// Launches with 20 secrets each, from more clients than the quota serves: how many a second are live.
async fn quota(fixture: &Fixture, effort: Effort) -> Result<[f64; 2]> {
    let from = fixture.secrets(20, 64).await?;
    let bundle = rate(fixture, &from, "bundle", 8, effort.quota).await?;
    // A copy per name does best with as many clients as do not get into each other's way.
    let mut per_name: f64 = 0.0;
    for clients in [1, 2] {
        per_name = per_name.max(rate(fixture, &from, "per-name", clients, effort.quota).await?);
    }
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
    while limit.allows() {} // no second's worth saved up
    fixture.aws.with(|aws| aws.limits.insert("CreateSecret", limit));
    let begun = Instant::now();
    let live =
        try_join_all(launchers.iter_mut().map(|launcher| launching(fixture, launcher, layout, begun, time)));
    let live: u32 = live.await?.into_iter().sum();
    Ok(f64::from(live) / time.as_secs_f64())
}

/// Launches one after the other until the time is over; gives how many were live by then.
async fn launching(
    fixture: &Fixture,
    launcher: &mut Function,
    layout: &str,
    begun: Instant,
    time: Duration,
) -> Result<u32> {
    let mut live = 0;
    while begun.elapsed() < time {
        let (answer, _) = launcher.invoke(&fixture.launch("aws-batch", layout)).await?;
        if answer["statusCode"] == 429 {
            continue;
        }
        expect("launch-run", &answer, 200)?;
        live += u32::from(begun.elapsed() < time);
    }
    Ok(live)
}

async fn large_launch(fixture: &Fixture) -> Result<f64> {
    let from = fixture.secrets(64, 32 * 1024).await?;
    fixture.aws.restore(&from);
    let mut launcher = fixture.start(&fixture.ours("launch-run")).await?;
    let (answer, _) = launcher.invoke(&fixture.launch("aws-batch", "bundle")).await?;
    expect("launch-run", &answer, 200)?;
    Ok(megabytes(launcher.peak_memory()?))
}
