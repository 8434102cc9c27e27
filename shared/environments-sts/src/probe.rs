//! The two calls of a proof: `secretsmanager:DescribeSecret` and `batch:DescribeJobs`.
//!
//! They are sent without the clients of these services, which would make the function that proves
//! roles a third of a megabyte larger. The SDK signs and orchestrates them
//! ([ADR 23](../../../docs/adr/0023-one-role-one-duty-per-session.md)).

use std::fmt;

use aws_credential_types::provider::ProvideCredentials as _;
use aws_failures::unavailable;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::SdkConfig;
use domain::Result;
use domain::environment::Environment;
use serde_json::{Value, json};

/// A call of one of AWS's JSON protocols.
struct Call {
    /// The service and the operation, as in an error.
    name: &'static str,
    service: &'static str,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: Value,
}

/// Describes a secret, which need not exist.
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html>
pub(crate) async fn describe_secret(there: &Environment, session: &SdkConfig, secret: &str) -> Result<()> {
    let call = Call {
        name: "secretsmanager DescribeSecret",
        service: "secretsmanager",
        path: "/",
        headers: &[
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", "secretsmanager.DescribeSecret"),
        ],
        body: json!({ "SecretId": secret }),
    };
    match send(there, session, &call).await {
        Err(SdkError::ServiceError(error)) if error.err().code() == Some("ResourceNotFoundException") => {
            Ok(())
        }
        outcome => outcome.map_err(|error| unavailable(call.name, &error)),
    }
}

/// Describes a job. A job that does not exist is left out of the answer.
/// <https://docs.aws.amazon.com/batch/latest/APIReference/API_DescribeJobs.html>
pub(crate) async fn describe_jobs(there: &Environment, session: &SdkConfig, job: &str) -> Result<()> {
    let call = Call {
        name: "batch DescribeJobs",
        service: "batch",
        path: "/v1/describejobs",
        headers: &[("content-type", "application/json")],
        body: json!({ "jobs": [job] }),
    };
    send(there, session, &call).await.map_err(|error| unavailable(call.name, &error))
}

async fn send(
    there: &Environment,
    session: &SdkConfig,
    call: &Call,
) -> std::result::Result<(), SdkError<Refusal, HttpResponse>> {
    // https://docs.aws.amazon.com/general/latest/gr/rande.html
    let suffix = if there.role.partition() == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    let regional = format!("https://{}.{}.{suffix}", call.service, there.region);
    let endpoint = session.endpoint_url().unwrap_or(&regional);
    let request = signed(there, session, call, endpoint).await.map_err(SdkError::construction_failure)?;
    let mut operation = Operation::builder()
        .service_name(call.service)
        .operation_name(call.name)
        .endpoint_url(endpoint)
        .no_auth() // the request is signed
        .no_retry() // a proof is repeated as a whole
        .timeout_config(
            session
                .timeout_config()
                .cloned()
                .unwrap_or_else(|| aws_smithy_types::timeout::TimeoutConfig::builder().build()),
        )
        .serializer(|request: HttpRequest| Ok(request))
        .deserializer(outcome);
    if let Some(client) = session.http_client() {
        operation = operation.http_client(client);
    }
    if let Some(sleep) = session.sleep_impl() {
        operation = operation.sleep_impl(sleep);
    }
    operation.build().invoke(request).await
}

async fn signed(
    there: &Environment,
    session: &SdkConfig,
    call: &Call,
    endpoint: &str,
) -> std::result::Result<HttpRequest, Box<dyn std::error::Error + Send + Sync>> {
    let credentials = session.credentials_provider().ok_or("a session without credentials")?;
    let identity = credentials.provide_credentials().await?.into();
    let now = session.time_source().map_or_else(std::time::SystemTime::now, |clock| clock.now());
    let body = call.body.to_string();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(there.region.as_str())
        .name(call.service)
        .time(now)
        .settings(SigningSettings::default())
        .build()?
        .into();
    let url = format!("{}{}", endpoint.trim_end_matches('/'), call.path);
    let content = SignableBody::Bytes(body.as_bytes());
    let signable = SignableRequest::new("POST", url, call.headers.iter().copied(), content)?;
    let (signature, _) = sign(signable, &parameters)?.into_parts();
    let mut request = http::Request::post(call.path).body(SdkBody::from(body.as_str()))?;
    for (name, value) in call.headers {
        request.headers_mut().insert(*name, http::HeaderValue::from_static(value));
    }
    signature.apply_to_request_http1x(&mut request);
    Ok(request.try_into()?)
}

fn outcome(response: &HttpResponse) -> std::result::Result<(), OrchestratorError<Refusal>> {
    if response.status().is_success() {
        return Ok(());
    }
    // The header `ClientException:http://…`, or the field `com.amazonaws…#ClientException`.
    let body: Value =
        response.body().bytes().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
    let code = response.headers().get("x-amzn-errortype").or_else(|| body["__type"].as_str());
    let code = code.and_then(|code| code.split(':').next()?.rsplit('#').next());
    let metadata = ErrorMetadata::builder().code(code.unwrap_or_default()).build();
    Err(OrchestratorError::operation(Refusal(metadata)))
}

/// An answer that is not a success.
#[derive(Debug)]
struct Refusal(ErrorMetadata);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refusal {}

impl ProvideErrorMetadata for Refusal {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}
