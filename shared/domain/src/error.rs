//! The error type of the domain.
//!
//! `Display` is the text that clients see. It contains fixed words, names and limits, never a
//! value, a token or a cause. Causes are in `source`, for the log only.

use std::error::Error as StdError;

/// The errors of the domain, grouped by what the caller can do about them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request breaks a rule. The text names the rule.
    #[error("{0}")]
    Invalid(String),
    /// The body or a value exceeds a size limit. The text names the limit.
    #[error("{0}")]
    TooLarge(String),
    /// The resource does not exist, or the caller must not learn that it exists. Both get the same
    /// answer.
    #[error("Not found: the resource does not exist, or you do not have access to it.")]
    NotFound,
    /// The caller is a member of the workspace but lacks the required role.
    #[error("Your role in this workspace does not allow this action. Required role: {needs}.")]
    Forbidden {
        /// The roles that have the permission, in words.
        needs: String,
    },
    /// The limits of the caller's personal access token do not allow the request. The text names
    /// the limit.
    #[error("The token of this request does not allow this: {0}")]
    TokenLimited(String),
    /// An issuer vouches for the caller, no user has this login, and the issuer has no sign-up. The
    /// text is for an operator, who can declare the login.
    #[error(
        "No user of this service has your login. Ask an operator to declare it: issuer {issuer}, subject {subject}"
    )]
    UnknownLogin {
        /// The `iss` of the caller's token.
        issuer: String,
        /// The `sub` of the caller's token.
        subject: String,
    },
    /// The name is already used in this scope.
    #[error(
        "A secret named {existing} already exists, or its name differs only in case. Choose another name."
    )]
    AlreadyExists {
        /// The requested name.
        existing: String,
    },
    /// The request contradicts the current state. The text names the contradiction.
    #[error("{0}")]
    Conflict(String),
    /// `If-Match` names a version that is not the current one.
    #[error("The secret changed after you read it. Read it again, and repeat your change.")]
    VersionConflict,
    /// The scope already has the maximum number of items.
    #[error("You can have at most {limit} {what}. Delete the ones that you no longer use.")]
    LimitExceeded {
        /// The limit.
        limit: u32,
        /// What is counted.
        what: &'static str,
    },
    /// A well-formed request that cannot be carried out. The text lists up to twenty reasons.
    #[error("{0}")]
    Refused(String),
    /// The role of a compute environment cannot be assumed. The owner of its account can fix that,
    /// the service cannot.
    #[error("The compute environment in account {account} cannot be used: {cause}")]
    EnvironmentRefused {
        /// The account.
        account: String,
        /// What is wrong, and what to do.
        cause: &'static str,
    },
    /// The same idempotency key was used with a different request.
    #[error("This Idempotency-Key was already used with a different request. Use a new key.")]
    IdempotencyMismatch,
    /// The first request with this idempotency key is still in progress.
    #[error("The first request with this Idempotency-Key is still in progress. Retry in a few seconds.")]
    InProgress,
    /// The resource existed but is no longer available.
    #[error("{0}")]
    Gone(String),
    /// Too many concurrent writers. Nothing was changed.
    #[error("Too many concurrent requests. Nothing was changed. Retry in a moment.")]
    Contended,
    /// Too many secrets are being created in AWS Secrets Manager. Nothing was changed.
    #[error("Too many secrets are being created right now. Nothing was changed. Retry in {}.", seconds(*retry_after))]
    QuotaReached {
        /// The number of seconds after which to retry.
        retry_after: u32,
    },
    /// The user or the workspace has the maximum number of live runs or copies. The text names the
    /// limit. A retry succeeds once runs have ended; when that is cannot be said.
    #[error("{0}")]
    TooManyLiveRuns(String),
    /// A sealed value could not be opened. The error deliberately says nothing else.
    #[error("A stored secret could not be decrypted. The failure was logged for the operators.")]
    EnvelopeRefused,
    /// A service that this request depends on failed. A retry may succeed.
    #[error("A service that this request needs is unavailable. Retry in a moment.")]
    Unavailable {
        /// The port and operation, for the log.
        port: &'static str,
        /// The cause, for the log.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A claim failed after its token was used, or may have been used. The cause could otherwise be
    /// retried, but a repeated claim would count as a second use.
    #[error("The run did not get its secrets. Do not repeat the claim: launch the run again.")]
    ClaimFailed {
        /// The cause, which also decides code and status.
        source: Box<Error>,
    },
    /// The KMS key of the envelopes is disabled, pending deletion, or cannot be accessed.
    #[error("The deployment's encryption key cannot be used ({state}). An operator must restore it.")]
    KeyUnusable {
        /// The key state, as KMS names it.
        state: &'static str,
    },
    /// An invariant of the service does not hold.
    #[error("Internal error. The failure was logged for the operators.")]
    Bug {
        /// The violated expectation, for the log; never a value.
        what: &'static str,
    },
}

