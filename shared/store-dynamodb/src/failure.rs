//! The domain errors of SDK errors that need no further distinction.

use aws_failures::{Failure, unavailable};
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use domain::Error;

/// Codes by which DynamoDB reports contention with other writers or throttling. The SDK has already
/// retried those that may be retried.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>
const CONTENDED: [&str; 4] = [
    "ProvisionedThroughputExceededException",
    "ThrottlingError",
    "TransactionConflictException",
    "TransactionInProgressException",
];

/// [`Error::Contended`] for throttling and contention, otherwise [`Error::Unavailable`].
pub(crate) fn failed<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata,
{
    let failure = Failure::of(error);
    if failure.is_throttle() || failure.code().is_some_and(|code| CONTENDED.contains(&code)) {
        return Error::Contended;
    }
    unavailable(operation, error)
}

/// The error for a row of a transaction that failed for a reason other than its condition.
pub(crate) fn row_failed(operation: &'static str, code: &str) -> Error {
    Error::unavailable(operation, Failure::incomplete(Some(code)))
}

/// The error for a request that the SDK cannot build.
pub(crate) fn unbuildable(_: BuildError) -> Error {
    Error::bug("a request to DynamoDB lacks a required part")
}
