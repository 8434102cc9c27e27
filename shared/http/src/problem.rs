//! Errors as clients see them: a status and one line, `{"message": "…"}`.

use domain::Error;

use crate::answer::Answer;

/// A refused or failed request.
#[derive(Debug)]
pub struct Problem {
    status: u16,
    message: String,
    retry_after: Option<u32>,
    cause: Option<Error>,
}

impl Problem {
    /// A request that this side refuses before any use case.
    #[must_use]
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after: None, cause: None }
    }

    /// 400.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// 503 while a restored table is not reconciled. A minute is what a repeat costs nobody.
    pub(crate) fn restored() -> Self {
        let message = "The service was restored from a backup and serves nobody until its operators have reconciled it.";
        Self { retry_after: Some(60), ..Self::new(503, message) }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The line that the client sees.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The code of a fault that is ours.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        self.cause.as_ref().filter(|cause| cause.is_ours()).map(Error::code)
    }

    /// Writes the one log line of a failed request.
    pub(crate) fn log(&self, operation: &'static str) {
        let code = self.cause.as_ref().map_or("request", Error::code);
        if self.fault().is_some() {
            let cause = self.cause.as_ref().map(Error::causes).unwrap_or_default();
            tracing::error!(
                operation,
                http.status = self.status,
                error.code = code,
                error.cause = cause,
                "failed"
            );
        } else {
            tracing::info!(operation, http.status = self.status, error.code = code, "refused");
        }
    }

    /// The answer.
    #[must_use]
    pub fn into_answer(self) -> Answer {
        let body = serde_json::json!({ "message": self.message });
        let answer = Answer::json(self.status, &body);
        match self.retry_after {
            Some(seconds) => answer.with_header("retry-after", seconds.to_string()),
            None => answer,
        }
    }
}

/// The one place that turns what went wrong into a status (contract §1).
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, retry_after) = match &error {
            Error::Invalid(_) | Error::LimitExceeded { .. } => (400, None),
            Error::Forbidden { .. } => (403, None),
            Error::NotFound => (404, None),
            Error::AlreadyExists { .. } | Error::Conflict(_) | Error::KeyUnusable { .. } => (409, None),
            Error::InProgress => (409, Some(3)),
            Error::Gone(_) => (410, None),
            Error::VersionConflict => (412, None),
            Error::TooLarge(_) => (413, None),
            Error::Refused(_) | Error::IdempotencyMismatch => (422, None),
            Error::Contended => (429, Some(1)),
            Error::EnvelopeRefused | Error::Bug { .. } => (500, None),
            Error::Unavailable { .. } => (503, Some(2)),
        };
        Self { status, message: error.to_string(), retry_after, cause: Some(error) }
    }
}
