//! A run, and what becomes of it.
//!
//! [`next`] is the whole lifecycle of a run as one pure function: given how a run stands and what happened,
//! it says how the run stands then and what is to be done. Use cases write the new state first and act afterwards;
//! whoever finds the state written and the action undone (a crash, a lost event) does it again.
//!
//! ```text
//!         launch                  first heartbeat            end, final Batch event, or due
//!  (none) ──────▶ provisioning ──▶ pending ──────▶ running ──────▶ ending ──────▶ ended (receipt)
//!                      └──────── due: 2 minutes ─┴─ due: 24 h ──┴─ due: lease of 30 min, renewed ─▶ ending
//! ```

mod audit;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::copies::{CopyTags, Layout, RunCopy};
use crate::ids::{RunId, SecretId, UserId, WorkspaceId};
use crate::name::SecretName;
use crate::names::names;
use crate::owner::SecretOwner;
use crate::platform::Platform;
use crate::settings::Limits;
use crate::token::TokenHash;

pub use self::audit::StepAudit;
use self::audit::ending_audit_action;

/// A run as the table holds it: what was fixed at launch, and its lifecycle.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// The run's id.
    pub id: RunId,
    /// The workspace it was launched in; `None` for a launch with the user's own secrets alone.
    pub workspace: Option<WorkspaceId>,
    /// Who launched it.
    pub user: UserId,
    /// Where it executes.
    pub platform: Platform,
    /// How its copies are laid out.
    pub layout: Layout,
    /// When it was launched.
    #[serde(rename = "createdAt")]
    pub created: Timestamp,
    /// After this reports renew the lease no longer; only a live head job does.
    pub not_after: Timestamp,
    /// What changes.
    #[serde(flatten)]
    pub lifecycle: Lifecycle,
}

impl Run {
    /// Whose run it is: the scope of its copies' tags, its audit rows and its listing.
    #[must_use]
    pub fn scope(&self) -> SecretOwner {
        self.workspace.map_or(SecretOwner::User(self.user), SecretOwner::Workspace)
    }

    /// The tags of its copies.
    #[must_use]
    pub fn copy_tags(&self, deployment: &str) -> CopyTags {
        CopyTags {
            deployment: deployment.to_owned(),
            scope: self.scope(),
            run: self.id.to_string(),
            not_after: self.not_after,
        }
    }
}

/// The part of a run that changes. Every write of it is conditional on `revision`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lifecycle {
    /// One more with every write.
    pub revision: u64,
    /// Where the run stands.
    pub state: State,
    /// When the sweep has to look at it; `None` once ended.
    #[serde(default, rename = "dueAt")]
    pub due: Option<Timestamp>,
    /// Until when the last heartbeat holds.
    pub lease_until: Timestamp,
    /// The secrets it was given, with the versions pinned.
    pub secrets: Vec<PinnedSecret>,
    /// The copies that it has or may have in AWS Secrets Manager.
    #[serde(default)]
    pub copies: Vec<RunCopy>,
    /// The hash of the run token.
    pub run_token: TokenHash,
    /// The hash of the claim token, where the platform claims.
    #[serde(default)]
    pub claim_token: Option<TokenHash>,
    /// When the claim token was used.
    #[serde(default)]
    pub claimed: Option<Timestamp>,
    /// When the copies were all made, or the store handed over.
    #[serde(default)]
    pub delivered: Option<Timestamp>,
    /// The recorded head job.
    #[serde(default)]
    pub head_job: Option<HeadJob>,
    /// How the run ended, by whoever told first.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// When `ending` was written.
    #[serde(default)]
    pub ending: Option<Timestamp>,
    /// When the last copy was seen to be gone.
    #[serde(default)]
    pub removed: Option<Timestamp>,
}

names! {
    /// Where a run stands. Ordered: a run never goes back.
    "state" pub enum State {
        /// The intent is written; copies are being made.
        Provisioning = "provisioning",
        /// Launched; no heartbeat yet.
        Pending = "pending",
        /// Seen alive.
        Running = "running",
        /// Over; its copies are being removed.
        Ending = "ending",
        /// Over, and nothing of it is left: the row is its receipt.
        Ended = "ended",
    }
}

impl State {
    /// Whether the run may still use its secrets.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Provisioning | Self::Pending | Self::Running)
    }
}

/// One secret of a run: which, whose, and the version that was delivered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PinnedSecret {
    /// Its name.
    pub name: SecretName,
    /// Whose it is: the winner.
    pub owner: SecretOwner,
    /// Its id.
    pub id: SecretId,
    /// The version delivered.
    pub version: u64,
    /// The workspace's secret of the same name that a user's own one took the place of.
    #[serde(default)]
    pub overrides: Option<SecretId>,
}

