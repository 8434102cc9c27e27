//! Calls to AWS services for which no SDK is linked.

use std::time::SystemTime;

use aws_credential_types::Credentials as Identity;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use local::{Credentials, REGION};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, Request, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::rights::Outcome;

/// A client that signs requests with given credentials.
#[derive(Clone)]
pub struct RawClient {
    http: Client,
    endpoint: String,
    credentials: Credentials,
}

impl RawClient {
    /// Creates a client with these credentials.
    #[must_use]
    pub fn new(endpoint: &str, credentials: Credentials) -> Self {
        // Connections are not reused: the emulator closes them at any time.
        let http = Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap_or_default();
        Self { http, endpoint: endpoint.to_owned(), credentials }
    }

    /// Calls IAM, and returns the status and the XML answer.
    pub async fn iam(&self, parameters: &[(&str, &str)]) -> Outcome<(StatusCode, String)> {
        let form: Vec<String> = [("Version", "2010-05-08")]
            .iter()
            .chain(parameters)
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
            .collect();
        let request = self.http.post(&self.endpoint);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(form.join("&")), "iam").await
    }

    /// Calls a service with a JSON protocol.
    pub async fn json(&self, service: &str, target: &str, input: &Value) -> Outcome<(StatusCode, String)> {
        let request = self.http.post(&self.endpoint).header("x-amz-target", target);
        let request = request.header("content-type", "application/x-amz-json-1.1");
        self.send(request.body(input.to_string()), service).await
    }

    /// Invokes a function by its deployed name.
    pub async fn invoke(&self, function: &str, payload: &Value) -> Outcome<Invoked> {
        let url = format!("{}/2015-03-31/functions/{function}/invocations", self.endpoint);
        let request = self.http.post(url).header("x-amz-log-type", "Tail").body(payload.to_string());
        let answer = self.http.execute(self.signed(request, "lambda")?).await?;
        let header =
            |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (status, failed) = (answer.status(), header("x-amz-function-error").is_some());
        let log = header("x-amz-log-result").unwrap_or_default();
        let log = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, log)?;
        let text = answer.text().await?;
        Ok(Invoked {
            status,
            failed: failed || !status.is_success(),
            answer: serde_json::from_str(&text).unwrap_or(Value::String(text)),
            log: String::from_utf8_lossy(&log).into_owned(),
        })
    }

    /// Sends a GET request to a service with a REST protocol.
    pub async fn get(&self, service: &str, path: &str) -> Outcome<(StatusCode, String)> {
        self.send(self.http.get(format!("{}{path}", self.endpoint)), service).await
    }

    async fn send(&self, request: RequestBuilder, service: &str) -> Outcome<(StatusCode, String)> {
        let answer = self.http.execute(self.signed(request, service)?).await?;
        let status = answer.status();
        Ok((status, answer.text().await?))
    }

    fn signed(&self, request: RequestBuilder, service: &str) -> Outcome<Request> {
        let mut request = request.build()?;
        let Credentials { access_key_id, secret_access_key, session_token } = self.credentials.clone();
        let identity = Identity::new(access_key_id, secret_access_key, session_token, None, "tests").into();
        let params = SigningParams::builder().identity(&identity).region(REGION).name(service);
        let params = params.time(SystemTime::now()).settings(SigningSettings::default()).build()?.into();
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let headers =
            request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let (method, url) = (request.method().as_str(), request.url().as_str());
        let signable = SignableRequest::new(method, url, headers, SignableBody::Bytes(body))?;
        let (instructions, _) = sign(signable, &params)?.into_parts();
        for (name, value) in instructions.headers() {
            request.headers_mut().insert(HeaderName::try_from(name)?, HeaderValue::from_str(value)?);
        }
        Ok(request)
    }
}

/// The result of an invocation.
pub struct Invoked {
    /// The status of the Invoke call.
    pub status: StatusCode,
    /// Whether the function or the call failed.
    pub failed: bool,
    /// The function's answer.
    pub answer: Value,
    /// The end of the invocation's log.
    pub log: String,
}

impl Invoked {
    /// Returns the HTTP status in the function's answer to API Gateway.
    #[must_use]
    pub fn http_status(&self) -> i64 {
        self.answer["statusCode"].as_i64().unwrap_or_default()
    }

    /// Returns the body in the function's answer to API Gateway.
    #[must_use]
    pub fn body(&self) -> Value {
        let text = self.answer["body"].as_str().unwrap_or_default();
        serde_json::from_str(text).unwrap_or_else(|_| json!(text))
    }
}
