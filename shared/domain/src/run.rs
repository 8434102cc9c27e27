//! Runs and their lifecycle.
//!
//! [`next`] is the lifecycle of a run as one pure function: from a run and an event it derives the
//! new state and the action to take. Use cases write the new state first and act afterwards. If the
//! action is missing after a crash or a lost event, the next inspection repeats it.
//!
//! ```text
//!        launch                first heartbeat         end, final Batch event, or due
//! (none) ─────▶ provisioning ──▶ pending ─────▶ running ─────▶ ending ─────▶ ended (receipt)
//!                    └─ due: 2 minutes ─┴─ due: 24 h ─┴─ due: lease of 30 min, renewed ─▶ ending
//! ```

mod audit;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::copies::{CopyTags, Layout, RunCopy};
use crate::environment::Target;
use crate::ids::{RunId, SecretId, TokenId, UserId, WorkspaceId};
use crate::name::SecretName;
use crate::names::names;
use crate::owner::SecretOwner;
use crate::platform::Platform;
use crate::settings::Limits;
use crate::token::TokenHash;

pub use self::audit::StepAudit;
use self::audit::ending_audit_action;

/// A stored run: what was fixed at launch, and its lifecycle.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// The run's id.
    pub id: RunId,
    /// The workspace of the launch; `None` for a launch with user secrets only.
    pub workspace: Option<WorkspaceId>,
    /// The user who launched it.
    pub user: UserId,
    /// The personal access token of the launch, which can be revoked before the claim; `None` for a
    /// JSON Web Token, and for runs of versions that did not record it.
    #[serde(default)]
    pub launched_with: Option<TokenId>,
    /// The platform on which it executes.
    pub platform: Platform,
    /// The layout of its copies.
    pub layout: Layout,
    /// When it was launched.
    #[serde(rename = "createdAt")]
    pub created: Timestamp,
    /// The latest end: after it, reports no longer renew the lease. Only a live head job does, for
    /// the further time of [`Limits::head_job_grace`].
    pub not_after: Timestamp,
    /// Where it executes, and where its copies are.
    #[serde(default)]
    pub target: Target,
    /// The part that changes.
    #[serde(flatten)]
    pub lifecycle: Lifecycle,
}

impl Run {
    /// Returns the scope of the run's copies, audit records and listing.
    #[must_use]
    pub fn scope(&self) -> SecretOwner {
        self.workspace.map_or(SecretOwner::User(self.user), SecretOwner::Workspace)
    }

    /// Whether its head job keeps it live past its latest end, which operators should look into.
    #[must_use]
    pub fn is_overdue_by_head_job(&self, now: Timestamp) -> bool {
        let lifecycle = &self.lifecycle;
        lifecycle.state.is_live() && lifecycle.head_job.is_some() && now >= self.not_after
    }

    /// Returns the tags of the run's copies.
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

/// The part of a run that changes. Every write is conditional on `revision`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lifecycle {
    /// Incremented with every write.
    pub revision: u64,
    /// The run's state.
    pub state: State,
    /// When the sweep must inspect the run; `None` after the end.
    #[serde(default, rename = "dueAt")]
    pub due: Option<Timestamp>,
    /// When the lease of the last heartbeat ends.
    pub lease_until: Timestamp,
    /// The delivered secrets, with pinned versions.
    pub secrets: Vec<PinnedSecret>,
    /// The copies that exist or may exist in AWS Secrets Manager.
    #[serde(default)]
    pub copies: Vec<RunCopy>,
    /// The hash of the run token.
    pub run_token: TokenHash,
    /// The hash of the claim token, on platforms with claims.
    #[serde(default)]
    pub claim_token: Option<TokenHash>,
    /// When the claim token was used.
    #[serde(default)]
    pub claimed: Option<Timestamp>,
    /// When all copies were created, or the claim delivered the store.
    #[serde(default)]
    pub delivered: Option<Timestamp>,
    /// The recorded head job.
    #[serde(default)]
    pub head_job: Option<HeadJob>,
    /// How the run ended, from the first source that reported it.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// When the state became `ending`.
    #[serde(default)]
    pub ending: Option<Timestamp>,
    /// When the last copy was found to be deleted.
    #[serde(default)]
    pub removed: Option<Timestamp>,
}

