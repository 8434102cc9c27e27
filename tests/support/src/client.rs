//! The HTTP client that tests give to AWS SDKs. It opens no sockets: a [`Backend`] answers.

use std::fmt::Debug;

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
use aws_types::SdkConfig;
use aws_types::region::Region;
use serde_json::Value;

/// The region of [`sdk_config`].
pub const REGION: &str = "eu-west-1";

/// A request of an SDK. Each retry is a separate request.
#[derive(Clone, Debug)]
pub struct Call {
    /// The operation, such as `GetItem`, if the protocol names it, otherwise method and path, such
    /// as `POST /v1/describejobs`.
    pub operation: String,
    /// The JSON body, or the text of another protocol, or null without one.
    pub body: Value,
    /// The access key that signed the request.
    pub access_key: String,
    /// An id that a request shares with all its retries.
    pub invocation: Option<String>,
}

/// The request or its answer was lost: no answer arrived.
#[derive(Clone, Copy, Debug)]
pub struct Lost(pub &'static str);

/// Answers requests instead of AWS. Clones share their state.
pub trait Backend: Clone + Debug + Send + Sync + 'static {
    /// Returns the status and body of the answer.
    fn answer(&self, call: Call) -> impl Future<Output = Result<(u16, Vec<u8>), Lost>> + Send;
}

/// Returns a configuration whose clients call this backend. Tests can add retries to it.
#[must_use]
pub fn sdk_config(backend: impl Backend) -> aws_types::sdk_config::Builder {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "tests");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static(REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(Client(backend))
}

#[derive(Clone, Debug)]
struct Client<B>(B);

impl<B: Backend> HttpClient for Client<B> {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl<B: Backend> HttpConnector for Client<B> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (backend, call) = (self.0.clone(), call_of(&request));
        HttpConnectorFuture::new(async move {
            let (status, body) =
                backend.answer(call).await.map_err(|Lost(why)| ConnectorError::io(why.into()))?;
            let status =
                status.try_into().map_err(|_| ConnectorError::other("invalid status".into(), None))?;
            Ok(HttpResponse::new(status, SdkBody::from(body)))
        })
    }
}

fn call_of(request: &HttpRequest) -> Call {
    let header = |name| request.headers().get(name).map(str::to_owned);
    let bytes = request.body().bytes().unwrap_or_default();
    let text = || (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned().into());
    let body = serde_json::from_slice(bytes).ok().or_else(text).unwrap_or(Value::Null);
    let action = body.as_str().and_then(|form| form.split('&').find_map(|pair| pair.strip_prefix("Action=")));
    let operation = match (header("x-amz-target"), action) {
        (Some(target), _) => target.rsplit('.').next().unwrap_or(&target).to_owned(),
        (None, Some(action)) => action.to_owned(),
        (None, None) => format!("{} {}", request.method(), path(request.uri())),
    };
    let signature = header("authorization").unwrap_or_default();
    let access_key = signature.split_once("Credential=").and_then(|(_, rest)| rest.split('/').next());
    let access_key = access_key.unwrap_or_default().to_owned();
    Call { operation, body, access_key, invocation: header("amz-sdk-invocation-id") }
}

fn path(uri: &str) -> &str {
    let without_scheme = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let path = without_scheme.find('/').map_or("/", |slash| &without_scheme[slash..]);
    path.split('?').next().unwrap_or(path)
}
