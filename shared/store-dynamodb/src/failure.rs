//! What becomes of an SDK error that leaves nothing more to say.

use aws_failures::{Failure, unavailable};
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use domain::Error;

/// Codes by which DynamoDB says that others were faster or that it is too much at once. The SDK has repeated those that
/// may be repeated by then.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>
const CONTENDED: [&str; 4] = [
    "ProvisionedThroughputExceededException",
    "ThrottlingError",
    "TransactionConflictException",
    "TransactionInProgressException",
];

/// Throttled is [`Error::Contended`], all else [`Error::Unavailable`].
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

/// A row of a transaction that failed for another reason than its condition.
pub(crate) fn row_failed(operation: &'static str, code: &str) -> Error {
    Error::unavailable(operation, Failure::incomplete(Some(code)))
}

/// A request that the SDK could not even build.
pub(crate) fn unbuildable(_: BuildError) -> Error {
    Error::bug("a request to DynamoDB lacks a required part")
}
