//! Nextflow's messages (`-with-tower`). Bodies contain command lines, parameters and scripts, which
//! can contain values: only the fields that are needed are read, and nothing else is kept or
//! logged.
//!
//! An error stalls or aborts a user's pipeline. Therefore, a request with a well-formed run token
//! returns 200 wherever that is harmless.

use domain::Context;
use domain::ids::RunId;
use domain::token::TokenKey;
use domain::use_cases::report::Reporter;
use http_api::wire::reports::{TraceAnswer, completed};
use http_api::{Answer, Operation, Problem, Request};

/// Answers a message for the run of the token, whatever the body contains. Nextflow calls
/// `/trace/null/…` after a `create` that failed.
pub(crate) async fn handle(
    reporter: &Reporter,
    request: &Request<'_>,
    run: &RunId,
    key: &TokenKey,
    context: &Context<'_>,
) -> Result<Answer, Problem> {
    let named = request.path("workflowId");
    if request.operation != Operation::TraceCreate && named != run.as_str() && named != "null" {
        return Err(domain::Error::NotFound.into());
    }
    match request.operation {
        // After a refusal, Nextflow continues without reports.
        Operation::TraceCreate => {
            reporter.heartbeat(run, key, context).await.map_err(unknown_run)?;
        }
        Operation::TraceBegin => {
            reporter.heartbeat(run, key, context).await?;
        }
        Operation::TraceComplete => {
            // A body that cannot be read also ends the run, as failed.
            let outcome = completed(&request.body().unwrap_or_default());
            reporter.end(run, key, outcome, context).await?;
        }
        // A restored table can be out of date about the run, and cleanup-run extends its lease.
        _ if context.settings.restored => {}
        // The lease outlasts a table that is unavailable for a while. An error would end the
        // pipeline.
        _ => match reporter.heartbeat(run, key, context).await {
            Err(error @ domain::Error::NotFound) => return Err(error.into()),
            Err(error) => {
                domain::log::error(&error).run(run).warn("a heartbeat was not recorded");
            }
            Ok(_) => {}
        },
    }
    Ok(Answer::json(200, &TraceAnswer::new(run, watch_url(request, run))))
}

/// Returns the URL of the run's receipt, under the host name that the client used.
fn watch_url(request: &Request<'_>, run: &RunId) -> String {
    let scheme = request.header("x-forwarded-proto").unwrap_or("https");
    let host = request.header("host").unwrap_or_default();
    format!("{scheme}://{host}/runs/{run}")
}

fn unknown_run(error: domain::Error) -> Problem {
    match error {
        domain::Error::NotFound => Problem::new(403, "Forbidden: this service did not launch the run."),
        other => other.into(),
    }
}
