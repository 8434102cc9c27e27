//! Runs, the jobs that execute them, and the events that announce them.

use async_trait::async_trait;
use jiff::Timestamp;

use super::secrets::Created;
use crate::Result;
use crate::audit::AuditRecord;
use crate::head_job::ObservedJob;
use crate::idempotency::{Idempotency, IdempotencyRecord};
use crate::ids::{RunId, SecretId, UserId};
use crate::names::names;
use crate::owner::{Scope, SecretOwner};
use crate::reservation::{Slot, SlotRequest};
use crate::run::{HeadJob, JobLocation, Lifecycle, Run, State};

/// Reads runs.
#[async_trait(?Send)]
pub trait ReadRuns {
    /// Returns the run with this id.
    async fn run(&self, id: &RunId) -> Result<Option<Run>>;
}

/// Lists runs.
#[async_trait(?Send)]
pub trait ListRuns {
    /// Returns a page of the scope's runs, newest first, optionally only those in `state`. The
    /// index is eventually consistent: use it for display, never for decisions.
    async fn runs(
        &self,
        scope: &Scope,
        state: Option<State>,
        limit: u32,
        after: Option<&RunId>,
    ) -> Result<Vec<Run>>;
}

/// A run that has not ended, in the index of live runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveRun {
    /// Its id.
    pub id: RunId,
    /// The user who launched it.
    pub user: UserId,
    /// The number of its copies.
    pub copies: u32,
}

/// Which live runs a list has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LiveRuns {
    /// All of them.
    All,
    /// Without those that ended in a compute environment: it may be weeks until it can be used and
    /// their copies are deleted.
    ExceptEndedElsewhere,
}

/// Lists live runs.
#[async_trait(?Send)]
pub trait ListLiveRuns {
    /// Returns at most `limit` runs of the scope whose copies may still exist, in any order. The
    /// index is eventually consistent: the latest launches may be missing, and runs that have just
    /// ended may be included.
    async fn live_runs(&self, scope: SecretOwner, which: LiveRuns, limit: u32) -> Result<Vec<LiveRun>>;
}

/// Changes the lifecycle of a run.
#[async_trait(?Send)]
pub trait SaveRuns: ReadRuns {
    /// Writes a run's lifecycle over revision `lifecycle.revision - 1`, with its audit record in
    /// the same transaction. Returns [`Error::VersionConflict`](crate::Error::VersionConflict) if
    /// another writer was faster.
    async fn save_lifecycle(
        &self,
        run: &Run,
        lifecycle: &Lifecycle,
        audit: Option<&AuditRecord>,
    ) -> Result<()>;
}

/// Writes the intent of a launch.
#[async_trait(?Send)]
pub trait LaunchRuns: SaveRuns {
    /// Returns the idempotency record of a caller's key, unless it has expired.
    async fn find_idempotency_record(
        &self,
        idempotency: &Idempotency,
        now: Timestamp,
    ) -> Result<Option<IdempotencyRecord>>;

    /// Writes the intent: run, idempotency record and audit record, or nothing. The idempotency
    /// record replaces an expired one, or the one of the run `replaces`. Returns
    /// [`Created::Replayed`] if another request with the key was faster,
    /// [`Error::NotFound`](crate::Error::NotFound) if the scope's permission no longer holds, and
    /// [`Error::Contended`](crate::Error::Contended) if the run's id is already used.
    async fn begin_run(
        &self,
        scope: &Scope,
        run: &Run,
        idempotency: Option<&Idempotency>,
        replaces: Option<&RunId>,
        audit: &AuditRecord,
    ) -> Result<Created>;
}

/// Reserves creations of copies.
#[async_trait(?Send)]
pub trait ReserveCreations {
    /// Reserves a slot at the end of the queue, or promises one if the queue is full. Not audited:
    /// the queue names no run and grants nothing.
    async fn reserve_creations(&self, request: &SlotRequest) -> Result<Slot>;
}

/// Records head jobs.
#[async_trait(?Send)]
pub trait HeadJobs: SaveRuns {
    /// Writes the lifecycle, and a row for the head job only if it does not exist. Returns
    /// [`Error::Conflict`](crate::Error::Conflict) if another run has recorded the job, and
    /// [`Error::VersionConflict`](crate::Error::VersionConflict) as in
    /// [`SaveRuns::save_lifecycle`].
    async fn record_head_job(
        &self,
        run: &Run,
        lifecycle: &Lifecycle,
        job: &HeadJob,
        audit: &AuditRecord,
    ) -> Result<()>;
}

/// Finds runs that need cleanup.
#[async_trait(?Send)]
pub trait FindDueRuns: SaveRuns {
    /// Returns at most `limit` runs that are due, longest due first in each shard, from an index
    /// that is eventually consistent.
    async fn due_runs(&self, now: Timestamp, limit: u32) -> Result<Vec<RunId>>;

    /// Excludes the run from [`due_runs`](Self::due_runs) until `until`, unless it was renewed
    /// after `now`. The run itself is neither read nor changed: its due time stays, and an event
    /// can still end it.
    async fn postpone_inspection(&self, id: &RunId, now: Timestamp, until: Timestamp) -> Result<()>;

    /// Returns the run that recorded this head job.
    async fn run_of_head_job(&self, job: &JobLocation<'_>) -> Result<Option<RunId>>;

    /// Records when a run received the secret. Not audited. Ignores a deleted secret.
    async fn record_use(&self, owner: SecretOwner, secret: SecretId, at: Timestamp) -> Result<()>;
}

/// Reads AWS Batch jobs.
#[async_trait(?Send)]
pub trait ObserveJobs {
    /// Returns what DescribeJobs shows of the job: its status, its queue, and the runs that it
    /// names. Nothing else of its environment and tags leaves the adapter.
    async fn observe_job(&self, job_id: &str) -> Result<ObservedJob>;
}

names! {
    /// An event about a run: a hint for cleanup-run. If it is lost, the sweep makes up for it
    /// later.
    "detail type" pub enum RunNotice {
        /// The run received its secrets.
        Delivered = "Run Delivered",
        /// The run needs an inspection.
        Look = "Run Look",
    }
}

/// Publishes events on the deployment's event bus.
#[async_trait(?Send)]
pub trait AnnounceRuns {
    /// Publishes an event that contains the run's id, and nothing else.
    async fn announce(&self, run: &RunId, notice: RunNotice) -> Result<()>;
}
