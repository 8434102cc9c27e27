//! What a handler is given, and what it may answer.

use domain::Timestamp;
use domain::ports::Randomness;
use domain::settings::Settings;
use lambda_runtime::{Context, Diagnostic};
use serde_json::value::RawValue;

use crate::Deadline;

/// One invocation.
pub struct Invocation {
    payload: Box<RawValue>,
    request_id: String,
    deadline: Deadline,
}

impl Invocation {
    pub(crate) fn of(payload: Box<RawValue>, context: Context) -> Self {
        Self { payload, deadline: Deadline::at(context.deadline()), request_id: context.request_id }
    }

    /// The event: well-formed JSON, of which nothing else is known. A handler parses it itself, and shows no parser's
    /// error: they quote their input.
    #[must_use]
    pub fn payload(&self) -> &RawValue {
        &self.payload
    }

    /// Lambda's id of the request.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// What a use case is given for this invocation.
    #[must_use]
    pub fn context<'a>(
        &'a self,
        settings: &'a Settings,
        randomness: &'a dyn Randomness,
    ) -> domain::Context<'a> {
        domain::Context { now: Timestamp::now(), randomness, backoff: &self.deadline, settings }
    }

    /// When Lambda ends it; as `Backoff` it waits before a retry.
    #[must_use]
    pub fn deadline(&self) -> &Deadline {
        &self.deadline
    }
}

/// What a handler answers: JSON, or that the invocation failed, after which Lambda repeats what it repeats.
pub type Outcome = Result<Box<RawValue>, Failed>;

/// That an invocation failed, by a code. It has no room for anything else: the runtime prints and sends what is here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    code: &'static str,
}

impl Failed {
    /// Failed, by this code.
    #[must_use]
    pub const fn new(code: &'static str) -> Self {
        Self { code }
    }

    /// The code.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.code
    }
}

impl From<&domain::Error> for Failed {
    fn from(error: &domain::Error) -> Self {
        Self::new(error.code())
    }
}

impl std::fmt::Debug for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the invocation failed ({})", self.code)
    }
}

impl std::error::Error for Failed {}

impl From<Failed> for Diagnostic {
    fn from(failed: Failed) -> Self {
        Self { error_type: failed.code.to_owned(), error_message: failed.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_a_code_and_no_more() {
        let failed = Failed::from(&domain::Error::Invalid("canary".into()));
        let diagnostic = Diagnostic::from(failed);
        assert_eq!(diagnostic.error_type, "invalid");
        assert_eq!(diagnostic.error_message, "the invocation failed (invalid)");
        assert_eq!(format!("{failed:?}"), diagnostic.error_message);
    }
}
