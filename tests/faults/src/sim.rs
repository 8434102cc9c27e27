//! AWS in process: the services in memory, behind a gate that decides what becomes of each request. No socket is
//! involved, so that a request that was dropped has no effect afterwards and every trial runs the same way each time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use support::{Answer, Backend, Call, Limit, Lost, Services, refusal};

use crate::gate::{Fault, Gate};

/// Everything behind the SDK's clients. Clones are one.
#[derive(Clone)]
pub struct Aws {
    /// What a trial does to requests.
    pub gate: Gate,
    state: Arc<Mutex<State>>,
}

/// The services' state.
#[derive(Default)]
pub struct State {
    /// The services themselves.
    pub services: Services,
    /// Requests, counted, for tests of their number.
    pub calls: Vec<Call>,
    /// How long each request takes: with tokio's clock paused this makes rounds visible.
    pub takes: Duration,
    /// Operations that the account may call only so often.
    pub limits: BTreeMap<&'static str, Limit>,
    /// How often they were called too often.
    pub throttled: usize,
    /// Whether nobody checks each call as it takes effect: that costs a look at every row.
    pub unwatched: bool,
    /// What must never happen and did.
    pub wrongs: Vec<String>,
    /// The time that the invariants are checked at.
    pub now: domain::Timestamp,
    late: Vec<(String, Value)>,
}

impl std::fmt::Debug for Aws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Aws")
    }
}

impl Default for Aws {
    fn default() -> Self {
        Self::new(Gate::default())
    }
}

impl Aws {
    /// Services behind this gate.
    #[must_use]
    pub fn new(gate: Gate) -> Self {
        Self { gate, state: Arc::default() }
    }

    /// The same services behind a gate of their own that is always open: for what a trial looks at.
    #[must_use]
    pub fn quiet(&self) -> Self {
        let gate = Gate::default();
        gate.open();
        Self { gate, state: Arc::clone(&self.state) }
    }

    /// The services' state. Not to be held over an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets every request that was late take effect now.
    pub fn land(&self) {
        let mut state = self.state();
        for (operation, body) in std::mem::take(&mut state.late) {
            let _ = state.answer(&operation, &body);
        }
    }

    async fn apply(&self, fault: Option<Fault>, call: &Call) -> Result<Answer, Lost> {
        let effect = || self.state().answer(&call.operation, &call.body);
        match fault {
            None => Ok(effect()),
            Some(Fault::After | Fault::AfterThenThrottled | Fault::AfterForGood) => {
                let _ = effect();
                Err(RESET)
            }
            Some(Fault::CrashBefore) => self.gate.die().await,
            Some(Fault::CrashAfter) => {
                let _ = effect();
                self.gate.die().await
            }
            Some(Fault::Contended) => Ok(contended(&call.body)),
            Some(Fault::Throttled) => Ok(refusal("ThrottlingException")),
            Some(Fault::Hangs) => std::future::pending().await,
            Some(Fault::Late | Fault::LateForGood) => {
                self.state().late.push((call.operation.clone(), call.body.clone()));
                Err(RESET)
            }
            Some(Fault::Before | Fault::BeforeForGood) => Err(RESET),
        }
    }
}

const RESET: Lost = Lost("connection reset");

impl Backend for Aws {
    async fn answer(&self, call: Call) -> Result<(u16, Vec<u8>), Lost> {
        let fault = self.gate.meet(&call.operation, call.invocation.as_deref());
        let takes = {
            let mut state = self.state();
            state.calls.push(call.clone());
            state.takes
        };
        tokio::time::sleep(takes).await;
        let (status, body) = self.apply(fault, &call).await?;
        Ok((status, body.to_string().into_bytes()))
    }
}

impl State {
    fn answer(&mut self, operation: &str, body: &Value) -> Answer {
        if self.limits.get_mut(operation).is_some_and(|limit| !limit.allows()) {
            self.throttled += 1;
            return refusal("ThrottlingException");
        }
        if !self.unwatched {
            let wrong = crate::watch::wrong(self, operation, body);
            self.wrongs.extend(wrong);
        }
        self.services.answer(operation, body)
    }
}

/// Another writer of the same rows, where there can be one.
fn contended(body: &Value) -> Answer {
    let Some(items) = body["TransactItems"].as_array() else {
        return refusal("ThrottlingException");
    };
    let reason = |index| json!({ "Code": if index == 0 { "TransactionConflict" } else { "None" } });
    let reasons: Vec<_> = (0..items.len()).map(reason).collect();
    let (status, mut answer) = refusal("TransactionCanceledException");
    answer["CancellationReasons"] = reasons.into();
    (status, answer)
}
