//! The only way to write: all or nothing, with the audit record, and with an outcome that names the
//! failed conditions.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use domain::audit::AuditRecord;
use domain::ids::{TokenId, UserId, WorkspaceId};
use domain::owner::{Scope, SecretOwner};
use domain::role::Role;
use domain::{Error, Result};

use crate::Store;
use crate::audit::audit_row;
use crate::expression_attributes::{Changes, ExpressionAttributes};
use crate::failure::unbuildable;
use crate::keys::Key;
pub(crate) use crate::outcome::{ExistingItem, Refusal};
use crate::outcome::{Part, cancelled};
use crate::rows::{Attributes, s};

/// A transaction under construction. `P` names its parts, so that an operation knows which of its
/// conditions failed.
pub(crate) struct Transaction<'a, P> {
    store: &'a Store,
    audit: Vec<&'a AuditRecord>,
    parts: Vec<(Part<P>, TransactWriteItem)>,
    fault: Option<Error>,
}

impl Store {
    pub(crate) fn transaction<P>(&self) -> Transaction<'_, P> {
        Transaction { store: self, audit: Vec::new(), parts: Vec::new(), fault: None }
    }
}

impl<'a, P: PartialEq> Transaction<'a, P> {
    /// Requires that the scope's membership still exists or, for a user's scope, that the user
    /// still exists. A disabled user fails both.
    pub(crate) fn still_member(&mut self, scope: &Scope) {
        match scope.owner() {
            SecretOwner::Workspace(workspace) => self.still_in(workspace, scope.actor(), scope.roles()),
            SecretOwner::User(_) => {
                let mut attributes = ExpressionAttributes::default();
                let enabled = format!("attribute_not_exists({})", attributes.name(DISABLED));
                let condition = format!("{PRESENT} AND {enabled}");
                self.check(Part::Membership, Key::meta(scope.owner()), &condition, attributes);
            }
        }
    }

    /// Requires that the user still has one of these roles in the workspace.
    pub(crate) fn still_in(&mut self, workspace: WorkspaceId, user: UserId, roles: &[Role]) {
        let mut attributes = ExpressionAttributes::default();
        let condition = has_role(&mut attributes, roles);
        self.check(Part::Membership, Key::member(workspace, user), &condition, attributes);
    }

    /// Requires that the user is not disabled.
    pub(crate) fn still_enabled(&mut self, part: P, user: UserId) {
        let mut attributes = ExpressionAttributes::default();
        let condition = format!("attribute_not_exists({})", attributes.name(DISABLED));
        self.check(Part::Other(part), Key::meta(SecretOwner::User(user)), &condition, attributes);
    }

    /// Requires that the user still has this personal access token.
    pub(crate) fn still_has_token(&mut self, part: P, user: UserId, token: TokenId) {
        let attributes = ExpressionAttributes::default();
        self.check(Part::Other(part), Key::token_of_user(user, token), PRESENT, attributes);
    }

    fn check(&mut self, part: Part<P>, key: Key, condition: &str, attributes: ExpressionAttributes) {
        let (names, values) = attributes.parts();
        let check = ConditionCheck::builder()
            .table_name(&self.store.table)
            .set_key(Some(key.attributes()))
            .condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .build();
        self.push(part, check, |check, item| item.condition_check(check));
    }

    /// Adds an audit record.
    pub(crate) fn audited(&mut self, record: &'a AuditRecord) -> Result<()> {
        let row = audit_row(record, self.store.ttl(record.at))?;
        self.audit.push(record);
        let put = self.put_builder(row).condition_expression(ABSENT).build();
        self.push(Part::Audit, put, |put, item| item.put(put));
        Ok(())
    }

    /// Puts a row, whether or not it exists.
    pub(crate) fn put(&mut self, part: P, row: Attributes) {
        let put = self.put_builder(row).build();
        self.push(Part::Other(part), put, |put, item| item.put(put));
    }

    /// Puts a row that must not exist. A refusal does not contain the existing row, which can be
    /// large.
    pub(crate) fn put_new(&mut self, part: P, row: Attributes) {
        let put = self.put_builder(row).condition_expression(ABSENT).build();
        self.push(Part::Other(part), put, |put, item| item.put(put));
    }

    /// Puts a row if the condition holds for the existing one.
    pub(crate) fn put_if(
        &mut self,
        part: P,
        row: Attributes,
        condition: &str,
        attributes: ExpressionAttributes,
    ) {
        let (names, values) = attributes.parts();
        let put = self
            .put_builder(row)
            .condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build();
        self.push(Part::Other(part), put, |put, item| item.put(put));
    }

    /// Changes attributes of a row if the condition holds, and keeps its other attributes.
    pub(crate) fn change_if(&mut self, part: P, key: Key, changes: Changes, condition: &str) {
        let (expression, attributes) = changes.expression();
        let (names, values) = attributes.parts();
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

    /// Deletes a row, whether or not it exists.
    pub(crate) fn delete(&mut self, part: P, key: Key) {
        let delete = Delete::builder().table_name(&self.store.table).set_key(Some(key.attributes())).build();
        self.push(Part::Other(part), delete, |delete, item| item.delete(delete));
    }

    /// Deletes a row if the condition holds.
    pub(crate) fn delete_if(&mut self, part: P, key: Key, condition: &str, attributes: ExpressionAttributes) {
        let (names, values) = attributes.parts();
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

    /// Sends the transaction in one call. Logs the audit records once it has taken effect, because
    /// a restored table loses them.
    ///
    /// A lost membership is [`Error::NotFound`], whatever else is wrong. The operation interprets
    /// the other failed conditions.
    pub(crate) async fn send(self) -> Result<std::result::Result<(), Refusal<P>>> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.parts.len() > MAX_PARTS {
            return Err(Error::bug("a transaction with more than 100 actions"));
        }
        let (parts, items): (Vec<_>, Vec<_>) = self.parts.into_iter().unzip();
        let answer = self.store.client.transact_write_items().set_transact_items(Some(items)).send().await;
        if let Err(error) = answer {
            return cancelled(&error, parts).map(Err);
        }
        self.audit.into_iter().for_each(AuditRecord::log);
        Ok(Ok(()))
    }

    fn put_builder(&self, row: Attributes) -> aws_sdk_dynamodb::types::builders::PutBuilder {
        Put::builder().table_name(&self.store.table).set_item(Some(row))
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

/// The condition that a membership has one of these roles, and that its user is not disabled.
pub(crate) fn has_role(attributes: &mut ExpressionAttributes, roles: &[Role]) -> String {
    let roles: Vec<_> = roles.iter().map(|role| attributes.value(s(role.as_str()))).collect();
    let enabled = format!("attribute_not_exists({})", attributes.name(DISABLED));
    format!("{} IN ({}) AND {enabled}", attributes.name("role"), roles.join(", "))
}

type Builder = aws_sdk_dynamodb::types::builders::TransactWriteItemBuilder;

/// The attribute of a disabled user and of the user's memberships.
pub(crate) const DISABLED: &str = "disabled";

/// The condition that the row does not exist.
pub(crate) const ABSENT: &str = "attribute_not_exists(pk)";
/// The condition that the row exists.
pub(crate) const PRESENT: &str = "attribute_exists(pk)";

/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
const MAX_PARTS: usize = 100;