impl Lifecycle {
    /// Returns the copies that may be left of a run whose environment could not be used until its
    /// end.
    #[must_use]
    pub fn copies_left(&self) -> &[RunCopy] {
        match (self.state, self.removed) {
            (State::Ended, None) => &self.copies,
            _ => &[],
        }
    }
}

names! {
    /// The state of a run. States are ordered, and a run never goes back.
    "state" pub enum State {
        /// The intent is written. Copies are being created.
        Provisioning = "provisioning",
        /// The launch is complete. No heartbeat yet.
        Pending = "pending",
        /// A heartbeat, a claim or a head job showed that the run is alive.
        Running = "running",
        /// The run has ended. Its copies are being deleted.
        Ending = "ending",
        /// The run has ended and is cleaned up. The row is its receipt.
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

/// A secret of a run, with the delivered version.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PinnedSecret {
    /// Its name.
    pub name: SecretName,
    /// The workspace or user that owns it.
    pub owner: SecretOwner,
    /// Its id.
    pub id: SecretId,
    /// The delivered version.
    pub version: u64,
    /// The workspace secret of the same name that this user secret overrides.
    #[serde(default)]
    pub overrides: Option<SecretId>,
}

/// The AWS Batch job that runs Nextflow.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeadJob {
    /// The job's id.
    pub job_id: String,
    /// The queue's ARN, from DescribeJobs.
    pub queue: String,
    /// The region.
    pub region: String,
    /// The account; `None` for the account and region of the deployment.
    #[serde(default)]
    pub account: Option<String>,
}

impl HeadJob {
    /// Returns where the job is.
    #[must_use]
    pub fn location(&self) -> JobLocation<'_> {
        JobLocation { account: self.account.as_deref(), region: &self.region, job_id: &self.job_id }
    }
}

/// Where a job is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JobLocation<'a> {
    /// The account; `None` for the account and region of the deployment.
    pub account: Option<&'a str>,
    /// The region.
    pub region: &'a str,
    /// The job's id.
    pub job_id: &'a str,
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The result.
    pub result: RunResult,
    /// The exit status, if one was reported.
    #[serde(default)]
    pub exit_status: Option<i64>,
    /// Where the outcome came from.
    #[serde(rename = "toldBy")]
    pub reported_by: ReportedBy,
    /// The user who cancelled the run.
    #[serde(default)]
    pub cancelled_by: Option<UserId>,
}

impl Outcome {
    /// Creates an outcome without an exit status, which no user caused.
    const fn without_status(result: RunResult, reported_by: ReportedBy) -> Self {
        Self { result, exit_status: None, reported_by, cancelled_by: None }
    }
}

names! {
    /// The result of a run.
    "result" pub enum RunResult {
        /// The pipeline succeeded.
        Succeeded = "succeeded",
        /// The pipeline failed.
        Failed = "failed",
        /// The launch failed. The run never received its secrets.
        LaunchFailed = "launch-failed",
        /// The run stopped sending heartbeats.
        Lost = "lost",
        /// A user ended the run, or its workspace was deleted.
        Cancelled = "cancelled",
    }
}

names! {
    /// The source of a run's outcome.
    "source" pub enum ReportedBy {
        /// The launch itself.
        Launch = "launch",
        /// A report with the run token.
        Report = "report",
        /// The state of the head job in AWS Batch.
        HeadJob = "head-job",
        /// The sweep, because the due time passed or the workspace was deleted.
        Sweep = "sweep",
        /// A user who cancelled the run.
        User = "user",
    }
}

/// The status of a recorded head job in DescribeJobs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JobStatus {
    /// The job may still run, or run again.
    NotFinal,
    /// The job ended and will not be retried.
    Final {
        /// Whether it succeeded.
        succeeded: bool,
        /// The container's exit status.
        exit_status: Option<i64>,
    },
    /// The job does not exist.
    Unknown,
}

