//! Records calls to AWS in memory and fails those that a test chooses.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::client::{Backend, Call, Lost};
use crate::services::Services;

/// What happens to a call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The call is throttled and has no effect.
    Throttle,
    /// The service fails with status 500, and the call has no effect.
    Internal,
    /// The connection fails, and the call has no effect.
    Unreachable,
    /// The call takes effect, and its answer is lost.
    LostReply,
    /// The call has no effect and gets this answer.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The JSON body.
        body: Value,
    },
    /// The call has no effect: DynamoDB cancels the transaction with these reason codes, such as
    /// `TransactionConflict`, one per action. The code is `None` for an action that is not a
    /// reason.
    Cancelled(&'static [&'static str]),
}

/// AWS in memory behind an SDK. Clones share the services, the recorded calls and the faults.
#[derive(Clone, Default)]
pub struct Faults {
    services: Arc<Mutex<Services>>,
    state: Arc<Mutex<State>>,
}

#[derive(Default, Debug)]
struct State {
    calls: Vec<Call>,
    planned: Vec<Planned>,
}

#[derive(Debug)]
struct Planned {
    operation: Option<String>,
    /// The number of matching calls that pass before the fault.
    pass: usize,
    fault: Fault,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Faults {
    /// Returns the same services without recording or failing calls.
    #[must_use]
    pub fn quiet(&self) -> Self {
        Self { services: Arc::clone(&self.services), state: Arc::default() }
    }

    /// Fails the next call of any operation. Calling this again fails the call after it.
    pub fn fail_next(&self, fault: Fault) {
        self.plan(None, 1, fault);
    }

    /// Fails the `nth` call from now on, counted from 1.
    pub fn fail_nth(&self, nth: usize, fault: Fault) {
        self.plan(None, nth, fault);
    }

    /// Fails the `nth` call of this operation from now on, counted from 1.
    pub fn fail_operation(&self, operation: &str, nth: usize, fault: Fault) {
        self.plan(Some(operation.to_owned()), nth, fault);
    }

    fn plan(&self, operation: Option<String>, nth: usize, fault: Fault) {
        let pass = nth.saturating_sub(1);
        self.state().planned.push(Planned { operation, pass, fault });
    }

    /// Returns the calls so far, in the order in which they were sent.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// Returns the operations of the calls so far.
    #[must_use]
    pub fn operations(&self) -> Vec<String> {
        self.state().calls.iter().map(|call| call.operation.clone()).collect()
    }

    /// Clears the recorded calls and the faults that have not occurred.
    pub fn forget(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the call and returns its fault. Of several faults planned for one call, the first
    /// one occurs. The other planned faults count this call too.
    fn next(&self, call: Call) -> Option<Fault> {
        let mut state = self.state();
        let mut hit = None;
        for (index, planned) in state.planned.iter_mut().enumerate() {
            if planned.operation.as_ref().is_some_and(|operation| *operation != call.operation) {
                continue;
            }
            if planned.pass > 0 {
                planned.pass -= 1;
            } else if hit.is_none() {
                hit = Some(index);
            }
        }
        state.calls.push(call);
        hit.map(|index| state.planned.remove(index).fault)
    }
}

impl Backend for Faults {
    async fn answer(&self, call: Call) -> Result<(u16, Vec<u8>), Lost> {
        let fault = self.next(call.clone());
        // Let concurrent calls interleave.
        tokio::task::yield_now().await;
        let effect = || {
            self.services.lock().unwrap_or_else(PoisonError::into_inner).answer(&call.operation, &call.body)
        };
        let (status, body) = match fault {
            None => effect(),
            Some(Fault::LostReply) => {
                effect();
                return Err(Lost("connection reset after the request took effect"));
            }
            Some(Fault::Unreachable) => return Err(Lost("connection refused")),
            Some(Fault::Throttle) => error(400, "ThrottlingException", &json!({})),
            Some(Fault::Internal) => error(500, "InternalServerError", &json!({})),
            Some(Fault::Cancelled(codes)) => {
                let reasons: Vec<_> = codes.iter().map(|code| json!({ "Code": code })).collect();
                error(400, "TransactionCanceledException", &json!({ "CancellationReasons": reasons }))
            }
            Some(Fault::Answer { status, body }) => (status, body),
        };
        Ok((status, body.to_string().into_bytes()))
    }
}

fn error(status: u16, code: &str, more: &Value) -> (u16, Value) {
    let mut body = json!({ "__type": code, "message": "injected by a test" });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    (status, body)
}
