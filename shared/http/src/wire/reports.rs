//! Reports of runs, sent with the run token: the head job, the end, and Nextflow's messages.

use domain::ids::RunId;
use domain::run::{HeadJob, Outcome, ReportedBy, RunResult};
use serde::{Deserialize, Serialize};

use crate::body::{self, Object};
use crate::problem::Problem;

/// The body of `PUT /runs/{workflowId}/head-job`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct HeadJobReport {
    #[cfg_attr(feature = "schema", schemars(length(max = JOB_ID), regex(pattern = "^[0-9A-Za-z:#-]+$")))]
    job_id: String,
    /// The name or ARN of the job queue.
    #[cfg_attr(feature = "schema", schemars(length(max = JOB_QUEUE), regex(pattern = "^[0-9A-Za-z_:/-]+$")))]
    job_queue: String,
    #[cfg_attr(feature = "schema", schemars(length(max = REGION), regex(pattern = "^[0-9A-Za-z-]+$")))]
    region: String,
}

/// Maximum length of a job ID. AWS Batch's job IDs have 36 characters; those of array children and
/// nodes have a few more.
const JOB_ID: usize = 128;
/// Maximum length of a job queue: an ARN.
const JOB_QUEUE: usize = 512;
/// Maximum length of a region.
const REGION: usize = 32;

/// Checks the body of `PUT /runs/{workflowId}/head-job`.
pub fn head_job(body: HeadJobReport) -> Result<HeadJob, Problem> {
    let plain = |text: &str, extra: &[u8], longest: usize| {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || extra.contains(&byte);
        !text.is_empty() && text.len() <= longest && text.bytes().all(good)
    };
    let good = plain(&body.job_id, b"-:#", JOB_ID)
        && plain(&body.job_queue, b"-_:/", JOB_QUEUE)
        && plain(&body.region, b"-", REGION);
    match good {
        true => {
            Ok(HeadJob { job_id: body.job_id, queue: body.job_queue, region: body.region, account: None })
        }
        false => Err(Problem::bad_request("jobId, jobQueue and region must identify an AWS Batch job.")),
    }
}

/// The body of `POST /runs/{workflowId}/end`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct EndReport {
    success: bool,
    /// The head job's exit status.
    exit_status: Option<i64>,
}

/// Converts the body of `POST /runs/{workflowId}/end`.
#[must_use]
pub fn ended(body: &EndReport) -> Outcome {
    outcome(body.success, body.exit_status)
}

fn outcome(succeeded: bool, exit_status: Option<i64>) -> Outcome {
    let result = if succeeded { RunResult::Succeeded } else { RunResult::Failed };
    Outcome { result, exit_status, reported_by: ReportedBy::Report, cancelled_by: None }
}

/// Reads how the run ended from Nextflow's last message. A message that cannot be read also ends
/// the run, as failed.
#[must_use]
pub fn completed(message: &str) -> Outcome {
    #[derive(Deserialize)]
    struct Complete {
        workflow: Option<Object<Workflow>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Workflow {
        success: Option<bool>,
        exit_status: Option<i64>,
    }
    let workflow = match body::parse(message) {
        Ok(Complete { workflow: Some(Object(workflow)) }) => Ok(workflow),
        Ok(Complete { workflow: None }) => body::parse(message),
        Err(problem) => Err(problem),
    };
    match workflow {
        Ok(workflow) => outcome(workflow.success.unwrap_or(false), workflow.exit_status),
        Err(_) => outcome(false, None),
    }
}

/// The response to Nextflow's messages.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TraceAnswer<'a> {
    workflow_id: &'a RunId,
    watch_url: String,
    status: Status,
}

#[derive(Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
enum Status {
    Ok,
}

impl<'a> TraceAnswer<'a> {
    /// Creates the answer for a run whose receipt is at `watch_url`.
    #[must_use]
    pub fn new(run: &'a RunId, watch_url: String) -> Self {
        Self { workflow_id: run, watch_url, status: Status::Ok }
    }
}

#[cfg(test)]
mod tests;
