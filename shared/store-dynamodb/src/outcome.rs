//! The outcome of a transaction: which condition failed, and what that means. A lost membership
//! takes precedence over everything else.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::CancellationReason;
use domain::{Error, Result};

use crate::failure::{failed, row_failed};
use crate::rows::Row;

/// Why a transaction was cancelled. Nothing was changed.
pub(crate) struct Refusal<P> {
    failed: Vec<(P, Option<Row>)>,
    contended: bool,
}

/// The item on which a condition failed.
pub(crate) enum ExistingItem<'a> {
    /// No row exists, or the condition does not return it.
    Nothing,
    /// This row.
    Row(&'a Row),
}

/// The purpose of an action in a transaction.
pub(crate) enum Part<P> {
    /// The check of the actor's membership.
    Membership,
    /// An audit record.
    Audit,
    /// An action that the operation names.
    Other(P),
}

impl<P: PartialEq> Refusal<P> {
    /// The existing item of this part, if its condition failed.
    pub(crate) fn of(&self, part: &P) -> Option<ExistingItem<'_>> {
        let (_, row) = self.failed.iter().find(|(failed, _)| failed == part)?;
        Some(row.as_ref().map_or(ExistingItem::Nothing, ExistingItem::Row))
    }

    /// The first result that `map` returns for a failed part.
    pub(crate) fn first<T>(&self, map: impl Fn(&P) -> Option<T>) -> Option<T> {
        self.failed.iter().find_map(|(part, _)| map(part))
    }

    /// Returns [`Error::Contended`] if other writers interfered, because the conditions are then
    /// not certain.
    pub(crate) fn unless_contended(&self) -> Result<()> {
        if self.contended { Err(Error::Contended) } else { Ok(()) }
    }
}

/// Matches the cancellation reasons to the transaction's parts by position.
pub(crate) fn cancelled<P>(
    error: &SdkError<TransactWriteItemsError>,
    parts: Vec<Part<P>>,
) -> Result<Refusal<P>> {
    let reasons: &[CancellationReason] = match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons()
        }
        _ => return Err(failed(PORT, error)),
    };
    if reasons.len() != parts.len() {
        return Err(failed(PORT, error));
    }
    let mut refusal = Refusal { failed: Vec::new(), contended: false };
    let mut membership_lost = false;
    let mut failure = None;
    for (part, reason) in parts.into_iter().zip(reasons) {
        match (reason.code().unwrap_or("None"), part) {
            ("None", _) => {}
            ("ConditionalCheckFailed", Part::Membership) => membership_lost = true,
            ("ConditionalCheckFailed", Part::Audit)
            | ("TransactionConflict" | "ProvisionedThroughputExceeded" | "ThrottlingError", _) => {
                refusal.contended = true;
            }
            ("ConditionalCheckFailed", Part::Other(part)) => {
                refusal.failed.push((part, reason.item().cloned().map(Row)));
            }
            (code, _) => failure = Some(row_failed(PORT, code)),
        }
    }
    match failure {
        _ if membership_lost => Err(Error::NotFound),
        Some(error) => Err(error),
        None => Ok(refusal),
    }
}

const PORT: &str = "dynamodb TransactWriteItems";

#[cfg(test)]
mod tests {
    use domain::audit::AuditAction;
    use serde_json::json;
    use support::Fault;

    use super::*;
    use crate::testing::{TestStore, a_run, run_audit};

    async fn begin(test: &TestStore) -> Result<()> {
        let run = a_run("a");
        let audit = run_audit(&run, AuditAction::RunLaunched);
        test.begin_run(&run, None, None, &audit).await.map(|_| ())
    }

    /// Answers every attempt of one call with this error.
    async fn answered(status: u16, code: &str) -> (Error, usize) {
        let test = TestStore::start().await;
        for _ in 0..3 {
            let body = json!({ "__type": code, "message": "canary-8d1f" });
            test.table.faults.fail_next(Fault::Answer { status, body });
        }
        let error = begin(&test).await.unwrap_err();
        assert!(!format!("{error:?}").contains("canary"), "a message of DynamoDB can quote rows");
        assert_eq!(test.keys_beginning("RUN").await, 0);
        (error, test.operations().len())
    }

    #[tokio::test]
    async fn throttles_and_transaction_conflicts_are_contended_after_the_sdk_retries() {
        for code in [
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "ThrottlingException",
            "TransactionInProgressException",
        ] {
            let (error, calls) = answered(400, code).await;
            assert!(matches!(error, Error::Contended), "{code}: {error}");
            assert_eq!(calls, 3, "the SDK retries {code}");
        }
        let (error, _) = answered(400, "TransactionConflictException").await;
        assert!(matches!(error, Error::Contended), "{error}");
    }

    #[tokio::test]
    async fn any_other_error_is_unavailable_and_names_the_operation() {
        for (status, code) in [
            (400, "AccessDeniedException"),
            (400, "ValidationException"),
            (400, "ResourceNotFoundException"),
            (400, "IdempotentParameterMismatchException"),
            (500, "InternalServerError"),
            (503, "ServiceUnavailable"),
        ] {
            let (error, _) = answered(status, code).await;
            let Error::Unavailable { port, source } = &error else {
                panic!("{code}: {error}");
            };
            assert_eq!(*port, "dynamodb TransactWriteItems");
            assert!(source.to_string().contains(code), "{source}");
        }
        let test = TestStore::start().await;
        for _ in 0..3 {
            test.table.faults.fail_next(Fault::Unreachable);
        }
        assert!(matches!(begin(&test).await, Err(Error::Unavailable { .. })));
    }

    #[tokio::test]
    async fn unknown_or_mismatched_cancellation_reasons_are_unavailable() {
        let test = TestStore::start().await;
        for codes in [&["None", "ValidationError"][..], &["ConditionalCheckFailed"], &[]] {
            test.table.faults.fail_next(Fault::Cancelled(codes));
            let error = begin(&test).await.unwrap_err();
            assert!(matches!(error, Error::Unavailable { .. }), "{codes:?}: {error}");
        }
    }

    #[tokio::test]
    async fn a_transient_failure_is_retried() {
        let test = TestStore::start().await;
        test.table.faults.fail_next(Fault::Throttle);
        test.table.faults.fail_next(Fault::Internal);
        begin(&test).await.unwrap();
        assert_eq!(test.operations().len(), 3);
    }
}
