//! Calls to AWS in memory, recorded and, where a test says so, failed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::client::{Backend, Call, Lost};
use crate::services::Services;

/// What happens to a call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is throttled, and has no effect.
    Throttle,
    /// The service fails with status 500, and it has no effect.
    Internal,
    /// The connection cannot be made: it has no effect.
    Unreachable,
    /// It takes effect, and its answer is lost.
    LostReply,
    /// It has no effect, and this is the answer.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The JSON body.
        body: Value,
    },
    /// It has no effect: DynamoDB cancels the transaction for these reasons, one per action, with codes as in
    /// `TransactionConflict`; `None` for an action that is not at fault.
    Cancelled(&'static [&'static str]),
}

/// AWS in memory behind an SDK. Clones share the services, the record and the faults.
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
    /// Matching calls that still pass before the fault.
    pass: usize,
    fault: Fault,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Faults {
    /// The same services; calls through this are neither recorded here nor failed.
    #[must_use]
    pub fn quiet(&self) -> Self {
        Self { services: Arc::clone(&self.services), state: Arc::default() }
    }

    /// Fails the next call, whatever it is. Several of these fail the calls after it, in their order.
    pub fn fail_next(&self, fault: Fault) {
        self.plan(None, 1, fault);
    }

    /// Fails the `nth` call from here on, counted from 1.
    pub fn fail_nth(&self, nth: usize, fault: Fault) {
        self.plan(None, nth, fault);
    }

    /// Fails the `nth` call of this operation from here on, counted from 1.
    pub fn fail_operation(&self, operation: &str, nth: usize, fault: Fault) {
        self.plan(Some(operation.to_owned()), nth, fault);
    }

    fn plan(&self, operation: Option<String>, nth: usize, fault: Fault) {
        let pass = nth.saturating_sub(1);
        self.state().planned.push(Planned { operation, pass, fault });
    }

    /// The calls so far, in the order in which they were sent.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// The operations of the calls so far.
    #[must_use]
    pub fn operations(&self) -> Vec<String> {
        self.state().calls.iter().map(|call| call.operation.clone()).collect()
    }

    /// Forgets the calls so far, and the faults that did not come to pass.
    pub fn forget(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the call down and says what happens to it. Of several faults planned for one call the first planned one
    /// happens, and those planned for a later call have come closer by one.
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
        // Calls that are made side by side arrive side by side.
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
