//! The entry of every function.
//!
//! `lambda_runtime` prints whole events at TRACE (not in the program, see [`crate::log`]), a parser's error when an
//! event does not parse (so only JSON as such is parsed there: its errors tell a position), and sends a handler's error
//! and a panic's payload to Lambda, which shows them to whoever invoked. So an error is a [`Failed`], which has room for
//! a code only, and panics end here.

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use domain::log::failure;
use futures_util::FutureExt as _;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;

use crate::config::Misconfigured;
use crate::{Clients, Failed, Invocation, Outcome, config, log};

/// Runs a function for as long as its process lives: log, clients, `start` once, then the handler that `start` gave for
/// each invocation, one after the other on one thread. Whatever can be built or connected once belongs into `start`,
/// which Lambda runs at full speed whatever the function's size.
pub fn run<Start, Handler>(start: Start) -> ExitCode
where
    Start: AsyncFnOnce(&Clients) -> Result<Handler, Misconfigured>,
    Handler: AsyncFn(Invocation) -> Outcome,
{
    log::init(config::process("LOG_LEVEL").as_deref());
    // Not the runtime with many threads: it doubles the processor time of a warm call.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            failure("no-event-loop", error.to_string()).error("the function cannot start");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        let handler = match start(&Clients::load()).await {
            Ok(handler) => handler,
            Err(misconfigured) => {
                failure("misconfigured", misconfigured.to_string()).error("the environment is wrong");
                return ExitCode::FAILURE;
            }
        };
        match lambda_runtime::run(service_fn(|event| answer(&handler, event))).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                failure("runtime-api", error.to_string()).error("the connection to Lambda is lost");
                ExitCode::FAILURE
            }
        }
    })
}

/// Awaits an adapter's `warm()` during `start`. One that fails is logged and ignored: the first call connects then.
pub async fn warm_up(warm: impl Future<Output = domain::Result<()>>) {
    if let Err(error) = warm.await {
        domain::log::error(&error).info("connection warm-up failed");
    }
}

async fn answer<Handler>(handler: &Handler, event: LambdaEvent<Box<RawValue>>) -> Outcome
where
    Handler: AsyncFn(Invocation) -> Outcome,
{
    let invocation = Invocation::of(event.payload, event.context);
    // What a panic leaves behind is the handler's own state of this invocation; clients repair theirs.
    let outcome = AssertUnwindSafe(handler(invocation)).catch_unwind().await;
    // The payload of a panic is dropped unseen; the panic hook has logged its place.
    let outcome = outcome.unwrap_or(Err(Failed::new("panicked")));
    if let Err(failed) = &outcome {
        failure(failed.code(), "").error("the invocation failed");
    }
    outcome
}
