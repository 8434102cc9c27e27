//! The API as a caller sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::Value;

use crate::harness::{Harness, MARK};

/// A request.
#[derive(Clone, Debug)]
pub struct Ask {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
    shows_values: bool,
}

impl Ask {
    /// A request without a body.
    #[must_use]
    pub fn new(method: &str, path: impl Into<String>) -> Self {
        let method = method.parse().expect("an HTTP method");
        Self { method, path: path.into(), headers: Vec::new(), body: None, shows_values: false }
    }

    /// A GET.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// A POST of JSON.
    #[must_use]
    pub fn post(path: impl Into<String>, body: &Value) -> Self {
        Self::new("POST", path).json(body)
    }

    /// A PUT of JSON.
    #[must_use]
    pub fn put(path: impl Into<String>, body: &Value) -> Self {
        Self::new("PUT", path).json(body)
    }

    /// A DELETE.
    #[must_use]
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new("DELETE", path)
    }

    /// With a further header, its name in lower case.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With this body, of this type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self.header("content-type", content_type)
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// The one kind of request whose answer may show values: a claim.
    #[must_use]
    pub fn showing_values(mut self) -> Self {
        self.shows_values = true;
        self
    }
}

/// Somebody who calls, or nobody.
#[derive(Clone)]
pub struct Caller {
    harness: Arc<Harness>,
    authorization: Option<String>,
}

impl Caller {
    /// A caller with a token.
    #[must_use]
    pub fn bearer(harness: &Arc<Harness>, token: &str) -> Self {
        Self { harness: harness.clone(), authorization: Some(format!("Bearer {token}")) }
    }

    /// A caller with a token in the form that Nextflow gives tokens of a foreign shape.
    #[must_use]
    pub fn basic(harness: &Arc<Harness>, token: &str) -> Self {
        let pair = STANDARD.encode(format!("@token:{token}"));
        Self { harness: harness.clone(), authorization: Some(format!("Basic {pair}")) }
    }

    /// A caller with this `Authorization` header, or none.
    #[must_use]
    pub fn presenting(harness: &Arc<Harness>, authorization: Option<&str>) -> Self {
        Self { harness: harness.clone(), authorization: authorization.map(str::to_owned) }
    }

    /// Sends a request. An answer never holds a value, unless it is that of a claim.
    pub async fn ask(&self, ask: Ask) -> Answer {
        let asked = format!("{} {}", ask.method, ask.path);
        let url = format!("{}{}", self.harness.stack.api_endpoint, ask.path);
        let mut request = self.harness.http.request(ask.method, url);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        if let Some(body) = ask.body {
            request = request.body(body);
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("{asked}: {error}"));
        let status = answer.status().as_u16();
        let headers: BTreeMap<_, _> = answer
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let body = answer.text().await.unwrap_or_else(|error| panic!("{asked}: {error}"));
        let answer = Answer { asked, status, headers, body };
        assert!(ask.shows_values || !format!("{answer:?}").contains(MARK), "{answer:?} shows a value");
        answer
    }

    /// GET.
    pub async fn get(&self, path: impl Into<String>) -> Answer {
        self.ask(Ask::get(path)).await
    }

    /// POST of JSON.
    pub async fn post(&self, path: impl Into<String>, body: &Value) -> Answer {
        self.ask(Ask::post(path, body)).await
    }

    /// PUT of JSON.
    pub async fn put(&self, path: impl Into<String>, body: &Value) -> Answer {
        self.ask(Ask::put(path, body)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: impl Into<String>) -> Answer {
        self.ask(Ask::delete(path)).await
    }
}

/// An answer, whatever its status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    asked: String,
    /// The status.
    pub status: u16,
    /// The headers, their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The JSON of a 200.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        self.uncached();
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?} is not JSON"))
    }

    /// Checks that this is a 204 without a body or the type of one.
    #[track_caller]
    pub fn no_content(&self) {
        assert_eq!(self.status, 204, "{self:?}");
        assert!(self.body.is_empty(), "{self:?}");
        assert!(!self.headers.contains_key("content-type"), "{self:?}");
        self.uncached();
    }

    /// The message of an error with this status, in the one form that errors have.
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

    /// A header; empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// What a caller could tell two answers apart by: all of it but its date and its number.
    #[must_use]
    pub fn distinguishable(&self) -> (u16, BTreeMap<String, String>, String) {
        let mut headers = self.headers.clone();
        headers.retain(|name, _| !matches!(name.as_str(), "date" | "apigw-requestid"));
        (self.status, headers, self.body.clone())
    }

    #[track_caller]
    fn uncached(&self) {
        assert_eq!(self.header("cache-control"), "no-store", "{self:?}");
    }
}
