//! AWS Batch on the local stack: a job stays RUNNABLE until it is moved, and each move sends the
//! event that AWS sends. Jobs are submitted, described and terminated with the AWS API, with IAM
//! enforced.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{Result, Stack};

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

    /// Moves a job to a status as if its event were lost.
    pub async fn move_job_silently(&self, job: &str, to: JobStatus) -> Result<Value> {
        let body = json!({ "status": to.name(), "event": false });
        self.admin(Method::PUT, &format!("batch/jobs/{job}"), Some(&body)).await
    }

    /// Sends the event of a job's current status again.
    pub async fn repeat_job_event(&self, job: &str) -> Result<Value> {
        self.admin(Method::POST, &format!("batch/jobs/{job}/event"), None).await
    }

    /// Removes a job, as AWS Batch does about a day after its end.
    pub async fn forget_job(&self, job: &str) -> Result<()> {
        self.admin(Method::DELETE, &format!("batch/jobs/{job}"), None).await.map(drop)
    }
}
