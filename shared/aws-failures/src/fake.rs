//! A fake of AWS behind the real SDK: it returns scripted answers and records the requests.
//!
//! Retries wait on tokio's clock, which tests pause (`#[tokio::test(start_paused = true)]`).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;

/// Attempts per call with [`FakeAws::sdk_config`].
pub const ATTEMPTS: u32 = 4;

/// The outcome of one request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Returns this status and body.
    Reply(u16, String),
    /// The connection breaks after the request: it may have taken effect.
    Lost,
    /// No answer arrives.
    Never,
}

impl Answer {
    /// Returns success with this JSON.
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "tests pass a json! literal")]
    pub fn ok(body: serde_json::Value) -> Self {
        Self::Reply(200, body.to_string())
    }

    /// Returns an error as AWS's JSON protocols write it, with the code in `__type`.
    #[must_use]
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::Reply(status, serde_json::json!({ "__type": code, "message": message }).to_string())
    }
}

/// A recorded request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The operation: the last part of `X-Amz-Target` or, without that header, of the path.
    pub operation: String,
    /// The body: JSON, or the text of another protocol.
    pub body: serde_json::Value,
    /// The credential scope and the signed headers.
    pub authorization: String,
}

/// The fake. Clones share answers and requests.
#[derive(Clone, Debug)]
pub struct FakeAws(Arc<Mutex<Script>>);

#[derive(Debug)]
struct Script {
    answers: VecDeque<Answer>,
    seen: Vec<Seen>,
}

impl FakeAws {
    /// Returns these answers in order, and repeats the last one.
    #[must_use]
    pub fn answering<const N: usize>(answers: [Answer; N]) -> Self {
        Self::scripted(answers.into())
    }

    /// The same, for a script whose length a test chooses.
    #[must_use]
    pub fn scripted(answers: Vec<Answer>) -> Self {
        Self(Arc::new(Mutex::new(Script { answers: answers.into(), seen: Vec::new() })))
    }

    /// The configuration for clients of the fake: standard retries with [`ATTEMPTS`] attempts.
    #[must_use]
    pub fn sdk_config(&self) -> SdkConfig {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "fake");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .http_client(self.clone())
            .build()
    }

    /// The requests so far, including retries.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.script().seen.clone()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, request: &HttpRequest) -> Answer {
        let target = request.headers().get("x-amz-target").unwrap_or_else(|| request.uri());
        let operation = target.rsplit(['.', '/']).next().unwrap_or_default().to_owned();
        let body = request.body().bytes().unwrap_or_default();
        let body = serde_json::from_slice(body)
            .unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned().into());
        let authorization = request.headers().get("authorization").unwrap_or_default().to_owned();
        let mut script = self.script();
        script.seen.push(Seen { operation, body, authorization });
        if script.answers.len() > 1 {
            script.answers.pop_front().unwrap_or(Answer::Never)
        } else {
            script.answers.front().cloned().unwrap_or(Answer::Never)
        }
    }
}

impl HttpClient for FakeAws {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for FakeAws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match self.next(&request) {
            Answer::Reply(status, body) => {
                let response = status
                    .try_into()
                    .map(|status| HttpResponse::new(status, SdkBody::from(body)))
                    .map_err(|_| ConnectorError::user("no such status".into()));
                HttpConnectorFuture::ready(response)
            }
            Answer::Lost => HttpConnectorFuture::ready(Err(ConnectorError::io("connection reset".into()))),
            Answer::Never => HttpConnectorFuture::new(std::future::pending()),
        }
    }
}

/// All that printing an error and its causes can show.
#[must_use]
pub fn printed(error: &domain::Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text} {inner} {inner:?}");
        cause = inner.source();
    }
    text
}
