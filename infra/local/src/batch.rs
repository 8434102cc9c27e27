//! AWS Batch on the local stack: jobs stay RUNNABLE until they are told to move, and each move sends the event that
//! AWS sends. Submitting, describing and terminating jobs goes through the AWS API, with IAM enforced.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{Result, Stack};

/// Where a job can be taken. A failed job with attempts left becomes runnable again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JobStatus {
    /// Its container is being started.
    Starting,
    /// Its container runs.
    Running,
    /// It ended well; final.
    Succeeded,
    /// Its attempt failed; final if it was the last.
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
    /// Takes a job on and sends its event; gives the job as DescribeJobs shows it.
    pub async fn move_job(&self, job: &str, to: JobStatus) -> Result<Value> {
        let body = json!({ "status": to.name() });
        self.admin(Method::PUT, &format!("batch/jobs/{job}"), Some(&body)).await
    }

    /// Takes a job on, and the event of it is lost.
    pub async fn move_job_silently(&self, job: &str, to: JobStatus) -> Result<Value> {
        let body = json!({ "status": to.name(), "event": false });
        self.admin(Method::PUT, &format!("batch/jobs/{job}"), Some(&body)).await
    }

    /// Sends the event of a job's present state once more.
    pub async fn repeat_job_event(&self, job: &str) -> Result<Value> {
        self.admin(Method::POST, &format!("batch/jobs/{job}/event"), None).await
    }

    /// AWS Batch forgets a job, as it does about a day after its end.
    pub async fn forget_job(&self, job: &str) -> Result<()> {
        self.admin(Method::DELETE, &format!("batch/jobs/{job}"), None).await.map(drop)
    }
}
