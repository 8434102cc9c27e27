//! AWS as a function from a call to its answer, behind the real adapters.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;

/// The region.
pub(crate) const REGION: &str = "eu-west-1";

/// From the name of a call to the body of its answer.
type Answers = dyn Fn(&str) -> Vec<u8> + Send + Sync;

/// What answers, and the calls that came: a name, as in `GetItem` or method and path, and a body.
#[derive(Clone)]
pub(crate) struct Aws {
    answer: Arc<Answers>,
    calls: Arc<Mutex<Vec<(String, String)>>>,
}

impl Aws {
    /// AWS that answers a call of this name so, with status 200.
    pub(crate) fn answering(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self { answer: Arc::new(answer), calls: Arc::default() }
    }

    /// AWS whose table holds this one row, in DynamoDB's JSON, wherever it is looked for.
    pub(crate) fn holding(row: &str) -> Self {
        let row = row.to_owned();
        Self::answering(move |call| {
            let answer = match call {
                "GetItem" => format!("{{\"Item\":{row}}}"),
                "Query" => format!("{{\"Items\":[{row}]}}"),
                "BatchGetItem" => format!("{{\"Responses\":{{\"pipeline-secrets\":[{row}]}}}}"),
                _ => "{}".to_owned(),
            };
            answer.into_bytes()
        })
    }

    /// AWS in which there is nothing.
    pub(crate) fn empty() -> Self {
        Self::answering(|_| b"{}".to_vec())
    }

    /// The calls that came, each with its body.
    pub(crate) fn calls(&self) -> Vec<(String, String)> {
        self.calls.lock().expect("the calls").clone()
    }

    /// A client's configuration: no call is repeated.
    pub(crate) fn config(&self) -> SdkConfig {
        let credentials =
            aws_credential_types::Credentials::new("AKIDEXAMPLE", "secret", None, None, "tests");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static(REGION))
            .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::disabled())
            .http_client(self.clone())
            .build()
    }

    /// The table's adapter.
    pub(crate) fn store(&self) -> store_dynamodb::Store {
        store_dynamodb::Store::new(aws_sdk_dynamodb::Client::new(&self.config()), "pipeline-secrets")
    }
}

impl std::fmt::Debug for Aws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Aws")
    }
}

impl HttpClient for Aws {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Aws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let name = match request.headers().get("x-amz-target") {
            Some(target) => target.rsplit('.').next().unwrap_or(target).to_owned(),
            None => format!("{} {}", request.method(), request.uri()),
        };
        let sent = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
        let body = (self.answer)(&name);
        self.calls.lock().expect("the calls").push((name, sent));
        let status = 200_u16.try_into().expect("a status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(body))))
    }
}

/// Runs to the end, on a runtime of this thread.
pub(crate) fn wait<T>(work: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(work))
}

/// Time for nothing twice: what is contended is contended at once.
pub(crate) struct Hurry;

#[async_trait::async_trait(?Send)]
impl domain::ports::Backoff for Hurry {
    async fn wait(&self, _: u32) -> bool {
        false
    }
}

/// What a handler is given at the present, in a hurry.
pub(crate) fn context(settings: &domain::settings::Settings) -> domain::Context<'_> {
    domain::Context { now: domain::Timestamp::now(), randomness: &Fixed, backoff: &Hurry, settings }
}

/// Randomness that is the same every time.
pub(crate) struct Fixed;

impl domain::ports::Randomness for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}
