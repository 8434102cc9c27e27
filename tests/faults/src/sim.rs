//! AWS in process: the services in memory, behind a gate that injects faults. There is no socket,
//! so a dropped request has no later effect and every trial is deterministic.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use support::{Answer, Backend, Call, Limit, Lost, Services, in_xml, refusal};

use crate::gate::{Fault, Gate};

/// The services behind the SDK's clients. Clones share their state.
#[derive(Clone)]
pub struct Aws {
    /// Injects the faults of a trial.
    pub gate: Gate,
    state: Arc<Mutex<State>>,
}

/// The services' state.
#[derive(Default)]
pub struct State {
    /// The services themselves.
    pub services: Services,
    /// All requests.
    pub calls: Vec<Call>,
    /// The latency of each request. With tokio's clock paused, it makes sequential rounds
    /// measurable.
    pub latency: Duration,
    /// The account's rate limits, by operation.
    pub limits: BTreeMap<&'static str, Limit>,
    /// The number of throttled calls.
    pub throttled: usize,
    /// Whether to skip the check of each call as it takes effect, which reads every row.
    pub unchecked: bool,
    /// The violations so far.
    pub violations: Vec<String>,
    /// The current time for the invariants.
    pub now: domain::Timestamp,
    late: Vec<Call>,
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
    /// Creates services behind this gate.
    #[must_use]
    pub fn new(gate: Gate) -> Self {
        Self { gate, state: Arc::default() }
    }

    /// Returns the same services behind a separate gate without faults, for a trial's own reads.
    #[must_use]
    pub fn quiet(&self) -> Self {
        let gate = Gate::default();
        gate.open();
        Self { gate, state: Arc::clone(&self.state) }
    }

    /// Locks the services' state. Do not hold the lock across an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets every late request take effect now.
    pub fn land(&self) {
        let mut state = self.state();
        for call in std::mem::take(&mut state.late) {
            let _ = state.answer(&call);
        }
    }

    async fn apply(&self, fault: Option<Fault>, call: &Call) -> Result<Answer, Lost> {
        let effect = || self.state().answer(call);
        match fault {
            None => Ok(effect()),
            Some(Fault::After | Fault::AfterThenThrottled | Fault::AfterForGood) => {
                let _ = effect();
                Err(RESET)
            }
            Some(Fault::CrashBefore) => self.gate.crash().await,
            Some(Fault::CrashAfter) => {
                let _ = effect();
                self.gate.crash().await
            }
            Some(Fault::Contended) => Ok(contended(&call.body)),
            Some(Fault::Throttled) => Ok(refusal("ThrottlingException")),
            Some(Fault::Hangs) => std::future::pending().await,
            Some(Fault::Late | Fault::LateForGood) => {
                self.state().late.push(call.clone());
                Err(RESET)
            }
            Some(Fault::Before | Fault::BeforeForGood) => Err(RESET),
        }
    }
}

const RESET: Lost = Lost("connection reset");

impl Backend for Aws {
    async fn answer(&self, call: Call) -> Result<(u16, Vec<u8>), Lost> {
        let fault = self.gate.next_fault(&call.operation, call.invocation.as_deref());
        let latency = {
            let mut state = self.state();
            state.calls.push(call.clone());
            state.latency
        };
        tokio::time::sleep(latency).await;
        let answer = self.apply(fault, &call).await?;
        Ok(match (call.operation.as_str(), answer) {
            ("AssumeRole", (status, Value::String(text))) => (status, text.into_bytes()),
            ("AssumeRole", refused) => {
                let (status, text) = in_xml(refused);
                (status, text.as_str().unwrap_or_default().into())
            }
            (_, (status, body)) => (status, body.to_string().into_bytes()),
        })
    }
}

impl State {
    fn answer(&mut self, call: &Call) -> Answer {
        let (operation, body) = (call.operation.as_str(), &call.body);
        if self.limits.get_mut(operation).is_some_and(|limit| !limit.allows()) {
            self.throttled += 1;
            return refusal("ThrottlingException");
        }
        if !self.unchecked {
            let violation = crate::watch::violation(self, call);
            self.violations.extend(violation);
        }
        self.services.answer_to(&call.access_key, operation, body)
    }
}

/// The answer to a request that conflicts with another writer.
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