/// An event in a run's lifecycle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// All copies were created. Contains them, with their ARNs.
    Provisioned(Vec<RunCopy>),
    /// A value was updated during the launch. Contains the versions that the run gets.
    Repinned(Vec<PinnedSecret>),
    /// The launch was replayed with its idempotency key. The tokens of the first answer are no
    /// longer valid.
    TokensRenewed {
        /// The new run token's hash.
        run_token: TokenHash,
        /// The new claim token's hash, on platforms with claims.
        claim_token: Option<TokenHash>,
    },
    /// The launch failed, and no client received the run's current tokens.
    LaunchFailed,
    /// A claim found that the run cannot get its secrets.
    ClaimRefused,
    /// The claim token was used. Contains the delivered versions.
    Claimed(Vec<PinnedSecret>),
    /// A heartbeat with the run token.
    Heartbeat,
    /// The run's head job was recorded. It is not final.
    HeadJobRecorded(HeadJob),
    /// A report with the run token that the run has ended.
    Reported(Outcome),
    /// A user ends the run.
    Cancelled {
        /// The user.
        by: UserId,
        /// What DescribeJobs returned for the recorded head job. Not needed if the cancellation is
        /// forced.
        head_job: Option<JobStatus>,
        /// Whether to end the run even though its head job may need the copies.
        forced: bool,
    },
    /// DescribeJobs returned the status of the recorded head job.
    HeadJobObserved(JobStatus),
    /// The sweep, or an event that is only a hint, checks whether the run is due.
    Inspected,
    /// The table was restored from a backup. What happened to the run since is unknown.
    Restored,
    /// The run's workspace was deleted.
    OwnerRemoved,
    /// DescribeSecret found no copy of the run.
    CopiesDeleted,
    /// The run's environment could not be used, to observe its head job or to delete its copies.
    Unreachable,
}

/// The action to take after the new state is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Ask DescribeJobs about the recorded head job, then apply [`Event::HeadJobObserved`].
    ObserveHeadJob,
    /// Delete every copy named in the run, then apply [`Event::CopiesDeleted`].
    RemoveCopies,
}

/// The effect of an event on a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The lifecycle to write, with the next revision, if the event changes it.
    pub lifecycle: Option<Lifecycle>,
    /// The audit action of the change; `None` if it is not audited.
    pub audit: Option<StepAudit>,
    /// The action to take after that.
    pub action: Option<Action>,
}

/// From the latest end of a run in an environment that cannot be used to the end of the attempts.
const ABANDONED_AFTER: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The interval of status checks on the head job of a run that was reported as ended.
const RECHECK: SignedDuration = SignedDuration::from_mins(5);

/// Derives the effect of an event on a run. Defined for every state and event: an event that is
/// late, duplicate or out of order changes nothing.
#[must_use]
pub fn next(run: &Run, event: Event, now: Timestamp, limits: &Limits) -> Step {
    let event_action = event.audit_action();
    let detail = match event {
        Event::ClaimRefused => Some("claim refused"),
        Event::Cancelled { forced: true, .. } => Some("forced"),
        Event::Unreachable => Some("environment unreachable, copies left"),
        Event::OwnerRemoved => Some("owner deleted"),
        _ => None,
    };
    let (lifecycle, action) = decide(run, event, now, limits);
    // Saturates instead of panicking: the store rejects a row with the maximum revision.
    let revision = run.lifecycle.revision.saturating_add(1);
    let lifecycle = lifecycle.map(|lifecycle| Lifecycle { revision, ..lifecycle });
    let audit = lifecycle
        .as_ref()
        .and_then(|after| event_action.or_else(|| ending_audit_action(run.lifecycle.state, after)))
        .map(|action| StepAudit { action, detail });
    Step { lifecycle, audit, action }
}

/// The lifecycle to write, and the action to take after that.
type Decision = (Option<Lifecycle>, Option<Action>);