/// The AWS Batch job that runs Nextflow.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeadJob {
    /// The job's id.
    pub job_id: String,
    /// The queue's ARN, as DescribeJobs says it.
    pub queue: String,
    /// The region.
    pub region: String,
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The result.
    pub result: RunResult,
    /// The exit status, where one was told.
    #[serde(default)]
    pub exit_status: Option<i64>,
    /// Who told.
    #[serde(rename = "toldBy")]
    pub reported_by: ReportedBy,
}

names! {
    /// The result of a run.
    "result" pub enum RunResult {
        /// It did what it should.
        Succeeded = "succeeded",
        /// It failed.
        Failed = "failed",
        /// The launch did not complete; the run never had its secrets.
        LaunchFailed = "launch-failed",
        /// It was never heard of again.
        Lost = "lost",
    }
}

names! {
    /// Who told how a run ended.
    "source" pub enum ReportedBy {
        /// The launch itself.
        Launch = "launch",
        /// A report under the run token.
        Report = "report",
        /// AWS Batch, asked about the head job.
        HeadJob = "head-job",
        /// Nobody: the due time passed.
        Sweep = "sweep",
    }
}

/// What DescribeJobs says of a recorded head job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JobStatus {
    /// The job exists and may still run, or run again.
    NotFinal,
    /// The job ended for good.
    Final {
        /// Whether it succeeded.
        succeeded: bool,
        /// The container's exit status.
        exit_status: Option<i64>,
    },
    /// No such job.
    Unknown,
}

/// What can happen to a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// All copies were made: these, with their ARNs.
    Provisioned(Vec<RunCopy>),
    /// A value was rotated during the launch: these are the versions that it gets.
    Repinned(Vec<PinnedSecret>),
    /// The launch was repeated with its idempotency key: the first answer's tokens are dead.
    TokensRenewed {
        /// The new run token's hash.
        run_token: TokenHash,
        /// The new claim token's hash, where the platform claims.
        claim_token: Option<TokenHash>,
    },
    /// The launch could not be completed, and nobody was shown the run's present tokens.
    LaunchFailed,
    /// A claim found that the run cannot get what it was promised.
    ClaimRefused,
    /// The claim token was used, and these versions were handed over.
    Claimed(Vec<PinnedSecret>),
    /// A heartbeat under the run token.
    Heartbeat,
    /// The head job became known, and is not final.
    HeadJobRecorded(HeadJob),
    /// A report, under the run token, that the run is over.
    Reported(Outcome),
    /// DescribeJobs answered about the recorded head job.
    HeadJobObserved(JobStatus),
    /// Somebody looks whether the run is due: the sweep, or an event that is only a hint.
    Inspected,
    /// The table was restored from a backup and does not know what became of the run since.
    Restored,
    /// DescribeSecret found none of the run's copies.
    CopiesDeleted,
}

/// What is to be done once the new state is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Ask DescribeJobs about the recorded head job, and come back with [`Event::HeadJobObserved`].
    ObserveHeadJob,
    /// Remove every copy named in the run, and come back with [`Event::CopiesDeleted`].
    RemoveCopies,
}

/// What an event does to a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The lifecycle to write, one revision on, if the event changes it.
    pub lifecycle: Option<Lifecycle>,
    /// What the audit trail says of the change; `None` for those that it leaves out.
    pub audit: Option<StepAudit>,
    /// What is to be done after that.
    pub action: Option<Action>,
}

/// How soon a head job is asked about again after its run was reported over.
const RECHECK: SignedDuration = SignedDuration::from_mins(5);

/// Decides what an event does to a run. Total: an event that comes late, twice or out of order changes nothing.
#[must_use]
pub fn next(run: &Run, event: Event, now: Timestamp, limits: &Limits) -> Step {
    let of_event = event.audit_action();
    let detail = (event == Event::ClaimRefused).then_some("claim refused");
    let (lifecycle, action) = decide(run, event, now, limits);
    // The store reads no row with the last revision; this only must not panic.
    let revision = run.lifecycle.revision.saturating_add(1);
    let lifecycle = lifecycle.map(|lifecycle| Lifecycle { revision, ..lifecycle });
    let audit = lifecycle
        .as_ref()
        .and_then(|after| of_event.or_else(|| ending_audit_action(run.lifecycle.state, after.state)))
        .map(|action| StepAudit { action, detail });
    Step { lifecycle, audit, action }
}

