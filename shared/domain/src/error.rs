//! The one error of the domain.
//!
//! `Display` is the text a client may see: fixed words, names and limits, never a value, a token or a cause. Causes
//! travel in `source` and reach the log alone.

use std::error::Error as StdError;

/// What went wrong, by what a caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request breaks a rule; the text names the rule.
    #[error("{0}")]
    Invalid(String),
    /// Something is larger than a limit allows; the text names both.
    #[error("{0}")]
    TooLarge(String),
    /// It does not exist, or the caller may not know that it does: one answer for both.
    #[error("Not found: the resource does not exist, or you do not have access to it.")]
    NotFound,
    /// The caller is known here and lacks the role.
    #[error("Your role in this workspace does not allow this action. Required role: {needs}.")]
    Forbidden {
        /// The roles that would do, in words.
        needs: String,
    },
    /// The name is taken in this scope.
    #[error(
        "A secret named {existing} already exists, or its name differs only in case. Choose another name."
    )]
    AlreadyExists {
        /// The name that is asked for.
        existing: String,
    },
    /// The request contradicts the present state; the text says which.
    #[error("{0}")]
    Conflict(String),
    /// `If-Match` named another version than the current one.
    #[error("The secret changed after you read it. Read it again, and repeat your change.")]
    VersionConflict,
    /// The scope holds as many as it may.
    #[error("You can have at most {limit} {what}. Delete the ones that you no longer use.")]
    LimitExceeded {
        /// The limit.
        limit: u32,
        /// What is counted.
        what: &'static str,
    },
    /// A well-formed request that cannot be done; the text names the reasons, up to twenty, at once.
    #[error("{0}")]
    Refused(String),
    /// The same idempotency key came with another request.
    #[error("This Idempotency-Key was already used with a different request. Use a new key.")]
    IdempotencyMismatch,
    /// The first request with this idempotency key is still under way.
    #[error("The first request with this Idempotency-Key is still in progress. Retry in a few seconds.")]
    InProgress,
    /// It existed and can be had no more.
    #[error("{0}")]
    Gone(String),
    /// Too many writers at once; nothing was changed.
    #[error("Too many concurrent requests. Nothing was changed. Retry in a moment.")]
    Contended,
    /// A sealed value did not open. That is all that may be said of it.
    #[error("A stored secret could not be decrypted. The operators have been notified.")]
    EnvelopeRefused,
    /// A service that we depend on failed; it may work again later.
    #[error("A service that this request needs is unavailable. Nothing was lost. Retry in a moment.")]
    Unavailable {
        /// The port and operation, for the log.
        port: &'static str,
        /// The cause, for the log.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The envelope key is disabled, pending deletion, or not ours to use.
    #[error("The deployment's encryption key cannot be used ({state}). An operator must restore it.")]
    KeyUnusable {
        /// The key's state in KMS's words.
        state: &'static str,
    },
    /// A fault of ours: an invariant does not hold.
    #[error("Internal error. The operators have been notified.")]
    Bug {
        /// What was expected and is not so, for the log; never a value.
        what: &'static str,
    },
}

