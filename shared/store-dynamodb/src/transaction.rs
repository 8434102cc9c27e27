//! The one way of writing: all or nothing, with the audit record, and with an answer that says which condition failed.

use aws_sdk_dynamodb::error::{BuildError, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    CancellationReason, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    Update,
};
use domain::audit::AuditRecord;
use domain::ids::{UserId, WorkspaceId};
use domain::owner::{Scope, SecretOwner};
use domain::role::Role;
use domain::{Error, Result};

use crate::Store;
use crate::audit::{audit_row, log_audit};
use crate::failure::{failed, row_failed, unbuildable};
use crate::keys::Key;
use crate::rows::{Attributes, Row, s};
use crate::terms::{Changes, Terms};

/// A transaction in the making. `P` names its parts, so that an operation can tell which of its conditions failed.
pub(crate) struct Transaction<'a, P> {
    store: &'a Store,
    audit: Vec<&'a AuditRecord>,
    parts: Vec<(Part<P>, TransactWriteItem)>,
    fault: Option<Error>,
}

enum Part<P> {
    Membership,
    Audit,
    Other(P),
}

/// What became of a transaction.
pub(crate) enum Outcome<P> {
    /// It took effect.
    Done,
    /// Nothing was changed.
    Refused(Refusal<P>),
}

/// Why a transaction was not done.
pub(crate) struct Refusal<P> {
    failed: Vec<(P, Option<Row>)>,
    contended: bool,
}

/// What stood where a condition failed.
pub(crate) enum Stood<'a> {
    /// No row, or the condition does not ask which.
    Nothing,
    /// This row.
    Row(&'a Row),
}

impl Store {
    pub(crate) fn transaction<P>(&self) -> Transaction<'_, P> {
        Transaction { store: self, audit: Vec::new(), parts: Vec::new(), fault: None }
    }
}

impl<'a, P: PartialEq> Transaction<'a, P> {
    /// Asks that the scope's membership still holds. The actor's own scope has none to lose.
    pub(crate) fn still_member(&mut self, scope: &Scope) {
        let SecretOwner::Workspace(workspace) = scope.owner() else {
            return;
        };
        self.still_in(workspace, scope.actor(), scope.roles());
    }

    /// Asks that the user still has one of these roles in the workspace.
    pub(crate) fn still_in(&mut self, workspace: WorkspaceId, user: UserId, roles: &[Role]) {
        let mut terms = Terms::default();
        let roles: Vec<_> = roles.iter().map(|role| terms.value(s(role.as_str()))).collect();
        let condition = format!("{} IN ({})", terms.name("role"), roles.join(", "));
        let (names, values) = terms.parts();
        let check = ConditionCheck::builder()
            .table_name(&self.store.table)
            .set_key(Some(Key::member(workspace, user).attributes()))
            .condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .build();
        self.push(Part::Membership, check, |check, item| item.condition_check(check));
    }

    /// Adds an audit record.
    pub(crate) fn audited(&mut self, record: &'a AuditRecord) -> Result<()> {
        let row = audit_row(record, self.store.ttl(record.at))?;
        self.audit.push(record);
        let put = self.put_builder(row, &Terms::default()).condition_expression(ABSENT).build();
        self.push(Part::Audit, put, |put, item| item.put(put));
        Ok(())
    }

    /// Puts a row, whatever stands there.
    pub(crate) fn put(&mut self, part: P, row: Attributes) {
        let put = self.put_builder(row, &Terms::default()).build();
        self.push(Part::Other(part), put, |put, item| item.put(put));
    }

    /// Puts a row where none stands.
    pub(crate) fn put_new(&mut self, part: P, row: Attributes) {
        self.put_if(part, row, ABSENT, &Terms::default());
    }

    /// Puts a row where the condition holds for what stands there.
    pub(crate) fn put_if(&mut self, part: P, row: Attributes, condition: &str, terms: &Terms) {
        let put = self.put_builder(row, terms).condition_expression(condition).build();
        self.push(Part::Other(part), put, |put, item| item.put(put));
    }