/// The lifecycle to write, and what is to be done after that.
type Decision = (Option<Lifecycle>, Option<Action>);

const NOTHING: Decision = (None, None);

fn write(lifecycle: Lifecycle) -> Decision {
    (Some(lifecycle), None)
}

fn act(action: Action) -> Decision {
    (None, Some(action))
}

#[expect(clippy::match_same_arms, reason = "the arms are read state by state")]
fn decide(run: &Run, event: Event, now: Timestamp, limits: &Limits) -> Decision {
    let lifecycle = &run.lifecycle;
    match (lifecycle.state, event) {
        (State::Ended, _) => NOTHING,
        (State::Ending, Event::CopiesDeleted) => write(ended(lifecycle.clone(), now)),
        (State::Ending, Event::Inspected) => act(Action::RemoveCopies),
        (State::Ending, _) | (_, Event::CopiesDeleted) => NOTHING,
        (_, Event::Restored) => restored(run, now, limits),

        (State::Provisioning, Event::Provisioned(copies)) => {
            let delivered = (!run.platform.claims()).then_some(now);
            let lease_until = now + limits.pending;
            write(Lifecycle {
                state: State::Pending,
                due: Some(lease_until),
                lease_until,
                copies,
                delivered,
                ..lifecycle.clone()
            })
        }
        (State::Provisioning, Event::Repinned(secrets)) => write(Lifecycle { secrets, ..lifecycle.clone() }),
        (State::Provisioning, Event::Inspected) if is_due(lifecycle, now) => {
            end(lifecycle, launch_failed(ReportedBy::Sweep), now)
        }
        (State::Provisioning, Event::LaunchFailed) => end(lifecycle, launch_failed(ReportedBy::Launch), now),
        (State::Provisioning, _) | (_, Event::Provisioned(_) | Event::Repinned(_)) => NOTHING,

        (State::Pending, Event::TokensRenewed { run_token, claim_token })
            if lifecycle.claimed.is_none() && lifecycle.head_job.is_none() =>
        {
            write(Lifecycle { run_token, claim_token, ..lifecycle.clone() })
        }
        (_, Event::TokensRenewed { .. }) => NOTHING,
        // The launch did not hear that its last write took effect: its caller is told that it failed.
        (State::Pending, Event::LaunchFailed)
            if lifecycle.claimed.is_none() && lifecycle.head_job.is_none() =>
        {
            end(lifecycle, launch_failed(ReportedBy::Launch), now)
        }
        (_, Event::LaunchFailed) => NOTHING,
        (_, Event::ClaimRefused) if lifecycle.claim_token.is_some() => {
            end(lifecycle, launch_failed(ReportedBy::Launch), now)
        }
        (_, Event::ClaimRefused) => NOTHING,
        (_, Event::Claimed(secrets)) => {
            if lifecycle.claimed.is_some() {
                return NOTHING;
            }
            let claimed =
                Lifecycle { secrets, claimed: Some(now), delivered: Some(now), ..lifecycle.clone() };
            write(renewed(claimed, now, limits))
        }
        (_, Event::Heartbeat) => heartbeat(run, now, limits),
        (_, Event::HeadJobRecorded(job)) => {
            if lifecycle.head_job.is_some() {
                return NOTHING;
            }
            // Due at once: a job that ended before it was recorded sends no event any more.
            write(Lifecycle {
                head_job: Some(job),
                due: Some(now),
                ..renewed(lifecycle.clone(), now, limits)
            })
        }
        (_, Event::Reported(outcome)) => reported(lifecycle, outcome, now),
        (_, Event::HeadJobObserved(sighting)) => head_job_seen(lifecycle, &sighting, now, limits),
        (_, Event::Inspected) if lifecycle.head_job.is_some() => act(Action::ObserveHeadJob),
        // Reports renew no lease past the latest end, so that none can hold longer than this.
        (_, Event::Inspected)
            if is_due(lifecycle, now) || now.duration_since(run.not_after) >= limits.lease =>
        {
            end(
                lifecycle,
                Outcome { result: RunResult::Lost, exit_status: None, reported_by: ReportedBy::Sweep },
                now,
            )
        }
        (_, Event::Inspected) => NOTHING,
    }
}

fn heartbeat(run: &Run, now: Timestamp, limits: &Limits) -> Decision {
    let lifecycle = &run.lifecycle;
    let fresh = lifecycle.state == State::Running && lifecycle.lease_until >= now + limits.lease / 2;
    if fresh || now >= run.not_after {
        return NOTHING;
    }
    let renewed = renewed(lifecycle.clone(), now, limits);
    // A run that was told to be looked at soon is still looked at soon.
    let due = match lifecycle.due {
        Some(due) if lifecycle.head_job.is_some() => Some(due),
        _ => renewed.due,
    };
    write(Lifecycle { due, ..renewed })
}

