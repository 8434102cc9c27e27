//! Runs, the jobs that execute them, and the events that announce them.

use async_trait::async_trait;
use jiff::Timestamp;

use super::secrets::Created;
use crate::Result;
use crate::audit::AuditRecord;
use crate::idempotency::{Idempotency, IdempotencyRecord};
use crate::ids::{RunId, SecretId};
use crate::names::names;
use crate::owner::{Scope, SecretOwner};
use crate::run::{HeadJob, JobStatus, Lifecycle, Run, State};

/// Reading runs.
#[async_trait(?Send)]
pub trait ReadRuns {
    /// The run of this id.
    async fn run(&self, id: &RunId) -> Result<Option<Run>>;
}

/// Listing runs.
#[async_trait(?Send)]
pub trait ListRuns {
    /// A page of the scope's runs, newest first, only those in `state` where one is named. Indexes lag: for people,
    /// never for decisions.
    async fn runs(
        &self,
        scope: &Scope,
        state: Option<State>,
        limit: u32,
        after: Option<&RunId>,
    ) -> Result<Vec<Run>>;
}

/// Changing the lifecycle of a run.
#[async_trait(?Send)]
pub trait SaveRuns: ReadRuns {
    /// Writes a run's lifecycle over revision `lifecycle.revision - 1`, with its audit records in the same transaction.
    /// [`Error::VersionConflict`](crate::Error::VersionConflict) where another writer was first.
    async fn save_lifecycle(
        &self,
        run: &Run,
        lifecycle: &Lifecycle,
        audit: Option<&AuditRecord>,
    ) -> Result<()>;
}

/// Writing the intent of a launch.
#[async_trait(?Send)]
pub trait LaunchRuns: SaveRuns {
    /// What is remembered under a caller's idempotency key and has not expired.
    async fn find_idempotency_record(
        &self,
        idempotency: &Idempotency,
        now: Timestamp,
    ) -> Result<Option<IdempotencyRecord>>;

    /// Writes the intent: run, idempotency key and audit record, or nothing. The key's row replaces one that has
    /// expired, or the one that stands for `replaces`. [`Created::Replayed`] where another request was first;
    /// [`Error::Contended`](crate::Error::Contended) where the run's id is taken.
    async fn begin_run(
        &self,
        run: &Run,
        idempotency: Option<&Idempotency>,
        replaces: Option<&RunId>,
        audit: &AuditRecord,
    ) -> Result<Created>;
}

/// Recording head jobs, and finding runs by them.
#[async_trait(?Send)]
pub trait HeadJobs: SaveRuns {
    /// Writes the lifecycle and the head job's own row, put only if absent.
    /// [`Error::Conflict`](crate::Error::Conflict) where the job is another run's;
    /// [`Error::VersionConflict`](crate::Error::VersionConflict) as in [`SaveRuns::save_lifecycle`].
    async fn record_head_job(
        &self,
        run: &Run,
        lifecycle: &Lifecycle,
        job: &HeadJob,
        audit: &AuditRecord,
    ) -> Result<()>;
}

/// Finding what has to be cleaned up.
#[async_trait(?Send)]
pub trait FindDueRuns: SaveRuns {
    /// Runs that are due, nominated by an index that lags; at most `limit`, the longest due first in each shard.
    async fn due_runs(&self, now: Timestamp, limit: u32) -> Result<Vec<RunId>>;

    /// Leaves the run out of [`due_runs`](Self::due_runs) until then, unless it has been renewed since `now`. The run
    /// itself is neither read nor changed: when it is due stays on record, and an event may still end it.
    async fn put_off(&self, id: &RunId, now: Timestamp, until: Timestamp) -> Result<()>;

    /// The run whose recorded head job this is.
    async fn run_of_head_job(&self, region: &str, job_id: &str) -> Result<Option<RunId>>;

    /// Notes that a run was given these secrets. Not audited; secrets that are gone are passed over.
    async fn note_use(&self, owner: SecretOwner, secret: SecretId, at: Timestamp) -> Result<()>;
}

/// Asking AWS Batch about a job.
#[async_trait(?Send)]
pub trait ObserveJobs {
    /// What DescribeJobs says of the job, and its queue's ARN where it is known.
    async fn observe_job(&self, job_id: &str) -> Result<(JobStatus, Option<String>)>;
}

names! {
    /// Something happened to a run: a hint for cleanup-run, under the name of its event. A lost one costs time only, for
    /// the sweep finds what it leaves.
    "detail type" pub enum RunNotice {
        /// It was given its secrets.
        Delivered = "Run Delivered",
        /// It has to be looked at.
        Look = "Run Look",
    }
}

/// Announcing runs on the deployment's own event bus.
#[async_trait(?Send)]
pub trait AnnounceRuns {
    /// Puts an event that names the run, and nothing else.
    async fn announce(&self, run: &RunId, notice: RunNotice) -> Result<()>;
}
