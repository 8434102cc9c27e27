//! Errors as clients see them: a status and a message, `{"message": "…"}`.

use domain::{Error, log};
use serde::Serialize;

use crate::answer::Answer;

/// A human-readable error message on one line.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Error"))]
pub struct ErrorBody<'a> {
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    message: &'a str,
}

/// A refused or failed request.
#[derive(Debug)]
pub struct Problem {
    status: u16,
    message: String,
    retry_after: Option<u32>,
    cause: Option<Error>,
}

impl Problem {
    /// Creates a problem that no use case reported.
    #[must_use]
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after: None, cause: None }
    }

    /// Creates a 400 problem.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// Creates the 503 problem for the time until a restored table is reconciled. Clients retry
    /// after a minute.
    pub(crate) fn restored() -> Self {
        let message =
            "The service was restored from a backup and is not available until its operators reconcile it.";
        Self { retry_after: Some(60), ..Self::new(503, message) }
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the message that the client sees.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// An operation that the service does not have. Not 404: clients take that for an object that
    /// no longer exists.
    pub(crate) fn no_such_operation() -> Self {
        Self::new(
            501,
            "This service does not have this operation. Its API description lists the operations that it has.",
        )
    }

    /// Returns the error code if the service is at fault.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        self.cause.as_ref().filter(|cause| cause.is_service_fault()).map(Error::code)
    }

    /// Writes the log line of a failed request.
    pub(crate) fn log(&self, operation: &'static str) {
        let line = self.cause.as_ref().map_or_else(|| log::refusal("request"), log::error);
        line.operation(operation).status(self.status).by_fault();
    }

    /// Converts the problem into an answer.
    #[must_use]
    pub fn into_answer(self) -> Answer {
        let answer = Answer::json(self.status, &ErrorBody { message: &self.message });
        match self.retry_after {
            Some(seconds) => answer.with_header("retry-after", seconds.to_string()),
            None => answer,
        }
    }
}

/// The only place that maps errors to status codes.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, retry_after) = answer_to(&error);
        Self { status, message: error.to_string(), retry_after, cause: Some(error) }
    }
}

/// Returns the status of an error, and after how many seconds a client may retry.
fn answer_to(error: &Error) -> (u16, Option<u32>) {
    match error {
        Error::Invalid(_) | Error::LimitExceeded { .. } => (400, None),
        Error::Forbidden { .. } | Error::TokenLimited(_) | Error::UnknownLogin { .. } => (403, None),
        Error::NotFound => (404, None),
        Error::AlreadyExists { .. } | Error::Conflict(_) | Error::KeyUnusable { .. } => (409, None),
        Error::InProgress => (409, Some(3)),
        Error::Gone(_) => (410, None),
        Error::VersionConflict => (412, None),
        Error::TooLarge(_) => (413, None),
        Error::Refused(_) | Error::IdempotencyMismatch | Error::EnvironmentRefused { .. } => (422, None),
        Error::TooManyLiveRuns(_) => (429, None),
        Error::Contended => (429, Some(1)),
        Error::QuotaReached { retry_after } => (429, Some(*retry_after)),
        Error::EnvelopeRefused | Error::Bug { .. } => (500, None),
        Error::Unavailable { .. } => (503, Some(2)),
        Error::ClaimFailed { source } => (answer_to(source).0, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Returns the status, `Retry-After` and the body that a client receives.
    fn received(problem: Problem) -> (Value, Value, Value) {
        let event: Value = serde_json::from_str(problem.into_answer().into_event().get()).unwrap();
        assert_eq!(event["headers"]["content-type"], "application/json");
        let body = serde_json::from_str(event["body"].as_str().unwrap()).unwrap();
        (event["statusCode"].clone(), event["headers"]["retry-after"].clone(), body)
    }

    #[test]
    fn every_error_has_a_status_a_body_and_retry_after_where_a_retry_helps() {
        let existing = "NCBI_API_KEY".to_owned();
        for (error, status, retry_after, fault) in [
            (Error::Invalid("A rule.".into()), 400, None, None),
            (Error::LimitExceeded { limit: 1_000, what: "secrets" }, 400, None, None),
            (Error::Forbidden { needs: "owner or admin".into() }, 403, None, None),
            (Error::NotFound, 404, None, None),
            (Error::AlreadyExists { existing }, 409, None, None),
            (Error::Conflict("A contradiction.".into()), 409, None, None),
            (Error::KeyUnusable { state: "Disabled" }, 409, None, Some("key-unusable")),
            (Error::InProgress, 409, Some("3"), None),
            (Error::Gone("The run is over.".into()), 410, None, None),
            (Error::VersionConflict, 412, None, None),
            (Error::TooLarge("A limit.".into()), 413, None, None),
            (Error::Refused("Reasons.".into()), 422, None, None),
            (Error::IdempotencyMismatch, 422, None, None),
            (
                Error::EnvironmentRefused { account: "210987654321".into(), cause: "A cause." },
                422,
                None,
                None,
            ),
            (Error::TooManyLiveRuns("A limit.".into()), 429, None, None),
            (Error::Contended, 429, Some("1"), None),
            (Error::QuotaReached { retry_after: 23 }, 429, Some("23"), None),
            (Error::EnvelopeRefused, 500, None, Some("envelope-refused")),
            (Error::bug("hidden"), 500, None, Some("bug")),
            (
                Error::unavailable("hidden", std::io::Error::other("hidden")),
                503,
                Some("2"),
                Some("unavailable"),
            ),
            (Error::ClaimFailed { source: Box::new(Error::Contended) }, 429, None, None),
            (
                Error::ClaimFailed { source: Box::new(Error::unavailable("hidden", "hidden")) },
                503,
                None,
                Some("unavailable"),
            ),
        ] {
            let code = error.code();
            let text = error.to_string();
            let problem = Problem::from(error);
            assert_eq!((problem.status(), problem.message()), (status, text.as_str()), "{code}");
            assert_eq!(problem.fault(), fault, "{code}");
            let retry_after = retry_after.map_or(Value::Null, Value::from);
            let (answered, retry, body) = received(problem);
            assert_eq!((answered, retry), (json!(status), retry_after), "{code}");
            assert_eq!(body, json!({ "message": text }), "{code}");
            assert!(!text.contains("hidden"), "{code}: shows the cause: {text}");
        }
    }

    #[test]
    fn a_refused_request_is_not_a_fault() {
        for (problem, status, retry_after, message) in [
            (Problem::new(415, "Not JSON."), 415, Value::Null, "Not JSON."),
            (Problem::bad_request("`name` is \"missing\"."), 400, Value::Null, "`name` is \"missing\"."),
        ] {
            assert_eq!(problem.fault(), None, "{message}");
            assert_eq!(
                received(problem),
                (json!(status), retry_after, json!({ "message": message })),
                "{message}"
            );
        }
    }
}
