//! Which AWS Batch job a run can record as its head job.

use crate::copies::CopyTags;
use crate::ids::RunId;
use crate::run::{HeadJob, JobStatus};
use crate::{Error, Result};

/// The environment variable with which a job names its run. A launch returns it.
pub const RUN_VARIABLE: &str = "PIPELINE_SECRETS_WORKFLOW_ID";

/// A job as DescribeJobs shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObservedJob {
    /// Its status.
    pub status: JobStatus,
    /// The ARN of its queue, if the job exists.
    pub queue: Option<String>,
    /// The runs that it names.
    pub named_runs: NamedRuns,
}

impl ObservedJob {
    /// A job that DescribeJobs does not return.
    #[must_use]
    pub fn unknown() -> Self {
        Self { status: JobStatus::Unknown, queue: None, named_runs: NamedRuns::default() }
    }
}

/// The runs that a job names in its environment and tags; `None` for a text that is not a run ID.
/// Nothing else of them is kept, because they can contain secrets of users.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct NamedRuns(Vec<Option<RunId>>);

impl NamedRuns {
    /// Selects the runs from all variables of the job's container, and from all tags of the job.
    #[must_use]
    pub fn select<'a>(
        environment: impl IntoIterator<Item = (&'a str, &'a str)>,
        job_tags: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let named =
            |wanted: &'static str| move |(name, text)| (name == wanted).then(|| RunId::new(text).ok());
        let environment = environment.into_iter().filter_map(named(RUN_VARIABLE));
        Self(environment.chain(job_tags.into_iter().filter_map(named(CopyTags::RUN))).collect())
    }
}

/// Confirms that `run` can record the job, and returns it with the queue's ARN. A stranger's job
/// is refused before its status and queue are checked.
pub fn confirm(run: &RunId, job: &HeadJob, observed: ObservedJob) -> Result<HeadJob> {
    let refused = |text: &str| Err(Error::Refused(text.into()));
    let ObservedJob { status, queue, named_runs: NamedRuns(named) } = observed;
    let (false, Some(queue)) = (status == JobStatus::Unknown, queue) else {
        return refused("The AWS Batch job does not exist in this region.");
    };
    if named.is_empty() {
        return refused(NAMES_NO_RUN);
    }
    if named.iter().any(|named| named.as_ref() != Some(run)) {
        return refused(NAMES_ANOTHER_RUN);
    }
    if matches!(status, JobStatus::Final { .. }) {
        return refused("The AWS Batch job has already ended.");
    }
    if job.queue != queue && queue.rsplit('/').next() != Some(job.queue.as_str()) {
        return refused("The AWS Batch job is in another queue.");
    }
    Ok(HeadJob { queue, ..job.clone() })
}

const NAMES_NO_RUN: &str = "The AWS Batch job does not name its run: submit it with \
    PIPELINE_SECRETS_WORKFLOW_ID in the environment of its container, or add the tag \
    pipeline-secrets:run to it, with the ID of this run as the value.";
const NAMES_ANOTHER_RUN: &str = "The AWS Batch job names another run: make \
    PIPELINE_SECRETS_WORKFLOW_ID in the environment of its container, and its tag \
    pipeline-secrets:run, contain only the ID of this run.";

#[cfg(test)]
mod tests;
