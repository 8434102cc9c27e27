//! Invocations and their outcomes.

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

    /// Returns the event, which is well-formed JSON. A handler parses it and must not show the
    /// parser's errors, because they quote the input.
    #[must_use]
    pub fn payload(&self) -> &RawValue {
        &self.payload
    }

    /// Returns Lambda's request ID.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Returns the context of use cases for this invocation.
    #[must_use]
    pub fn context<'a>(
        &'a self,
        settings: &'a Settings,
        randomness: &'a dyn Randomness,
    ) -> domain::Context<'a> {
        domain::Context { now: Timestamp::now(), randomness, backoff: &self.deadline, settings }
    }

    /// Returns the time at which Lambda ends the invocation.
    #[must_use]
    pub fn deadline(&self) -> &Deadline {
        &self.deadline
    }
}

/// The outcome of a handler: JSON, or a failure, after which Lambda retries asynchronous
/// invocations.
pub type Outcome = Result<Box<RawValue>, Failed>;

/// The failure of an invocation. It contains only a code, because the runtime prints and sends it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    code: &'static str,
}

impl Failed {
    /// Creates a failure with this code.
    #[must_use]
    pub const fn new(code: &'static str) -> Self {
        Self { code }
    }

    /// Returns the code.
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
    fn a_failure_contains_only_a_code() {
        let failed = Failed::from(&domain::Error::Invalid("canary".into()));
        let diagnostic = Diagnostic::from(failed);
        assert_eq!(diagnostic.error_type, "invalid");
        assert_eq!(diagnostic.error_message, "the invocation failed (invalid)");
        assert_eq!(format!("{failed:?}"), diagnostic.error_message);
    }
}
