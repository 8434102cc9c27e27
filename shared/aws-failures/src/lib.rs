//! What may be said of an AWS call that failed, in the log and nowhere else.
//!
//! An SDK error holds the raw response: that of `Decrypt` is a key in clear, and AWS's own messages quote what was
//! sent. So no adapter keeps an SDK error as the cause of a domain error; it keeps a [`Failure`], which has room for a
//! code, a status and a request id only.

#[cfg(feature = "test-util")]
pub mod fake;

use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// How an AWS call failed, without a word of what was sent or received.
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
    Refused,
    Incomplete,
}

impl Failure {
    /// What may be said of this error of the SDK.
    pub fn of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Self {
        let how = match error {
            SdkError::ConstructionFailure(_) => How::NotBuilt,
            SdkError::TimeoutError(_) => How::TimedOut,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => How::TimedOut,
            SdkError::ResponseError(_) => How::Unreadable,
            SdkError::ServiceError(_) => How::Refused,
            // The type is open; what is unknown was not answered.
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

    /// A call that succeeded and whose answer lacks what it must hold, or says in its own words that it failed.
    #[must_use]
    pub fn incomplete(code: Option<&str>) -> Self {
        Self { how: How::Incomplete, code: code.and_then(plain), status: None, request_id: None }
    }

    /// The service's code of the error, such as `AccessDeniedException`, where it is one plain word.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Whether the service asked for fewer calls.
    #[must_use]
    pub fn is_throttle(&self) -> bool {
        // The names that the SDK retries as throttling, without those that also stand for quotas.
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

    /// Whether IAM, or the resource's own policy, refused the call.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self.code(), Some("AccessDeniedException" | "AccessDenied"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.how {
            How::NotBuilt => "the request could not be built",
            How::TimedOut => "no answer in time",
            How::NotSent => "no connection, or it broke",
            How::Unreadable => "the answer could not be read",
            How::Refused => "refused",
            How::Incomplete => "the answer lacks what it must hold",
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

/// [`domain::Error::Unavailable`] of an operation (`"kms Decrypt"`), with what may be said of the cause.
pub fn unavailable<E: ProvideErrorMetadata>(
    operation: &'static str,
    error: &SdkError<E, HttpResponse>,
) -> domain::Error {
    domain::Error::unavailable(operation, Failure::of(error))
}

/// Codes and request ids are one short word; anything else is not let through.
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

    fn refused(code: &str) -> SdkError<ErrorMetadata, HttpResponse> {
        let metadata = ErrorMetadata::builder().code(code).message(CANARY).build();
        SdkError::service_error(metadata, response(400))
    }

    #[test]
    fn a_refusal_says_code_status_and_request_and_no_more() {
        let failure = Failure::of(&refused("AccessDeniedException"));
        assert_eq!(failure.to_string(), "refused, AccessDeniedException, HTTP 400, request 0a1b-2c");
        assert!(failure.is_denied() && !failure.is_throttle());
    }

    #[test]
    fn nothing_sent_or_received_is_in_any_failure() {
        let errors: [SdkError<ErrorMetadata, HttpResponse>; 6] = [
            SdkError::construction_failure(CANARY),
            SdkError::timeout_error(CANARY),
            SdkError::dispatch_failure(ConnectorError::io(CANARY.into())),
            SdkError::response_error(CANARY, response(200)),
            refused("ValidationException"),
            refused(CANARY),
        ];
        for error in errors {
            let error = unavailable("kms Decrypt", &error);
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
    }

    #[test]
    fn throttling_has_many_names_and_a_quota_is_none_of_them() {
        for code in ["ThrottlingException", "TooManyRequestsException"] {
            assert!(Failure::of(&refused(code)).is_throttle(), "{code}");
        }
        assert!(!Failure::of(&refused("LimitExceededException")).is_throttle());
    }
}