/// The result of every fallible operation of the domain.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The stable code of this error, for logs, metrics and tests.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::TooLarge(_) => "too-large",
            Self::NotFound => "not-found",
            Self::Forbidden { .. } => "forbidden",
            Self::AlreadyExists { .. } => "already-exists",
            Self::Conflict(_) => "conflict",
            Self::VersionConflict => "version-conflict",
            Self::LimitExceeded { .. } => "limit-exceeded",
            Self::Refused(_) => "refused",
            Self::IdempotencyMismatch => "idempotency-mismatch",
            Self::InProgress => "in-progress",
            Self::Gone(_) => "gone",
            Self::Contended => "contended",
            Self::EnvelopeRefused => "envelope-refused",
            Self::Unavailable { .. } => "unavailable",
            Self::KeyUnusable { .. } => "key-unusable",
            Self::Bug { .. } => "bug",
        }
    }

    /// Whether the same call may succeed later with nothing else changed.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Contended | Self::Unavailable { .. } | Self::InProgress | Self::VersionConflict)
    }

    /// Whether this is a failure of the service rather than of the request.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(
            self,
            Self::EnvelopeRefused | Self::Unavailable { .. } | Self::KeyUnusable { .. } | Self::Bug { .. }
        )
    }

    /// What lies behind the error, outermost first: for the log alone.
    #[must_use]
    pub fn causes(&self) -> String {
        let mut text = match self {
            Self::Unavailable { port, .. } => (*port).to_owned(),
            Self::Bug { what } => (*what).to_owned(),
            Self::KeyUnusable { state } => (*state).to_owned(),
            _ => String::new(),
        };
        let mut source = StdError::source(self);
        while let Some(cause) = source {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }

    /// [`Error::Unavailable`] of a port, with its cause.
    pub fn unavailable(port: &'static str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Unavailable { port, source: source.into() }
    }

    /// [`Error::Bug`], with what was expected.
    #[must_use]
    pub fn bug(what: &'static str) -> Self {
        Self::Bug { what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error with a cause of its own.
    #[derive(Debug, thiserror::Error)]
    #[error("the call failed")]
    struct CallFailed(#[source] std::io::Error);

    fn call_failed() -> CallFailed {
        CallFailed(std::io::Error::other("connection reset"))
    }

    /// An error, its code, whether a retry may succeed, and whether the service is at fault.
    type Expected = (Error, &'static str, bool, bool);

    fn every_variant() -> Vec<Expected> {
        let existing = "NCBI_API_KEY".to_owned();
        vec![
            (Error::Invalid("a rule".into()), "invalid", false, false),
            (Error::TooLarge("a limit".into()), "too-large", false, false),
            (Error::NotFound, "not-found", false, false),
            (Error::Forbidden { needs: "owner or admin".into() }, "forbidden", false, false),
            (Error::AlreadyExists { existing }, "already-exists", false, false),
            (Error::Conflict("a state".into()), "conflict", false, false),
            (Error::VersionConflict, "version-conflict", true, false),
            (Error::LimitExceeded { limit: 10, what: "tokens" }, "limit-exceeded", false, false),
            (Error::Refused("a reason".into()), "refused", false, false),
            (Error::IdempotencyMismatch, "idempotency-mismatch", false, false),
            (Error::InProgress, "in-progress", true, false),
            (Error::Gone("what is gone".into()), "gone", false, false),
            (Error::Contended, "contended", true, false),
            (Error::EnvelopeRefused, "envelope-refused", false, true),
            (Error::unavailable("kms", call_failed()), "unavailable", true, true),
            (Error::KeyUnusable { state: "Disabled" }, "key-unusable", false, true),
            (Error::bug("a row without an id"), "bug", false, true),
        ]
    }

    #[test]
    fn each_error_has_its_code_and_says_whether_to_retry_and_whether_the_service_is_at_fault() {
        for (error, code, retryable, is_ours) in every_variant() {
            assert_eq!(error.code(), code);
            assert_eq!(error.retryable(), retryable, "{code}: retryable");
            assert_eq!(error.is_ours(), is_ours, "{code}: ours");
        }
    }

    #[test]
    fn no_two_errors_share_a_code() {
        let mut codes: Vec<_> = every_variant().iter().map(|(error, ..)| error.code()).collect();
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all);
    }

    #[test]
    fn the_text_for_a_client_names_rules_and_limits() {
        for (error, part) in [
            (Error::Invalid("a rule".into()), "a rule"),
            (Error::Forbidden { needs: "owner or admin".into() }, "Required role: owner or admin."),
            (Error::AlreadyExists { existing: "Ab".into() }, "named Ab already exists"),
            (Error::LimitExceeded { limit: 10, what: "tokens" }, "at most 10 tokens"),
            (Error::KeyUnusable { state: "Disabled" }, "(Disabled)"),
        ] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn causes_are_for_the_log_and_never_in_the_text_for_a_client() {
        for (case, error, causes) in [
            (
                "a cause with a cause",
                Error::unavailable("kms", call_failed()),
                "kms: the call failed: connection reset",
            ),
            ("a plain cause", Error::unavailable("kms", "timed out"), "kms: timed out"),
            ("a bug", Error::bug("a row without an id"), "a row without an id"),
        ] {
            assert_eq!(error.causes(), causes, "{case}");
            let shown = error.to_string();
            for part in causes.split(": ") {
                assert!(!shown.contains(part), "{case}: {part:?} is shown");
            }
        }
        for (error, code, ..) in every_variant() {
            let has_causes =
                matches!(error, Error::Unavailable { .. } | Error::Bug { .. } | Error::KeyUnusable { .. });
            assert_eq!(!error.causes().is_empty(), has_causes, "{code}");
        }
    }

    #[test]
    fn causes_do_not_begin_with_a_separator_where_the_port_has_no_name() {
        let error = Error::unavailable("", call_failed());
        assert_eq!(error.causes(), "the call failed: connection reset");
    }
}
