//! Receipts of runs.

use std::fmt::Write as _;

use domain::copies::Copy;
use domain::run::{PinnedSecret, Run};
use serde::Serialize;
use zeroize::Zeroizing;

use super::date;

/// A run's receipt: what it was given, when, and how it ended.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt<'a> {
    workflow_id: &'a str,
    state: &'a str,
    workspace_id: Option<i64>,
    user_id: i64,
    platform: &'a str,
    layout: Option<&'a str>,
    date_launched: String,
    date_delivered: Option<String>,
    date_ending: Option<String>,
    date_removed: Option<String>,
    /// When the run ends by itself unless it is heard of before.
    lease_until: Option<String>,
    head_job: Option<HeadJob<'a>>,
    outcome: Option<Outcome>,
    secrets: Vec<GivenSecret<'a>>,
    copies: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HeadJob<'a> {
    job_id: &'a str,
    job_queue: &'a str,
    region: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    result: domain::run::RunResult,
    exit_status: Option<i64>,
    told_by: domain::run::ToldBy,
}

/// One secret that a run was given.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GivenSecret<'a> {
    name: &'a str,
    owner: &'static str,
    secret_id: i64,
    version: u64,
    overrides: bool,
}

impl<'a> From<&'a PinnedSecret> for GivenSecret<'a> {
    fn from(pin: &'a PinnedSecret) -> Self {
        Self {
            name: pin.name.as_str(),
            owner: pin.owner.kind(),
            secret_id: pin.id.number(),
            version: pin.version,
            overrides: pin.overrides.is_some(),
        }
    }
}

impl<'a> From<&'a Run> for Receipt<'a> {
    fn from(run: &'a Run) -> Self {
        let life = &run.life;
        Self {
            workflow_id: run.id.as_str(),
            state: life.state.as_str(),
            workspace_id: run.workspace.map(domain::ids::WorkspaceId::number),
            user_id: run.user.number(),
            platform: run.platform.as_str(),
            layout: (!run.platform.claims()).then(|| run.layout.as_str()),
            date_launched: date(run.created),
            date_delivered: life.delivered.map(date),
            date_ending: life.ending.map(date),
            date_removed: life.removed.map(date),
            lease_until: life.state.is_live().then(|| date(life.lease_until)),
            head_job: life.head_job.as_ref().map(|job| HeadJob {
                job_id: &job.job_id,
                job_queue: &job.queue,
                region: &job.region,
            }),
            outcome: life.outcome.as_ref().map(|outcome| Outcome {
                result: outcome.result,
                exit_status: outcome.exit_status,
                told_by: outcome.told_by,
            }),
            secrets: life.secrets.iter().map(GivenSecret::from).collect(),
            copies: life.copies.iter().map(|copy: &Copy| copy.name.as_str()).collect(),
        }
    }
}

/// `GET /runs`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunList<'a> {
    runs: Vec<Receipt<'a>>,
    /// Passed as `after`, it gives the next page.
    next: Option<&'a str>,
}

impl<'a> RunList<'a> {
    /// A page; a full one may have a next.
    #[must_use]
    pub fn new(runs: &'a [Run], limit: u32) -> Self {
        let full = runs.len() >= limit as usize;
        Self {
            runs: runs.iter().map(Receipt::from).collect(),
            next: runs.last().filter(|_| full).map(|run| run.id.as_str()),
        }
    }
}

/// The state of a run, as its reports are answered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunState<'a> {
    workflow_id: &'a str,
    state: &'a str,
}

impl<'a> From<&'a Run> for RunState<'a> {
    fn from(run: &'a Run) -> Self {
        Self { workflow_id: run.id.as_str(), state: run.life.state.as_str() }
    }
}

/// The lines that a shell reads: `name=value` each, nothing quoted.
#[must_use]
pub fn lines(pairs: &[(&str, Option<&str>)]) -> Zeroizing<String> {
    let length = pairs.iter().map(|(name, value)| name.len() + value.map_or(0, str::len) + 2).sum();
    let mut text = Zeroizing::new(String::with_capacity(length));
    for (name, value) in pairs {
        if let Some(value) = value {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{name}={value}");
        }
    }
    text
}
