//! AWS in process: an HTTP client for the real SDK behind which DynamoDB, KMS, Secrets Manager, EventBridge and Batch
//! stand, as far as the functions use them. No socket is involved, so that a request that was dropped has no effect
//! afterwards and every trial runs the same way each time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use crate::gate::{Fault, Gate};
use stand_ins::{Answer, Limit, Services, refusal};

/// Everything behind the HTTP client. Clones are one.
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

/// A request that was sent.
#[derive(Clone, Debug)]
pub struct Call {
    /// The operation, such as `GetItem`.
    pub operation: String,
    /// Its JSON body.
    pub body: Value,
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

    fn call(&self, request: &HttpRequest) -> HttpConnectorFuture {
        let operation = operation(request);
        let bytes = request.body().bytes().unwrap_or_default();
        let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let invocation = request.headers().get("amz-sdk-invocation-id");
        let fault = self.gate.meet(&operation, invocation);
        let aws = self.clone();
        HttpConnectorFuture::new(async move { aws.become_of(fault, operation, body).await })
    }

    async fn become_of(
        &self,
        fault: Option<Fault>,
        operation: String,
        body: Value,
    ) -> Result<HttpResponse, ConnectorError> {
        let takes = {
            let mut state = self.state();
            state.calls.push(Call { operation: operation.clone(), body: body.clone() });
            state.takes
        };
        tokio::time::sleep(takes).await;
        match fault {
            None => response(self.state().answer(&operation, &body)),
            Some(Fault::After | Fault::AfterThenThrottled | Fault::AfterForGood) => {
                let _ = self.state().answer(&operation, &body);
                reset()
            }
            Some(Fault::CrashBefore) => self.gate.die().await,
            Some(Fault::CrashAfter) => {
                let _ = self.state().answer(&operation, &body);
                self.gate.die().await
            }
            Some(Fault::Contended) => response(contended(&body)),
            Some(Fault::Throttled) => response(refusal("ThrottlingException")),
            Some(Fault::Hangs) => std::future::pending().await,
            Some(Fault::Late | Fault::LateForGood) => {
                self.state().late.push((operation, body));
                reset()
            }
            Some(Fault::Before | Fault::BeforeForGood) => reset(),
        }
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

fn reset() -> Result<HttpResponse, ConnectorError> {
    Err(ConnectorError::io("connection reset".into()))
}

fn response((status, body): Answer) -> Result<HttpResponse, ConnectorError> {
    let status = status.try_into().map_err(|_| ConnectorError::other("no such status".into(), None))?;
    Ok(HttpResponse::new(status, SdkBody::from(body.to_string())))
}

fn operation(request: &HttpRequest) -> String {
    if let Some(target) = request.headers().get("x-amz-target") {
        return target.rsplit('.').next().unwrap_or(target).to_owned();
    }
    let uri = request.uri();
    let path = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    format!("{} {}", request.method(), path.find('/').map_or("/", |slash| &path[slash..]))
}

impl HttpClient for Aws {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Aws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        Self::call(self, &request)
    }
}
