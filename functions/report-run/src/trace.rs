//! Nextflow's messages (`-with-tower`). Bodies contain command lines, parameters and scripts, which
//! can contain values: only the fields that are needed are read, and nothing else is kept or
//! logged.
//!
//! Since version 26.04, Nextflow aborts the pipeline when a report fails, and earlier
//! versions stall. Therefore, a request with a well-formed run token always returns 200, whatever
//! the state of the run and of the table. A report that is lost is harmless: the lease covers
//! heartbeats, and the sweep ends a run whose end was not recorded.

use domain::Context;
use domain::ids::RunId;
use domain::token::TokenKey;
use domain::use_cases::report::Reporter;
use http_api::wire::reports::{TraceAnswer, completed};
use http_api::{Answer, Operation, Request};

/// Answers a message for the run of the token, whatever the body contains.
pub(crate) async fn handle(
    reporter: &Reporter,
    request: &Request<'_>,
    run: &RunId,
    key: &TokenKey,
    context: &Context<'_>,
) -> Answer {
    // A restored table can be out of date about the run, and cleanup-run extends its lease.
    if is_for(request, run) && !context.settings.restored {
        let recorded = match request.operation {
            // A body that cannot be read also ends the run, as failed.
            Operation::TraceComplete => {
                let outcome = completed(&request.body().unwrap_or_default());
                reporter.end(run, key, outcome, context).await
            }
            _ => reporter.heartbeat(run, key, context).await,
        };
        if let Err(error) = recorded {
            domain::log::error(&error).run(run).warn("a message of Nextflow was not recorded");
        }
    }
    Answer::json(200, &TraceAnswer::new(run, watch_url(request, run)))
}

/// Returns whether the message is for the run of the token. Nextflow's first message names no run,
/// and after a `create` that failed, Nextflow sends `/trace/null/…`.
fn is_for(request: &Request<'_>, run: &RunId) -> bool {
    let named = request.path("workflowId");
    request.operation == Operation::TraceCreate || named == run.as_str() || named == "null"
}

/// Returns the URL of the run's receipt, under the host name that the client used.
fn watch_url(request: &Request<'_>, run: &RunId) -> String {
    let scheme = request.header("x-forwarded-proto").unwrap_or("https");
    let host = request.header("host").unwrap_or_default();
    format!("{scheme}://{host}/runs/{run}")
}
