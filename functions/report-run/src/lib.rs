//! What a run says of itself under its run token. This function can neither open, read, create nor delete anything: it
//! notes, and tells cleanup-run to look.

mod trace;

use domain::Context;
use domain::ids::RunId;
use domain::run::{HeadJob, Outcome, RunResult, ToldBy};
use domain::token::{Presented, TokenKey};
use domain::use_cases::report::Reporter;
use http_api::wire::runs::{RunState, lines};
use http_api::{Answer, Handle, Operation, Problem, Request};

/// Answers the requests of this function.
pub struct Handler {
    /// Takes reports.
    pub reporter: Reporter,
}

impl Handle for Handler {
    async fn handle(&self, request: Request<'_>, context: &Context<'_>) -> Result<Answer, Problem> {
        let reporter = &self.reporter;
        let (run, key) = run_token(&request)?;
        if trace::is_trace(request.operation) {
            return trace::handle(reporter, &request, &run, &key, context).await;
        }
        if request.run_id()? != run {
            return Err(domain::Error::NotFound.into());
        }
        let reported = match request.operation {
            Operation::RenewLease => reporter.sign_of_life(&run, &key, context).await?,
            Operation::EndRun => {
                let outcome = request.with_fields(|fields| {
                    let succeeded = fields.boolean("success")?.ok_or_else(|| {
                        Problem::bad_request("`success` is missing: it must be true or false.")
                    })?;
                    Ok(outcome(succeeded, fields.number("exitStatus")?))
                })?;
                reporter.end(&run, &key, outcome, context).await?
            }
            Operation::RecordHeadJob => {
                let job = request.with_fields(|fields| {
                    Ok(HeadJob {
                        job_id: fields.required_text("jobId")?.to_string(),
                        queue: fields.required_text("jobQueue")?.to_string(),
                        region: fields.required_text("region")?.to_string(),
                    })
                })?;
                check_job(&job)?;
                reporter.record_head_job(&run, &key, &job, context).await?
            }
            _ => return Err(Problem::new(404, "Not Found")),
        };
        Ok(match request.wants_text() {
            true => Answer::text(
                200,
                lines(&[
                    ("workflowId", Some(reported.id.as_str())),
                    ("state", Some(reported.life.state.as_str())),
                ]),
            ),
            false => Answer::json(200, &RunState::from(&reported)),
        })
    }
}

/// The run token; whatever else is presented may report nothing.
fn run_token(request: &Request<'_>) -> Result<(RunId, TokenKey), Problem> {
    match request.presented()? {
        Presented::Run(run, key) => Ok((run, key)),
        _ => Err(Problem::new(403, "Forbidden: this takes the run token of a launch.")),
    }
}

pub(crate) fn outcome(succeeded: bool, exit_status: Option<i64>) -> Outcome {
    let result = if succeeded { RunResult::Succeeded } else { RunResult::Failed };
    Outcome { result, exit_status, told_by: ToldBy::Report }
}

/// AWS Batch's job ids have 36 characters, an array's child or a node a few more; a queue's ARN is bounded as all are.
fn check_job(job: &HeadJob) -> Result<(), Problem> {
    let plain = |text: &str, extra: &[u8]| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte))
    };
    let good = plain(&job.job_id, b"-:#")
        && job.job_id.len() <= 128
        && plain(&job.queue, b"-_:/")
        && job.queue.len() <= 512
        && plain(&job.region, b"-")
        && job.region.len() <= 32;
    match good {
        true => Ok(()),
        false => Err(Problem::bad_request("jobId, jobQueue and region must be those of an AWS Batch job.")),
    }
}
