//! The HTTP side, and the only crate that knows status codes: the table of operations, requests and
//! answers in the format of API Gateway, and wire types.
//!
//! A request takes three hops: [`serve`] parses the event, the function's handler calls the use
//! case, and the use case calls its ports.

pub mod answer;
pub mod body;
pub mod operation;
pub mod problem;
pub mod request;
#[cfg(test)]
mod testing;
pub mod wire;

use domain::Context;
use domain::settings::Settings;
use serde_json::value::RawValue;

pub use answer::Answer;
pub use operation::Operation;
pub use problem::Problem;
pub use request::Request;

/// A function's handler.
#[allow(async_fn_in_trait)] // one thread per function
pub trait Handle {
    /// Answers one request.
    async fn handle(&self, request: Request<'_>, context: &Context<'_>) -> Result<Answer, Problem>;
}

/// An answered request.
pub struct Served {
    /// The answer in the format of API Gateway.
    pub answer: Box<RawValue>,
    /// The error code, for a metric, if the service is at fault.
    pub fault: Option<&'static str>,
}

/// Parses an API Gateway event, calls the handler, and returns its answer. Never fails: every error
/// becomes an answer. Logs one line per request with the operation, the status, and the code and
/// causes of an error, but no content of the request.
///
/// While a restored table is not reconciled, every request returns 503, except for Nextflow's
/// messages, which the handler answers: an error would stall or abort running pipelines.
pub async fn serve<'a>(
    settings: &Settings,
    payload: &'a RawValue,
    handle: impl AsyncFnOnce(Request<'a>) -> Result<Answer, Problem>,
) -> Served {
    let (operation, outcome) = match Request::parse(payload.get()) {
        Ok(request) if settings.restored && !request.operation.is_trace() => {
            (request.operation.id(), Err(Problem::restored()))
        }
        Ok(request) => (
            request.operation.id(),
            match request.check_query() {
                Ok(()) => handle(request).await,
                Err(problem) => Err(problem),
            },
        ),
        Err(problem) => ("unknown", Err(problem)),
    };
    let (answer, fault) = match outcome {
        Ok(answer) => {
            tracing::info!(operation, http.status = answer.status(), "answered");
            (answer, None)
        }
        Err(problem) => {
            problem.log(operation);
            let fault = problem.fault();
            (problem.into_answer(), fault)
        }
    };
    Served { answer: answer.into_event(), fault }
}

#[cfg(test)]
mod tests;
