//! AWS Batch on the local stack. A job stays RUNNABLE until it is moved; an executing queue
//! executes its jobs. Each change sends the event that AWS sends. Jobs are submitted, described and
//! terminated with the AWS API, with IAM enforced.

use std::time::{Duration, Instant};

use aws_sdk_batch::types::{CeType, ComputeEnvironmentOrder};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Credentials, Error, Result, Stack};

/// The tag of a queue that executes its jobs (docs/emulator.md).
const EXECUTES_JOBS: &str = "local:executes-jobs";
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The status that a job can be moved to. A failed job with attempts left becomes RUNNABLE again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JobStatus {
    /// The container is starting.
    Starting,
    /// The container is running.
    Running,
    /// The job succeeded. This is final.
    Succeeded,
    /// The attempt failed. This is final if it was the last one.
    Failed,
}

impl JobStatus {
    fn name(self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
        }
    }
}

impl Stack {
    /// Moves a job to a status, sends its event, and returns the job as DescribeJobs shows it.
    pub async fn move_job(&self, job: &str, to: JobStatus) -> Result<Value> {
        let body = json!({ "status": to.name() });
        self.admin(Method::PUT, &format!("batch/jobs/{job}"), Some(&body)).await
    }

    /// Like [`move_job`](Self::move_job), for a job of another account and region.
    pub async fn move_job_in(&self, place: (&str, &str), job: &str, to: JobStatus) -> Result<Value> {
        let body = json!({ "status": to.name(), "account": place.0, "region": place.1 });
        self.admin(Method::PUT, &format!("batch/jobs/{job}"), Some(&body)).await
    }

    /// Moves a job to a status as if its event were lost.
    pub async fn move_job_silently(&self, job: &str, to: JobStatus) -> Result<Value> {
        let body = json!({ "status": to.name(), "event": false });
        self.admin(Method::PUT, &format!("batch/jobs/{job}"), Some(&body)).await
    }

    /// Sends the event of a job's current status again.
    pub async fn repeat_job_event(&self, job: &str) -> Result<Value> {
        self.admin(Method::POST, &format!("batch/jobs/{job}/event"), None).await
    }

    /// Creates a queue that executes its jobs as processes of this machine, and returns its ARN.
    /// The jobs end with the stack.
    pub async fn create_executing_queue(&self, name: &str) -> Result<String> {
        let batch = aws_sdk_batch::Client::new(&self.sdk_config(&Credentials::operator()).await);
        let environment = batch.create_compute_environment().compute_environment_name(name);
        let environment = environment.r#type(CeType::Unmanaged).send().await;
        environment
            .map_err(|error| Error::answer("CreateComputeEnvironment", &error.into_service_error()))?;
        let order = ComputeEnvironmentOrder::builder().order(1).compute_environment(name).build();
        let queue = batch.create_job_queue().job_queue_name(name).priority(1);
        let queue = queue.compute_environment_order(order).tags(EXECUTES_JOBS, "true").send().await;
        let queue = queue.map_err(|error| Error::answer("CreateJobQueue", &error.into_service_error()))?;
        Ok(queue.job_queue_arn().unwrap_or_default().to_owned())
    }

    /// Returns a job as DescribeJobs shows it.
    pub async fn job(&self, job: &str) -> Result<Value> {
        self.admin(Method::GET, &format!("batch/jobs/{job}"), None).await
    }

    /// Waits until an executed job has this status, and returns the job. A job that ends with
    /// another status is an error that contains its reason.
    pub async fn wait_for_job(&self, job: &str, status: &str, at_most: Duration) -> Result<Value> {
        let start = Instant::now();
        loop {
            let found = self.job(job).await?;
            if found["status"] == status {
                return Ok(found);
            }
            if found["status"] == "SUCCEEDED" || found["status"] == "FAILED" {
                let reason = format!("it is {} and not {status}: {}", found["status"], found["statusReason"]);
                return Err(Error::answer(format!("job {job}"), &reason));
            }
            if start.elapsed() > at_most {
                let reason = format!("it is {} after {at_most:?} and not {status}", found["status"]);
                return Err(Error::answer(format!("job {job}"), &reason));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Returns the output of each attempt of an executed job: standard output and standard error,
    /// as they were written so far.
    pub async fn job_output(&self, job: &str) -> Result<Vec<String>> {
        let found = self.admin(Method::GET, &format!("batch/jobs/{job}/output"), None).await?;
        let attempts = found["attempts"].as_array().into_iter().flatten();
        Ok(attempts.filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Removes a job, as AWS Batch does about a day after its end.
    pub async fn forget_job(&self, job: &str) -> Result<()> {
        self.admin(Method::DELETE, &format!("batch/jobs/{job}"), None).await.map(drop)
    }
}
