//! Nextflow's own messages (`-with-tower`). Bodies hold command lines, parameters and scripts, and with
//! them values: of a body just the fields needed are read, and nothing of it is kept or logged.
//!
//! An error here stalls or aborts a user's pipeline, so a well-formed run token is answered 200 wherever
//! that is harmless.

use domain::Context;
use domain::ids::RunId;
use domain::token::TokenKey;
use domain::use_cases::report::Reporter;
use http_api::wire::reports::{TraceAnswer, completed};
use http_api::{Answer, Operation, Problem, Request};

/// Whether the operation is one of Nextflow's messages.
pub(crate) fn is_trace(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::TraceCreate
            | Operation::TraceBegin
            | Operation::TraceProgress
            | Operation::TraceHeartbeat
            | Operation::TraceComplete
    )
}

/// Answers a message for the token's own run, whatever the path or the body says: after a `create` that failed Nextflow
/// calls `/trace/null/…`.
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
        // Refused here means that Nextflow runs on unreported, which it survives.
        Operation::TraceCreate => {
            reporter.heartbeat(run, key, context).await.map_err(unknown_run)?;
        }
        Operation::TraceBegin => {
            reporter.heartbeat(run, key, context).await?;
        }
        Operation::TraceComplete => {
            // What cannot be read ends the run all the same, as failed.
            let outcome = completed(&request.body().unwrap_or_default());
            reporter.end(run, key, outcome, context).await?;
        }
        // What a restored table says of the run is not known to be so, and its lease is held by cleanup-run.
        _ if context.settings.restored => {}
        // The lease outlasts a table that cannot be read for a while; the pipeline would not outlast our error.
        _ => match reporter.heartbeat(run, key, context).await {
            Err(error @ domain::Error::NotFound) => return Err(error.into()),
            Err(error) => {
                domain::log::error(&error).run(run).warn("a heartbeat was not noted");
            }
            Ok(_) => {}
        },
    }
    Ok(Answer::json(200, &TraceAnswer::new(run, watch_url(request, run))))
}

/// Where the run's receipt is: under the name by which the client reached us.
fn watch_url(request: &Request<'_>, run: &RunId) -> String {
    let scheme = request.header("x-forwarded-proto").unwrap_or("https");
    let host = request.header("host").unwrap_or_default();
    format!("{scheme}://{host}/runs/{run}")
}

fn unknown_run(error: domain::Error) -> Problem {
    match error {
        domain::Error::NotFound => Problem::new(403, "Forbidden: this run was not launched here."),
        other => other.into(),
    }
}
