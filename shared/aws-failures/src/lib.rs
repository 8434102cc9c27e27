//! What the log may contain about a failed AWS call. Callers never see it.
//!
//! An SDK error holds the raw response: for `Decrypt`, that is a plaintext key, and AWS's messages
//! quote the request. Therefore no adapter keeps an SDK error as the cause of a domain error. It
//! keeps a [`Failure`], which holds only a code, a status and a request id.

#[cfg(feature = "test-util")]
pub mod fake;

use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// How an AWS call failed, without anything that was sent or received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    how: How,
    code: Option<String>,
    status: Option<u16>,
    request_id: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum How {
    NotBuilt,
    TimedOut,
    NotSent,
    Unreadable,
    ServiceError,
    Incomplete,
}

impl Failure {
    /// Extracts what the log may contain from an SDK error.
    pub fn of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Self {
        let how = match error {
            SdkError::ConstructionFailure(_) => How::NotBuilt,
            SdkError::TimeoutError(_) => How::TimedOut,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => How::TimedOut,
            SdkError::ResponseError(_) => How::Unreadable,
            SdkError::ServiceError(_) => How::ServiceError,
            // The enum is non-exhaustive: any other variant counts as not sent.
            _ => How::NotSent,
        };
        let response = error.raw_response();
        let request_id = response.and_then(|response| response.headers().get("x-amzn-requestid"));
        Self {
            how,
            code: error.as_service_error().and_then(ProvideErrorMetadata::code).and_then(plain),
            status: response.map(|response| response.status().as_u16()),
            request_id: request_id.and_then(plain),
        }
    }

    /// A successful call whose answer lacks a required part or reports a failure in its body.
    #[must_use]
    pub fn incomplete(code: Option<&str>) -> Self {
        Self { how: How::Incomplete, code: code.and_then(plain), status: None, request_id: None }
    }

    /// The failed call that is the cause of an error, if one is.
    #[must_use]
    pub fn behind(error: &domain::Error) -> Option<&Self> {
        match error {
            domain::Error::Unavailable { source, .. } => source.downcast_ref(),
            _ => None,
        }
    }

    /// The service's error code, such as `AccessDeniedException`, if it is one plain word.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Whether the service throttled the call.
    #[must_use]
    pub fn is_throttle(&self) -> bool {
        // The codes that the SDK retries as throttling, except those that also report quotas.
        matches!(
            self.code(),
            Some(
                "Throttling"
                    | "ThrottlingException"
                    | "ThrottledException"
                    | "RequestThrottled"
                    | "RequestThrottledException"
                    | "TooManyRequestsException"
                    | "RequestLimitExceeded"
                    | "SlowDown"
            )
        ) || self.status == Some(429)
    }

    /// Whether IAM or the resource's policy denied the call.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self.code(), Some("AccessDeniedException" | "AccessDenied"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.how {
            How::NotBuilt => "cannot build the request",
            How::TimedOut => "request timed out",
            How::NotSent => "connection failed",
            How::Unreadable => "cannot read the response",
            How::ServiceError => "service error",
            How::Incomplete => "incomplete or failed response",
        })?;
        if let Some(code) = &self.code {
            write!(f, ", {code}")?;
        }
        if let Some(status) = self.status {
            write!(f, ", HTTP {status}")?;
        }
        if let Some(id) = &self.request_id {
            write!(f, ", request {id}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// Returns [`domain::Error::Unavailable`] for an operation (`"kms Decrypt"`), with the [`Failure`]
/// as its cause.
pub fn unavailable<E: ProvideErrorMetadata>(
    operation: &'static str,
    error: &SdkError<E, HttpResponse>,
) -> domain::Error {
    domain::Error::unavailable(operation, Failure::of(error))
}

/// Lets codes and request ids through, which are one short word, and drops anything else.
fn plain(word: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (!word.is_empty() && word.len() <= 64 && word.bytes().all(is_plain)).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    const CANARY: &str = "canary-8d1f value";

    fn response(status: u16) -> HttpResponse {
        let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(CANARY));
        response.headers_mut().insert("x-amzn-requestid", "0a1b-2c");
        response
    }

    fn service_error(code: &str) -> SdkError<ErrorMetadata, HttpResponse> {
        let metadata = ErrorMetadata::builder().code(code).message(CANARY).build();
        SdkError::service_error(metadata, response(400))
    }

    #[test]
    fn a_service_error_shows_only_code_status_and_request_id() {
        let failure = Failure::of(&service_error("AccessDeniedException"));
        assert_eq!(failure.to_string(), "service error, AccessDeniedException, HTTP 400, request 0a1b-2c");
        assert!(failure.is_denied() && !failure.is_throttle());
    }

    #[test]
    fn nothing_sent_or_received_is_in_any_failure() {
        let errors: [SdkError<ErrorMetadata, HttpResponse>; 6] = [
            SdkError::construction_failure(CANARY),
            SdkError::timeout_error(CANARY),
            SdkError::dispatch_failure(ConnectorError::io(CANARY.into())),
            SdkError::response_error(CANARY, response(200)),
            service_error("ValidationException"),
            service_error(CANARY),
        ];
        for error in errors {
            let error = unavailable("kms Decrypt", &error);
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
    }

    #[test]
    fn throttling_codes_are_throttles_and_quota_codes_are_not() {
        for code in ["ThrottlingException", "TooManyRequestsException"] {
            assert!(Failure::of(&service_error(code)).is_throttle(), "{code}");
        }
        assert!(!Failure::of(&service_error("LimitExceededException")).is_throttle());
    }
}