    /// Changes attributes of a row where the condition holds, and leaves its other attributes as they are.
    pub(crate) fn change_if(&mut self, part: P, key: Key, changes: Changes, condition: &str) {
        let (expression, terms) = changes.expression();
        let (names, values) = terms.parts();
        let update = Update::builder()
            .table_name(&self.store.table)
            .set_key(Some(key.attributes()))
            .update_expression(expression)
            .condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build();
        self.push(Part::Other(part), update, |update, item| item.update(update));
    }

    /// Deletes a row, whether it stands or not.
    pub(crate) fn delete(&mut self, part: P, key: Key) {
        let delete = Delete::builder().table_name(&self.store.table).set_key(Some(key.attributes())).build();
        self.push(Part::Other(part), delete, |delete, item| item.delete(delete));
    }

    /// Deletes a row where the condition holds.
    pub(crate) fn delete_if(&mut self, part: P, key: Key, condition: &str, terms: Terms) {
        let (names, values) = terms.parts();
        let delete = Delete::builder()
            .table_name(&self.store.table)
            .set_key(Some(key.attributes()))
            .condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build();
        self.push(Part::Other(part), delete, |delete, item| item.delete(delete));
    }

    /// Sends it: one call. The audit record is logged once the transaction took effect, for a restored table forgets.
    ///
    /// A membership that no longer holds is [`Error::NotFound`], whatever else is wrong.
    pub(crate) async fn send(self) -> Result<Outcome<P>> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.parts.len() > MAX_PARTS {
            return Err(Error::bug("a transaction of more than 100 actions"));
        }
        let (parts, items): (Vec<_>, Vec<_>) = self.parts.into_iter().unzip();
        let answer = self.store.client.transact_write_items().set_transact_items(Some(items)).send().await;
        let outcome = match answer {
            Ok(_) => Outcome::Done,
            Err(error) => cancelled(&error, parts)?,
        };
        if matches!(outcome, Outcome::Done) {
            self.audit.into_iter().for_each(log_audit);
        }
        Ok(outcome)
    }

    fn put_builder(&self, row: Attributes, terms: &Terms) -> aws_sdk_dynamodb::types::builders::PutBuilder {
        let (names, values) = terms.clone().parts();
        Put::builder()
            .table_name(&self.store.table)
            .set_item(Some(row))
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    fn push<A>(
        &mut self,
        part: Part<P>,
        action: std::result::Result<A, BuildError>,
        wrap: impl FnOnce(A, Builder) -> Builder,
    ) {
        match action {
            Ok(action) => self.parts.push((part, wrap(action, TransactWriteItem::builder()).build())),
            Err(error) => self.fault = Some(unbuildable(error)),
        }
    }
}

type Builder = aws_sdk_dynamodb::types::builders::TransactWriteItemBuilder;

impl<P: PartialEq> Refusal<P> {
    /// What stood in the way of this part, where its condition failed.
    pub(crate) fn of(&self, part: &P) -> Option<Stood<'_>> {
        let (_, row) = self.failed.iter().find(|(failed, _)| failed == part)?;
        Some(row.as_ref().map_or(Stood::Nothing, Stood::Row))
    }

    /// The first failed part of which this says something.
    pub(crate) fn first<T>(&self, say: impl Fn(&P) -> Option<T>) -> Option<T> {
        self.failed.iter().find_map(|(part, _)| say(part))
    }

    /// [`Error::Contended`] where other writers were in the way, so that the conditions say nothing for certain.
    pub(crate) fn unless_contended(&self) -> Result<()> {
        if self.contended { Err(Error::Contended) } else { Ok(()) }
    }
}

