//! A client of the service's API.

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use crate::{Error, Result};

/// A caller of the API, authenticated with a token.
#[derive(Clone)]
pub struct Caller {
    http: Client,
    endpoint: String,
    token: String,
}

/// A response of any status.
pub struct HttpResponse {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub text: String,
}

impl HttpResponse {
    /// Returns the JSON body, or an error if the status is not a success.
    pub fn json(&self) -> Result<Value> {
        if !self.status.is_success() {
            return Err(Error::answer(format!("the API returned {}", self.status), &self.text));
        }
        if self.text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&self.text)
            .map_err(|error| Error::answer("the API returned malformed JSON", &error))
    }
}

impl Caller {
    /// Creates a caller with this token.
    #[must_use]
    pub fn new(endpoint: &str, token: &str) -> Self {
        Self { http: Client::new(), endpoint: endpoint.to_owned(), token: token.to_owned() }
    }

    /// The token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Sends one request and returns the response, whatever its status.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<HttpResponse> {
        let what = format!("{method} {}", path.split('?').next().unwrap_or(path));
        let request = self.http.request(method, format!("{}{path}", self.endpoint)).bearer_auth(&self.token);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.map_err(|error| Error::answer(&what, &error))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| Error::answer(&what, &error))?;
        Ok(HttpResponse { status, text })
    }

    /// Sends a GET request that must succeed.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None).await?.json()
    }

    /// Sends a POST request that must succeed.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::POST, path, Some(body)).await?.json()
    }

    /// Sends a PUT request that must succeed.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::PUT, path, Some(body)).await?.json()
    }
}