/// A report ends a run without a head job. With one it only says when to ask: a first attempt that failed reports the
/// end, and the job's second attempt still needs the secrets.
fn reported(lifecycle: &Lifecycle, outcome: Outcome, now: Timestamp) -> Decision {
    if lifecycle.head_job.is_none() {
        return end(lifecycle, outcome, now);
    }
    let asked = Lifecycle { outcome: Some(outcome), due: Some(now), ..lifecycle.clone() };
    (Some(asked), Some(Action::ObserveHeadJob))
}

fn head_job_seen(lifecycle: &Lifecycle, sighting: &JobStatus, now: Timestamp, limits: &Limits) -> Decision {
    if lifecycle.head_job.is_none() {
        return NOTHING;
    }
    match *sighting {
        JobStatus::Final { succeeded, exit_status } => {
            let result = if succeeded { RunResult::Succeeded } else { RunResult::Failed };
            let outcome = Outcome { result, exit_status, reported_by: ReportedBy::HeadJob };
            end(lifecycle, outcome, now)
        }
        JobStatus::NotFinal => {
            let renewed = renewed(lifecycle.clone(), now, limits);
            let due = match lifecycle.outcome {
                Some(_) => Some(now + RECHECK.min(limits.lease)),
                None => renewed.due,
            };
            write(Lifecycle { due, ..renewed })
        }
        // AWS Batch forgets a job a day or more after its end, and may not know one yet just after SubmitJob.
        JobStatus::Unknown if now >= lifecycle.lease_until => end(
            lifecycle,
            Outcome { result: RunResult::Lost, exit_status: None, reported_by: ReportedBy::HeadJob },
            now,
        ),
        JobStatus::Unknown if lifecycle.due == Some(lifecycle.lease_until) => NOTHING,
        JobStatus::Unknown => write(Lifecycle { due: Some(lifecycle.lease_until), ..lifecycle.clone() }),
    }
}

/// A run of a restored table may have gone on since the backup, and its reports are lost: nothing that the row says of
/// its end can be trusted. A recorded head job is asked about; without one the copies live until the run's latest end,
/// as those of unknown runs do, unless it reports its end before. A claim token that may have been used since is dead.
fn restored(run: &Run, now: Timestamp, limits: &Limits) -> Decision {
    let lifecycle = &run.lifecycle;
    if lifecycle.claim_token.is_some() && lifecycle.claimed.is_none() {
        return end(lifecycle, launch_failed(ReportedBy::Sweep), now);
    }
    let (lease_until, due) = match lifecycle.head_job {
        Some(_) if lifecycle.lease_until >= now + limits.lease / 2 => return NOTHING,
        Some(_) => (now + limits.lease, now),
        None if lifecycle.state != State::Provisioning && lifecycle.lease_until >= run.not_after => {
            return NOTHING;
        }
        None => (run.not_after, run.not_after),
    };
    let state = lifecycle.state.max(State::Pending);
    write(Lifecycle { state, lease_until, due: Some(due), ..lifecycle.clone() })
}

fn is_due(lifecycle: &Lifecycle, now: Timestamp) -> bool {
    // A run that lives always has a due time; one that lost it is due.
    lifecycle.due.is_none_or(|due| due <= now)
}

fn renewed(lifecycle: Lifecycle, now: Timestamp, limits: &Limits) -> Lifecycle {
    let lease_until = now + limits.lease;
    Lifecycle { state: State::Running, due: Some(lease_until), lease_until, ..lifecycle }
}

/// Where there is nothing to remove, the end is the end at once.
fn end(lifecycle: &Lifecycle, outcome: Outcome, now: Timestamp) -> Decision {
    let ending = Lifecycle {
        state: State::Ending,
        due: Some(now),
        outcome: Some(outcome),
        ending: Some(now),
        ..lifecycle.clone()
    };
    if ending.copies.is_empty() {
        return write(ended(ending, now));
    }
    (Some(ending), Some(Action::RemoveCopies))
}

fn ended(lifecycle: Lifecycle, now: Timestamp) -> Lifecycle {
    Lifecycle { state: State::Ended, due: None, removed: Some(now), ..lifecycle }
}

fn launch_failed(reported_by: ReportedBy) -> Outcome {
    Outcome { result: RunResult::LaunchFailed, exit_status: None, reported_by }
}

#[cfg(test)]
mod tests;
