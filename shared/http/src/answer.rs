//! Answers in the format of API Gateway.

use serde::Serialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// An answer to a request: a status, headers and a body.
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Option<Zeroizing<String>>,
}

impl Answer {
    /// Creates a JSON answer from a wire type.
    #[must_use]
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        // A wire type consists of text, numbers and lists: it cannot fail to serialize.
        let text = serde_json::to_string(body).unwrap_or_default();
        Self::raw_json(status, Zeroizing::new(text))
    }

    /// Creates an answer from JSON text.
    #[must_use]
    pub fn raw_json(status: u16, body: Zeroizing<String>) -> Self {
        Self { status, headers: vec![("content-type", "application/json".to_owned())], body: Some(body) }
    }

    /// Creates a plain-text answer.
    #[must_use]
    pub fn text(status: u16, body: Zeroizing<String>) -> Self {
        let content_type = "text/plain; charset=utf-8".to_owned();
        Self { status, headers: vec![("content-type", content_type)], body: Some(body) }
    }

    /// Creates a 204 answer, which has no body and no content type.
    #[must_use]
    pub fn no_content() -> Self {
        Self { status: 204, headers: Vec::new(), body: None }
    }

    /// Adds a header. Its name must be in lower case.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Converts the answer for API Gateway (payload format 2.0). Answers must not be cached.
    #[must_use]
    pub fn into_event(self) -> Box<RawValue> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Event<'a> {
            status_code: u16,
            headers: std::collections::BTreeMap<&'a str, &'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            body: Option<&'a str>,
        }
        let mut headers: std::collections::BTreeMap<_, _> =
            self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.insert("cache-control", "no-store");
        headers.insert("x-content-type-options", "nosniff");
        let body = self.body.as_ref().map(|body| body.as_str());
        let event = Event { status_code: self.status, headers, body };
        // Text and numbers: it cannot fail to serialize.
        serde_json::value::to_raw_value(&event).unwrap_or_else(|_| RawValue::NULL.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn an_answer_becomes_an_api_gateway_response_that_is_never_cached() {
        let text = |text: &str| Zeroizing::new(text.to_owned());
        for (case, answer, status, headers, body) in [
            (
                "json",
                Answer::json(200, &json!({ "name": "\"ü\n" })),
                200,
                json!({ "content-type": "application/json" }),
                json!("{\"name\":\"\\\"ü\\n\"}"),
            ),
            (
                "json as written",
                Answer::raw_json(201, text("[ 1 ]")),
                201,
                json!({ "content-type": "application/json" }),
                json!("[ 1 ]"),
            ),
            (
                "text",
                Answer::text(200, text("a=1\n")),
                200,
                json!({ "content-type": "text/plain; charset=utf-8" }),
                json!("a=1\n"),
            ),
            ("no content", Answer::no_content(), 204, json!({}), Value::Null),
            (
                "further headers",
                Answer::no_content()
                    .with_header("etag", "\"3\"".into())
                    .with_header("retry-after", "2".into()),
                204,
                json!({ "etag": "\"3\"", "retry-after": "2" }),
                Value::Null,
            ),
        ] {
            let mut headers = headers;
            headers["cache-control"] = "no-store".into();
            headers["x-content-type-options"] = "nosniff".into();
            assert_eq!(answer.status(), status, "{case}");
            let event: Value = serde_json::from_str(answer.into_event().get()).unwrap();
            let mut expected = json!({ "statusCode": status, "headers": headers });
            if !body.is_null() {
                expected["body"] = body;
            }
            assert_eq!(event, expected, "{case}");
        }
    }
}