/// Reads why a transaction was cancelled, by the position of each reason.
fn cancelled<P>(error: &SdkError<TransactWriteItemsError>, parts: Vec<Part<P>>) -> Result<Outcome<P>> {
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
    let mut gone = false;
    let mut broken = None;
    for (part, reason) in parts.into_iter().zip(reasons) {
        match (reason.code().unwrap_or("None"), part) {
            ("None", _) => {}
            ("ConditionalCheckFailed", Part::Membership) => gone = true,
            ("ConditionalCheckFailed", Part::Audit)
            | ("TransactionConflict" | "ProvisionedThroughputExceeded" | "ThrottlingError", _) => {
                refusal.contended = true;
            }
            ("ConditionalCheckFailed", Part::Other(part)) => {
                refusal.failed.push((part, reason.item().cloned().map(Row)));
            }
            (code, _) => broken = Some(row_failed(PORT, code)),
        }
    }
    match broken {
        _ if gone => Err(Error::NotFound),
        Some(error) => Err(error),
        None => Ok(Outcome::Refused(refusal)),
    }
}

/// That no row stands there.
pub(crate) const ABSENT: &str = "attribute_not_exists(pk)";
/// That a row stands there.
pub(crate) const PRESENT: &str = "attribute_exists(pk)";

const PORT: &str = "dynamodb TransactWriteItems";

/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
const MAX_PARTS: usize = 100;

#[cfg(test)]
mod tests {
    use domain::audit::AuditAction;
    use domain::ports::LaunchRuns;
    use serde_json::json;
    use support::Fault;

    use super::*;
    use crate::testing::{Bench, a_run, run_audit};

    async fn begin(bench: &Bench) -> Result<()> {
        let run = a_run("a");
        let audit = run_audit(&run, AuditAction::RunLaunched);
        bench.store.begin_run(&run, None, None, &audit).await.map(|_| ())
    }

    /// Answers every attempt of one call so.
    async fn answered(status: u16, code: &str) -> (Error, usize) {
        let bench = Bench::start().await;
        for _ in 0..3 {
            let body = json!({ "__type": code, "message": "canary-8d1f" });
            bench.table.faults.fail_next(Fault::Answer { status, body });
        }
        let error = begin(&bench).await.unwrap_err();
        assert!(!format!("{error:?}").contains("canary"), "what DynamoDB says may quote rows");
        assert_eq!(bench.keys_beginning("RUN").await, 0);
        (error, bench.operations().len())
    }

    #[tokio::test]
    async fn throttles_and_transactions_in_the_way_are_contended_once_the_sdk_gave_up() {
        for code in [
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "ThrottlingException",
            "TransactionInProgressException",
        ] {
            let (error, calls) = answered(400, code).await;
            assert!(matches!(error, Error::Contended), "{code}: {error}");
            assert_eq!(calls, 3, "{code} is repeated by the SDK");
        }
        let (error, _) = answered(400, "TransactionConflictException").await;
        assert!(matches!(error, Error::Contended), "{error}");
    }

    #[tokio::test]
    async fn all_else_is_unavailable_and_names_the_operation() {
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
        let bench = Bench::start().await;
        for _ in 0..3 {
            bench.table.faults.fail_next(Fault::Unreachable);
        }
        assert!(matches!(begin(&bench).await, Err(Error::Unavailable { .. })));
    }

    #[tokio::test]
    async fn reasons_that_do_not_fit_or_that_nobody_foresaw_are_unavailable() {
        let bench = Bench::start().await;
        for codes in [&["None", "ValidationError"][..], &["ConditionalCheckFailed"], &[]] {
            bench.table.faults.fail_next(Fault::Cancelled(codes));
            let error = begin(&bench).await.unwrap_err();
            assert!(matches!(error, Error::Unavailable { .. }), "{codes:?}: {error}");
        }
    }

    #[tokio::test]
    async fn a_failure_that_passes_is_not_seen() {
        let bench = Bench::start().await;
        bench.table.faults.fail_next(Fault::Throttle);
        bench.table.faults.fail_next(Fault::Internal);
        begin(&bench).await.unwrap();
        assert_eq!(bench.operations().len(), 3);
    }
}
