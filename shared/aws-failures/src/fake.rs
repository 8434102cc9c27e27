//! A fake of AWS behind the real SDK: it gives the answers that a test wrote down and keeps the requests it met.
//!
//! Retries wait on tokio's clock: tests pause it (`#[tokio::test(start_paused = true)]`).

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

/// Attempts of one call by [`FakeAws::sdk_config`].
pub const ATTEMPTS: u32 = 4;

/// What becomes of one request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// This status and body.
    Reply(u16, String),
    /// It may have taken effect, and the connection broke.
    Lost,
    /// There is never an answer.
    Never,
}

impl Answer {
    /// Success with this JSON.
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "tests hand over a json! literal")]
    pub fn ok(body: serde_json::Value) -> Self {
        Self::Reply(200, body.to_string())
    }

    /// A refusal as AWS's JSON protocols write it; the code is `__type`.
    #[must_use]
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::Reply(status, serde_json::json!({ "__type": code, "message": message }).to_string())
    }
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The operation: the last part of `X-Amz-Target`, or of the path where there is none.
    pub operation: String,
    /// The body.
    pub body: serde_json::Value,
}

/// The fake. Clones share requests and answers.
#[derive(Clone, Debug)]
pub struct FakeAws(Arc<Mutex<Script>>);

#[derive(Debug)]
struct Script {
    answers: VecDeque<Answer>,
    seen: Vec<Seen>,
}

impl FakeAws {
    /// Gives these answers in turn; the last one again and again.
    #[must_use]
    pub fn answering<const N: usize>(answers: [Answer; N]) -> Self {
        Self(Arc::new(Mutex::new(Script { answers: answers.into(), seen: Vec::new() })))
    }

    /// What clients of the fake are built from: standard retries, [`ATTEMPTS`] attempts.
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

    /// The requests so far, retries included.
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
        let body = serde_json::from_slice(body).unwrap_or_default();
        let mut script = self.script();
        script.seen.push(Seen { operation, body });
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

/// Everything that could ever be printed of an error, its causes included.
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
