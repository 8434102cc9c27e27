//! The entry point of every function.
//!
//! `lambda_runtime` can reveal the content of events in three ways. It prints whole events at
//! TRACE, which is compiled out (see [`crate::log`]). It prints the parser's error if an event does
//! not parse: therefore, it parses events only as raw JSON, whose errors contain a position. And it
//! sends a handler's error and a panic's payload to Lambda, which returns them to the invoker:
//! therefore, an error is a [`Failed`], which has room only for a code, and panics are caught here.

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use domain::log::failure;
use futures_util::FutureExt as _;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;

use crate::config::Misconfigured;
use crate::{Clients, Failed, Invocation, Outcome, config, log};

/// Runs a function for the lifetime of its process: sets up the log and the clients, calls `start`
/// once, and then calls the handler that `start` returned for each invocation, in sequence on one
/// thread. Build and connect clients in `start`, which Lambda runs at full speed regardless of the
/// function's memory size.
pub fn run<Start, Handler>(start: Start) -> ExitCode
where
    Start: AsyncFnOnce(&Clients) -> Result<Handler, Misconfigured>,
    Handler: AsyncFn(Invocation) -> Outcome,
{
    log::init(config::process("LOG_LEVEL").as_deref());
    // The multi-thread runtime would double the CPU time of a warm call.
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
                failure("misconfigured", misconfigured.to_string())
                    .error("environment variables are missing or invalid");
                return ExitCode::FAILURE;
            }
        };
        match lambda_runtime::run(service_fn(|event| answer(&handler, event))).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                failure("runtime-api", error.to_string())
                    .error("the connection to the Lambda runtime API failed");
                ExitCode::FAILURE
            }
        }
    })
}

/// Awaits an adapter's `warm()` during `start`. Logs and ignores a failure: the first call connects
/// then.
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
    // A panic leaves behind only the handler's state of this invocation; clients recover.
    let outcome = AssertUnwindSafe(handler(invocation)).catch_unwind().await;
    // The payload of a panic is dropped; the panic hook has logged the location.
    let outcome = outcome.unwrap_or(Err(Failed::new("panicked")));
    if let Err(failed) = &outcome {
        failure(failed.code(), "").error("the invocation failed");
    }
    outcome
}