/// The result of every fallible operation in the domain.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The refusal of a request whose token was revoked while the authorizer's decision was cached.
    #[must_use]
    pub fn token_revoked() -> Self {
        Self::TokenLimited("it was revoked.".into())
    }

    /// Returns the stable code of this error, for logs, metrics and tests.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::TooLarge(_) => "too-large",
            Self::NotFound => "not-found",
            Self::Forbidden { .. } => "forbidden",
            Self::TokenLimited(_) => "token-limited",
            Self::UnknownLogin { .. } => "unknown-login",
            Self::AlreadyExists { .. } => "already-exists",
            Self::Conflict(_) => "conflict",
            Self::VersionConflict => "version-conflict",
            Self::LimitExceeded { .. } => "limit-exceeded",
            Self::Refused(_) => "refused",
            Self::EnvironmentRefused { .. } => "environment-refused",
            Self::IdempotencyMismatch => "idempotency-mismatch",
            Self::InProgress => "in-progress",
            Self::Gone(_) => "gone",
            Self::Contended => "contended",
            Self::QuotaReached { .. } => "quota-reached",
            Self::TooManyLiveRuns(_) => "too-many-live-runs",
            Self::EnvelopeRefused => "envelope-refused",
            Self::Unavailable { .. } => "unavailable",
            Self::ClaimFailed { source } => source.code(),
            Self::KeyUnusable { .. } => "key-unusable",
            Self::Bug { .. } => "bug",
        }
    }

    /// Whether the same call may succeed later without other changes.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(
            self,
            Self::Contended
                | Self::QuotaReached { .. }
                | Self::TooManyLiveRuns(_)
                | Self::Unavailable { .. }
                | Self::InProgress
                | Self::VersionConflict
        )
    }

    /// Whether the service is at fault, rather than the request.
    #[must_use]
    pub fn is_service_fault(&self) -> bool {
        match self {
            Self::ClaimFailed { source } => source.is_service_fault(),
            Self::EnvelopeRefused
            | Self::Unavailable { .. }
            | Self::KeyUnusable { .. }
            | Self::Bug { .. } => true,
            _ => false,
        }
    }

    /// Returns the causes of the error, outermost first. For the log only.
    #[must_use]
    pub fn causes(&self) -> String {
        let mut text = match self {
            Self::ClaimFailed { source } => return source.causes(),
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

    /// Creates [`Error::Unavailable`] for a port, with its cause.
    pub fn unavailable(port: &'static str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Unavailable { port, source: source.into() }
    }

    /// Creates [`Error::Bug`], with the violated expectation.
    #[must_use]
    pub fn bug(what: &'static str) -> Self {
        Self::Bug { what }
    }
}

fn seconds(number: u32) -> String {
    match number {
        1 => "1 second".to_owned(),
        several => format!("{several} seconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error that has a cause.
    #[derive(Debug, thiserror::Error)]
    #[error("the call failed")]
    struct CallFailed(#[source] std::io::Error);

    fn call_failed() -> CallFailed {
        CallFailed(std::io::Error::other("connection reset"))
    }

    /// An error, its code, whether it is retryable, and whether the service is at fault.
    type Expected = (Error, &'static str, bool, bool);

    fn every_variant() -> Vec<Expected> {
        let existing = "NCBI_API_KEY".to_owned();
        vec![
            (Error::Invalid("a rule".into()), "invalid", false, false),
            (Error::TooLarge("a limit".into()), "too-large", false, false),
            (Error::NotFound, "not-found", false, false),
            (Error::Forbidden { needs: "owner or admin".into() }, "forbidden", false, false),
            (Error::TokenLimited("a limit".into()), "token-limited", false, false),
            (Error::UnknownLogin { issuer: "i".into(), subject: "s".into() }, "unknown-login", false, false),
            (Error::AlreadyExists { existing }, "already-exists", false, false),
            (Error::Conflict("a state".into()), "conflict", false, false),
            (Error::VersionConflict, "version-conflict", true, false),
            (Error::LimitExceeded { limit: 10, what: "tokens" }, "limit-exceeded", false, false),
            (Error::Refused("a reason".into()), "refused", false, false),
            (
                Error::EnvironmentRefused { account: "210987654321".into(), cause: "a cause" },
                "environment-refused",
                false,
                false,
            ),
            (Error::IdempotencyMismatch, "idempotency-mismatch", false, false),
            (Error::InProgress, "in-progress", true, false),
            (Error::Gone("a reason".into()), "gone", false, false),
            (Error::Contended, "contended", true, false),
            (Error::QuotaReached { retry_after: 23 }, "quota-reached", true, false),
            (Error::TooManyLiveRuns("a limit".into()), "too-many-live-runs", true, false),
            (Error::EnvelopeRefused, "envelope-refused", false, true),
            (Error::unavailable("kms", call_failed()), "unavailable", true, true),
            (Error::KeyUnusable { state: "Disabled" }, "key-unusable", false, true),
            (Error::bug("a row without an id"), "bug", false, true),
        ]
    }

    #[test]
    fn each_error_has_its_code_and_says_whether_to_retry_and_whether_the_service_is_at_fault() {
        for (error, code, retryable, is_service_fault) in every_variant() {
            assert_eq!(error.code(), code);
            assert_eq!(error.retryable(), retryable, "{code}: retryable");
            assert_eq!(error.is_service_fault(), is_service_fault, "{code}: ours");
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
    fn a_failed_claim_is_logged_and_counted_as_its_cause_but_never_retried() {
        for (source, code, _, is_service_fault) in every_variant() {
            let causes = source.causes();
            let error = Error::ClaimFailed { source: Box::new(source) };
            assert_eq!((error.code(), error.causes()), (code, causes));
            assert_eq!((error.retryable(), error.is_service_fault()), (false, is_service_fault), "{code}");
            let text = error.to_string();
            assert!(text.contains("launch the run again") && !text.contains("Retry"), "{code}: {text}");
        }
    }

    #[test]
    fn the_text_for_a_client_names_rules_and_limits() {
        for (error, part) in [
            (Error::Invalid("a rule".into()), "a rule"),
            (Error::Forbidden { needs: "owner or admin".into() }, "Required role: owner or admin."),
            (Error::AlreadyExists { existing: "Ab".into() }, "named Ab already exists"),
            (Error::LimitExceeded { limit: 10, what: "tokens" }, "at most 10 tokens"),
            (Error::QuotaReached { retry_after: 23 }, "Retry in 23 seconds."),
            (Error::QuotaReached { retry_after: 1 }, "Retry in 1 second."),
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