const NO_CHANGE: Decision = (None, None);

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
        (State::Ended, _) => NO_CHANGE,
        (_, Event::Unreachable) if is_lost_with_its_environment(run, now) => {
            write(abandoned(lifecycle.clone(), now))
        }
        (_, Event::Unreachable) => NO_CHANGE,
        (State::Ending, Event::CopiesDeleted) => write(ended(lifecycle.clone(), now)),
        (State::Ending, Event::Inspected) => act(Action::RemoveCopies),
        (State::Ending, _) | (_, Event::CopiesDeleted) => NO_CHANGE,
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
        (State::Provisioning, _) | (_, Event::Provisioned(_) | Event::Repinned(_)) => NO_CHANGE,

        (State::Pending, Event::TokensRenewed { run_token, claim_token })
            if lifecycle.claimed.is_none() && lifecycle.head_job.is_none() =>
        {
            write(Lifecycle { run_token, claim_token, ..lifecycle.clone() })
        }
        (_, Event::TokensRenewed { .. }) => NO_CHANGE,
        // The launch does not know that its last write took effect, and reports a failure to its
        // client.
        (State::Pending, Event::LaunchFailed)
            if lifecycle.claimed.is_none() && lifecycle.head_job.is_none() =>
        {
            end(lifecycle, launch_failed(ReportedBy::Launch), now)
        }
        (_, Event::LaunchFailed) => NO_CHANGE,
        (_, Event::ClaimRefused) if lifecycle.claim_token.is_some() => {
            end(lifecycle, launch_failed(ReportedBy::Launch), now)
        }
        (_, Event::ClaimRefused) => NO_CHANGE,
        (_, Event::Claimed(secrets)) => {
            if lifecycle.claimed.is_some() {
                return NO_CHANGE;
            }
            let claimed =
                Lifecycle { secrets, claimed: Some(now), delivered: Some(now), ..lifecycle.clone() };
            write(renewed(claimed, now, limits))
        }
        (_, Event::Heartbeat) => heartbeat(run, now, limits),
        (_, Event::HeadJobRecorded(job)) => {
            if lifecycle.head_job.is_some() {
                return NO_CHANGE;
            }
            // Due at once: if the job ended before it was recorded, no further event will arrive.
            write(Lifecycle {
                head_job: Some(job),
                due: Some(now),
                ..renewed(lifecycle.clone(), now, limits)
            })
        }
        (_, Event::Reported(outcome)) => reported(lifecycle, outcome, now),
        (_, Event::Cancelled { by, head_job, forced }) => cancelled(run, by, head_job, forced, now, limits),
        (_, Event::OwnerRemoved) => {
            let outcome = Outcome::without_status(RunResult::Cancelled, ReportedBy::Sweep);
            end(lifecycle, outcome, now)
        }
        (_, Event::HeadJobObserved(status)) => head_job_observed(run, &status, now, limits),
        (_, Event::Inspected) if lifecycle.head_job.is_some() => act(Action::ObserveHeadJob),
        // Reports renew no lease after the latest end, so no lease can last longer than this.
        (_, Event::Inspected)
            if is_due(lifecycle, now) || now.duration_since(run.not_after) >= limits.lease =>
        {
            end(lifecycle, Outcome::without_status(RunResult::Lost, ReportedBy::Sweep), now)
        }
        (_, Event::Inspected) => NO_CHANGE,
    }
}

fn heartbeat(run: &Run, now: Timestamp, limits: &Limits) -> Decision {
    let lifecycle = &run.lifecycle;
    let fresh = lifecycle.state == State::Running && lifecycle.lease_until >= now + limits.lease / 2;
    if fresh || now >= run.not_after {
        return NO_CHANGE;
    }
    let renewed = renewed(lifecycle.clone(), now, limits);
    // With a recorded head job, keep the due time: a status check may be due soon.
    let due = match lifecycle.due {
        Some(due) if lifecycle.head_job.is_some() => Some(due),
        _ => renewed.due,
    };
    write(Lifecycle { due, ..renewed })
}

/// A report ends a run without a head job. With a head job, it only triggers a status check: a
/// failed first attempt reports the end, and the job's second attempt still needs the secrets.
fn reported(lifecycle: &Lifecycle, outcome: Outcome, now: Timestamp) -> Decision {
    if lifecycle.head_job.is_none() {
        return end(lifecycle, outcome, now);
    }
    let asked = Lifecycle { outcome: Some(outcome), due: Some(now), ..lifecycle.clone() };
    (Some(asked), Some(Action::ObserveHeadJob))
}

/// A cancellation ends a run without a head job. A head job needs the copies until it has ended, so
/// only its own end ends the run, unless the user forces the cancellation. A run that is being
/// launched is not cancelled: its copies could be created after the clean-up has looked for them.
fn cancelled(
    run: &Run,
    by: UserId,
    head_job: Option<JobStatus>,
    forced: bool,
    now: Timestamp,
    limits: &Limits,
) -> Decision {
    let lifecycle = &run.lifecycle;
    if lifecycle.head_job.is_none() || forced {
        let outcome = Outcome {
            result: RunResult::Cancelled,
            exit_status: None,
            reported_by: ReportedBy::User,
            cancelled_by: Some(by),
        };
        return end(lifecycle, outcome, now);
    }
    let observed = head_job.map_or(NO_CHANGE, |status| head_job_observed(run, &status, now, limits));
    match observed.0.as_ref().is_some_and(|after| !after.state.is_live()) {
        true => observed,
        false => NO_CHANGE,
    }
}

