//! A client for the deployed API.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::Value;

use crate::harness::{Harness, MARK};

/// A request.
#[derive(Clone, Debug)]
pub struct ApiRequest {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
    allows_values: bool,
}

impl ApiRequest {
    /// Creates a request without a body.
    #[must_use]
    pub fn new(method: &str, path: impl Into<String>) -> Self {
        let method = method.parse().expect("an HTTP method");
        Self { method, path: path.into(), headers: Vec::new(), body: None, allows_values: false }
    }

    /// Creates a GET request.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// Creates a POST request with a JSON body.
    #[must_use]
    pub fn post(path: impl Into<String>, body: &Value) -> Self {
        Self::new("POST", path).json(body)
    }

    /// Creates a PUT request with a JSON body.
    #[must_use]
    pub fn put(path: impl Into<String>, body: &Value) -> Self {
        Self::new("PUT", path).json(body)
    }

    /// Creates a DELETE request.
    #[must_use]
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new("DELETE", path)
    }

    /// Adds a header. Its name must be in lower case.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sets the body and its content type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self.header("content-type", content_type)
    }

    /// Sets a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Allows secret values in the answer: only for claims.
    #[must_use]
    pub fn allowing_values(mut self) -> Self {
        self.allows_values = true;
        self
    }
}

/// A caller of the API, with or without credentials.
#[derive(Clone)]
pub struct Caller {
    harness: Arc<Harness>,
    authorization: Option<String>,
}

impl Caller {
    /// Creates a caller with a bearer token.
    #[must_use]
    pub fn bearer(harness: &Arc<Harness>, token: &str) -> Self {
        Self { harness: harness.clone(), authorization: Some(format!("Bearer {token}")) }
    }

    /// Creates a caller with Basic credentials, which is how Nextflow sends tokens that are not in
    /// the platform's format.
    #[must_use]
    pub fn basic(harness: &Arc<Harness>, token: &str) -> Self {
        let pair = STANDARD.encode(format!("@token:{token}"));
        Self { harness: harness.clone(), authorization: Some(format!("Basic {pair}")) }
    }

    /// Creates a caller with this `Authorization` header, or without one.
    #[must_use]
    pub fn with_authorization(harness: &Arc<Harness>, authorization: Option<&str>) -> Self {
        Self { harness: harness.clone(), authorization: authorization.map(str::to_owned) }
    }

    /// Sends a request. Panics if an answer other than a claim's contains a secret value.
    pub async fn send(&self, api_request: ApiRequest) -> Answer {
        let request_line = format!("{} {}", api_request.method, api_request.path);
        let url = format!("{}{}", self.harness.stack.api_endpoint, api_request.path);
        let mut request = self.harness.http.request(api_request.method, url);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        for (name, value) in &api_request.headers {
            request = request.header(*name, value);
        }
        if let Some(body) = api_request.body {
            request = request.body(body);
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("{request_line}: {error}"));
        let status = answer.status().as_u16();
        let headers: BTreeMap<_, _> = answer
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let body = answer.text().await.unwrap_or_else(|error| panic!("{request_line}: {error}"));
        let answer = Answer { request_line, status, headers, body };
        assert!(
            api_request.allows_values || !format!("{answer:?}").contains(MARK),
            "{answer:?} contains a secret value"
        );
        answer
    }

    /// Sends a GET request.
    pub async fn get(&self, path: impl Into<String>) -> Answer {
        self.send(ApiRequest::get(path)).await
    }

    /// Sends a POST request with a JSON body.
    pub async fn post(&self, path: impl Into<String>, body: &Value) -> Answer {
        self.send(ApiRequest::post(path, body)).await
    }

    /// Sends a PUT request with a JSON body.
    pub async fn put(&self, path: impl Into<String>, body: &Value) -> Answer {
        self.send(ApiRequest::put(path, body)).await
    }

    /// Sends a DELETE request.
    pub async fn delete(&self, path: impl Into<String>) -> Answer {
        self.send(ApiRequest::delete(path)).await
    }
}

/// An answer with any status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    request_line: String,
    /// The HTTP status.
    pub status: u16,
    /// The headers, with names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// Returns the JSON body. Panics unless the status is 200.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        self.assert_uncached();
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?} is not JSON"))
    }

    /// Panics unless this is a 204 without a body and without a content type.
    #[track_caller]
    pub fn no_content(&self) {
        assert_eq!(self.status, 204, "{self:?}");
        assert!(self.body.is_empty(), "{self:?}");
        assert!(!self.headers.contains_key("content-type"), "{self:?}");
        self.assert_uncached();
    }

    /// Returns the message of an error with this status. Panics if the body is not in the API's
    /// error format.
    #[track_caller]
    #[must_use]
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        let body: Value = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?} is not JSON"));
        assert_eq!(body.as_object().map(serde_json::Map::len), Some(1), "{self:?}");
        let message = body["message"].as_str().unwrap_or_else(|| panic!("{self:?} has no message"));
        assert!(!message.is_empty() && !message.contains('\n'), "{self:?}");
        message.to_owned()
    }

    /// Returns a header, or an empty string.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The parts by which a caller can distinguish two answers: everything except the date and the
    /// request id.
    #[must_use]
    pub fn comparable_parts(&self) -> (u16, BTreeMap<String, String>, String) {
        let mut headers = self.headers.clone();
        headers.retain(|name, _| !matches!(name.as_str(), "date" | "apigw-requestid"));
        (self.status, headers, self.body.clone())
    }

    #[track_caller]
    fn assert_uncached(&self) {
        assert_eq!(self.header("cache-control"), "no-store", "{self:?}");
    }
}
