//! Calls to AWS, written down and, where a test says so, failed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

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

/// A call that was sent, each repeat by the SDK being one more.
#[derive(Clone, Debug)]
pub struct Call {
    /// The operation, as in `GetItem`, where the protocol names it; else method and path, as in `POST /v1/describejobs`.
    pub operation: String,
    /// The JSON body; null where there is none.
    pub body: Value,
}

/// An HTTP client for AWS SDKs over plain HTTP. Clones share their record and their faults.
#[derive(Clone, Debug)]
pub struct Faults {
    inner: SharedHttpClient,
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

impl Default for Faults {
    fn default() -> Self {
        Self { inner: aws_smithy_http_client::Builder::new().build_http(), state: Arc::default() }
    }
}

impl Faults {
    /// A client that fails nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
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

impl HttpClient for Faults {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            inner: self.inner.http_connector(settings, components),
            faults: self.clone(),
        })
    }
}

#[derive(Debug)]
struct Connector {
    inner: SharedHttpConnector,
    faults: Faults,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Some(fault) = self.faults.next(call_of(&request)) else {
            return self.inner.call(request);
        };
        match fault {
            Fault::LostReply => {
                let answer = self.inner.call(request);
                HttpConnectorFuture::new(async move {
                    let _ = answer.await;
                    Err(ConnectorError::io("connection reset after the request took effect".into()))
                })
            }
            Fault::Unreachable => {
                HttpConnectorFuture::ready(Err(ConnectorError::io("connection refused".into())))
            }
            Fault::Throttle => error(400, "ThrottlingException", &json!({})),
            Fault::Internal => error(500, "InternalServerError", &json!({})),
            Fault::Cancelled(codes) => {
                let reasons: Vec<_> = codes.iter().map(|code| json!({ "Code": code })).collect();
                error(400, "TransactionCanceledException", &json!({ "CancellationReasons": reasons }))
            }
            Fault::Answer { status, body } => answer(status, &body),
        }
    }
}

fn call_of(request: &HttpRequest) -> Call {
    let body = request.body().bytes().and_then(|bytes| serde_json::from_slice(bytes).ok());
    let operation = match request.headers().get("x-amz-target") {
        Some(target) => target.rsplit('.').next().unwrap_or(target).to_owned(),
        None => format!("{} {}", request.method(), path(request.uri())),
    };
    Call { operation, body: body.unwrap_or(Value::Null) }
}

fn path(uri: &str) -> &str {
    let without_scheme = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let path = without_scheme.find('/').map_or("/", |slash| &without_scheme[slash..]);
    path.split('?').next().unwrap_or(path)
}

fn error(status: u16, code: &str, more: &Value) -> HttpConnectorFuture {
    let mut body = json!({ "__type": code, "message": "injected by a test" });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    answer(status, &body)
}

fn answer(status: u16, body: &Value) -> HttpConnectorFuture {
    let status = status.try_into();
    let response = status.map(|status| HttpResponse::new(status, SdkBody::from(body.to_string())));
    HttpConnectorFuture::ready(response.map_err(|_| ConnectorError::other("no such status".into(), None)))
}