fn head_job_observed(run: &Run, status: &JobStatus, now: Timestamp, limits: &Limits) -> Decision {
    let lifecycle = &run.lifecycle;
    if lifecycle.head_job.is_none() {
        return NO_CHANGE;
    }
    match *status {
        JobStatus::Final { succeeded, exit_status } => {
            let result = if succeeded { RunResult::Succeeded } else { RunResult::Failed };
            let outcome =
                Outcome { result, exit_status, reported_by: ReportedBy::HeadJob, cancelled_by: None };
            end(lifecycle, outcome, now)
        }
        JobStatus::NotFinal if now.duration_since(run.not_after) >= limits.head_job_grace => {
            end(lifecycle, Outcome::without_status(RunResult::Lost, ReportedBy::Sweep), now)
        }
        JobStatus::NotFinal => {
            let renewed = renewed(lifecycle.clone(), now, limits);
            let due = match lifecycle.outcome {
                Some(_) => Some(now + RECHECK.min(limits.lease)),
                None => renewed.due,
            };
            write(Lifecycle { due, ..renewed })
        }
        // AWS Batch deletes a job a day or more after its end, and may not list one directly after
        // SubmitJob.
        JobStatus::Unknown if now >= lifecycle.lease_until => {
            end(lifecycle, Outcome::without_status(RunResult::Lost, ReportedBy::HeadJob), now)
        }
        JobStatus::Unknown if lifecycle.due == Some(lifecycle.lease_until) => NO_CHANGE,
        JobStatus::Unknown => write(Lifecycle { due: Some(lifecycle.lease_until), ..lifecycle.clone() }),
    }
}

/// The run may have continued after the backup, and its later reports are lost, so the row does not
/// prove that it ended. A recorded head job is checked. Without one, the copies live until the
/// run's latest end, like those of unknown runs, unless the run reports its end earlier. An unused
/// claim token becomes invalid, because it may have been used after the backup.
fn restored(run: &Run, now: Timestamp, limits: &Limits) -> Decision {
    let lifecycle = &run.lifecycle;
    if lifecycle.claim_token.is_some() && lifecycle.claimed.is_none() {
        return end(lifecycle, launch_failed(ReportedBy::Sweep), now);
    }
    let (lease_until, due) = match lifecycle.head_job {
        Some(_) if lifecycle.lease_until >= now + limits.lease / 2 => return NO_CHANGE,
        Some(_) => (now + limits.lease, now),
        None if lifecycle.state != State::Provisioning && lifecycle.lease_until >= run.not_after => {
            return NO_CHANGE;
        }
        None => (run.not_after, run.not_after),
    };
    let state = lifecycle.state.max(State::Pending);
    write(Lifecycle { state, lease_until, due: Some(due), ..lifecycle.clone() })
}

fn is_due(lifecycle: &Lifecycle, now: Timestamp) -> bool {
    // A live run always has a due time. If it is missing, the run counts as due.
    lifecycle.due.is_none_or(|due| due <= now)
}

fn renewed(lifecycle: Lifecycle, now: Timestamp, limits: &Limits) -> Lifecycle {
    let lease_until = now + limits.lease;
    Lifecycle { state: State::Running, due: Some(lease_until), lease_until, ..lifecycle }
}

/// Without copies to delete, the run ends immediately.
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

/// Whether the run has outlived its latest end, and the last sign of a live head job, for so long
/// that its environment will not come back. Copies in the deployment's own account are never
/// given up.
fn is_lost_with_its_environment(run: &Run, now: Timestamp) -> bool {
    let latest_end = run.not_after.max(run.lifecycle.lease_until);
    !run.target.is_home() && now.duration_since(latest_end) >= ABANDONED_AFTER
}

fn abandoned(lifecycle: Lifecycle, now: Timestamp) -> Lifecycle {
    let lost = Outcome::without_status(RunResult::Lost, ReportedBy::Sweep);
    Lifecycle {
        state: State::Ended,
        due: None,
        outcome: lifecycle.outcome.or(Some(lost)),
        ending: lifecycle.ending.or(Some(now)),
        ..lifecycle
    }
}

fn launch_failed(reported_by: ReportedBy) -> Outcome {
    Outcome::without_status(RunResult::LaunchFailed, reported_by)
}

#[cfg(test)]
mod tests;
