//! Reports of runs, sent with the run token, and cancellations by users. This function cannot open,
//! read, create or delete secrets or copies: it moves a run forward and notifies cleanup-run.

mod trace;

use domain::Context;
use domain::ids::RunId;
use domain::token::{PresentedToken, TokenKey};
use domain::use_cases::cancel_run::Canceller;
use domain::use_cases::report::Reporter;
use http_api::wire::reports;
use http_api::wire::runs::{RunState, lines};
use http_api::{Answer, Handle, Operation, Problem, Request};

/// Answers the requests of this function.
pub struct Handler {
    /// Records reports.
    pub reporter: Reporter,
    /// Cancels runs.
    pub canceller: Canceller,
}

impl Handle for Handler {
    async fn handle(&self, request: Request<'_>, context: &Context<'_>) -> Result<Answer, Problem> {
        if request.operation == Operation::CancelRun {
            let (actor, workspace) = (request.actor()?, request.workspace()?);
            let (id, forced) = (request.run_id()?, request.flag("force")?);
            self.canceller.cancel(&actor, workspace, &id, forced, context).await?;
            return Ok(Answer::no_content());
        }
        let reporter = &self.reporter;
        let (run, key) = run_token(&request)?;
        if request.operation.is_trace() {
            return Ok(trace::handle(reporter, &request, &run, &key, context).await);
        }
        if request.run_id()? != run {
            return Err(domain::Error::NotFound.into());
        }
        let reported = match request.operation {
            Operation::RenewLease => reporter.heartbeat(&run, &key, context).await?,
            Operation::EndRun => {
                let outcome = reports::ended(&request.json()?);
                reporter.end(&run, &key, outcome, context).await?
            }
            Operation::RecordHeadJob => {
                let job = reports::head_job(request.json()?)?;
                reporter.record_head_job(&run, &key, &job, context).await?
            }
            _ => return Err(Problem::new(404, "Not Found")),
        };
        Ok(match request.wants_text() {
            true => Answer::text(
                200,
                lines(&[
                    ("workflowId", Some(reported.id.as_str())),
                    ("state", Some(reported.lifecycle.state.as_str())),
                ]),
            ),
            false => Answer::json(200, &RunState::from(&reported)),
        })
    }
}

/// Returns the run token. Any other credential is refused.
fn run_token(request: &Request<'_>) -> Result<(RunId, TokenKey), Problem> {
    match request.presented()? {
        PresentedToken::Run(run, key) => Ok((run, key)),
        _ => Err(Problem::new(403, "Forbidden: this operation requires a run token.")),
    }
}
