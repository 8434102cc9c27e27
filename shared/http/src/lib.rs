//! The HTTP side, and the only place that knows status codes: one table of operations, requests as API Gateway hands
//! them over, answers, wire types.
//!
//! A function's handler is three hops long: [`serve`] takes the event apart, the handler names the use case, the use
//! case calls its ports.

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

/// What answers the requests of a function.
#[allow(async_fn_in_trait)] // one thread per function
pub trait Handle {
    /// Answers one request.
    async fn handle(&self, request: Request<'_>, context: &Context<'_>) -> Result<Answer, Problem>;
}

/// An answered request.
pub struct Served {
    /// What API Gateway gets.
    pub answer: Box<RawValue>,
    /// The code of the error behind it, where the fault is ours: for a metric.
    pub fault: Option<&'static str>,
}

/// Takes an API Gateway event apart, has it handled, and answers it. Never fails: whatever goes wrong is an answer.
/// Logs one line per request: the operation, the status, the code of an error with its causes; nothing of the request.
///
/// While a restored table is not reconciled, everything is answered 503, but for Nextflow's heartbeats, which the
/// handler answers: an error there would stall or abort the pipelines that are running.
pub async fn serve<'a>(
    settings: &Settings,
    payload: &'a RawValue,
    handle: impl AsyncFnOnce(Request<'a>) -> Result<Answer, Problem>,
) -> Served {
    let (operation, outcome) = match Request::parse(payload.get()) {
        Ok(request) if settings.restored && !request.operation.survives_a_restore() => {
            (request.operation.id(), Err(Problem::restored()))
        }
        Ok(request) => (request.operation.id(), handle(request).await),
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
