//! A head job in AWS Batch: `DescribeJobs`. Only its status, exit status, queue and the runs that
//! it names are kept. The rest of the answer, which holds the job's environment, tags and command,
//! is dropped.

use async_trait::async_trait;
use aws_failures::unavailable;
use aws_sdk_batch::Client;
use aws_sdk_batch::types::{self, JobDetail};
use domain::Result;
use domain::head_job::{NamedRuns, ObservedJob};
use domain::ports::ObserveJobs;
use domain::run::JobStatus;

const OPERATION: &str = "batch DescribeJobs";

/// Describes jobs of this account and region.
#[derive(Clone, Debug)]
pub struct JobObserver {
    client: Client,
}

impl JobObserver {
    /// Creates an observer with this client's permissions.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Warms up the connection with a cheap call, `batch:DescribeJobs` of a job that cannot exist.
    /// An error response warms it up too.
    pub async fn warm(&self) -> Result<()> {
        self.describe(NO_JOB).await.map(drop)
    }

    async fn describe(&self, job_id: &str) -> Result<Option<JobDetail>> {
        let answer = self
            .client
            .describe_jobs()
            .jobs(job_id)
            .send()
            .await
            // `ClientException` means a missing permission as well as a malformed id: it decides
            // nothing.
            // https://docs.aws.amazon.com/batch/latest/APIReference/API_DescribeJobs.html
            .map_err(|error| unavailable(OPERATION, &error))?;
        Ok(answer.jobs.unwrap_or_default().into_iter().find(|job| job.job_id() == Some(job_id)))
    }
}

#[async_trait(?Send)]
impl ObserveJobs for JobObserver {
    async fn observe_job(&self, job_id: &str) -> Result<ObservedJob> {
        let Some(job) = self.describe(job_id).await? else {
            return Ok(ObservedJob::unknown());
        };
        // A job reaches a final state only after its last attempt.
        // https://docs.aws.amazon.com/batch/latest/userguide/job_states.html
        let status = match job.status() {
            Some(types::JobStatus::Succeeded) => {
                JobStatus::Final { succeeded: true, exit_status: exit_status(&job) }
            }
            Some(types::JobStatus::Failed) => {
                JobStatus::Final { succeeded: false, exit_status: exit_status(&job) }
            }
            _ => JobStatus::NotFinal,
        };
        let named_runs = named_runs(&job);
        Ok(ObservedJob { status, queue: job.job_queue, named_runs })
    }
}

/// The runs that the job's container and tags name. The environment of a job is that of its
/// definition with the overrides of SubmitJob:
/// <https://docs.aws.amazon.com/batch/latest/APIReference/API_ContainerDetail.html>.
fn named_runs(job: &JobDetail) -> NamedRuns {
    let environment = job.container().into_iter().flat_map(types::ContainerDetail::environment);
    let environment = environment.filter_map(|variable| variable.name().zip(variable.value()));
    let tags = job.tags().into_iter().flatten().map(|(key, text)| (key.as_str(), text.as_str()));
    NamedRuns::select(environment, tags)
}

/// The exit status of the job's container, or of the last attempt if the job itself has none, as
/// with multi-node jobs. Of several containers, the first that failed counts. A job that never
/// started has no exit status.
#[allow(clippy::redundant_closure_for_method_calls, reason = "eight long type names add nothing")]
fn exit_status(job: &JobDetail) -> Option<i64> {
    let container = job.container().and_then(|container| container.exit_code());
    let ecs = || {
        let tasks = job.ecs_properties()?.task_properties();
        first_failure(
            tasks.iter().flat_map(|task| task.containers()).filter_map(|container| container.exit_code()),
        )
    };
    let eks = || {
        let pod = job.eks_properties()?.pod_properties()?;
        first_failure(pod.containers().iter().filter_map(|container| container.exit_code()))
    };
    let attempt = || {
        let attempt = job.attempts().last()?;
        let tasks = attempt.task_properties().iter().flat_map(|task| task.containers());
        let container = attempt.container().and_then(|container| container.exit_code());
        container.or_else(|| first_failure(tasks.filter_map(|container| container.exit_code())))
    };
    let eks_attempt = || {
        let containers = job.eks_attempts().last()?.containers();
        first_failure(containers.iter().filter_map(|container| container.exit_code()))
    };
    container.or_else(ecs).or_else(eks).or_else(attempt).or_else(eks_attempt).map(i64::from)
}

fn first_failure(codes: impl Iterator<Item = i32>) -> Option<i32> {
    codes.reduce(|first, code| if first == 0 { code } else { first })
}

const NO_JOB: &str = "00000000-0000-0000-0000-000000000000";
