//! The updates outside a transaction. `lastUsed`, the time at which the sweep inspects a run and
//! the index of expiries may be lost or applied twice, and no decision depends on them. A
//! transaction on the row would make concurrent changes fail. `reservation.rs` has the update of
//! the queue of creations.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use domain::{Result, Timestamp};

use crate::Store;
use crate::expression_attributes::{Changes, ExpressionAttributes};
use crate::failure::failed;
use crate::keys::Key;
use crate::rows::second;
use crate::transaction::PRESENT;

impl Store {
    /// Moves the row's `lastUsed` forward, with a precision of seconds. Does nothing if the row is
    /// missing or was used later.
    pub(crate) async fn record_last_used(&self, key: Key, at: Timestamp) -> Result<()> {
        let mut changes = Changes::default();
        changes.set("lastUsed", second(at));
        let at = changes.attributes().value(second(at));
        let condition = format!("{PRESENT} AND (attribute_not_exists(#lastUsed) OR #lastUsed < {at})");
        self.update_if(key, changes, condition).await
    }

    /// Updates a row if the condition holds, and otherwise does nothing.
    pub(crate) async fn update_if(&self, key: Key, changes: Changes, condition: String) -> Result<()> {
        let (expression, attributes) = changes.expression();
        let answer = self.update_item(key, expression, condition, attributes).send().await;
        match answer {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(failed("dynamodb UpdateItem", &error)),
        }
    }

    pub(crate) fn update_item(
        &self,
        key: Key,
        expression: String,
        condition: String,
        attributes: ExpressionAttributes,
    ) -> UpdateItemFluentBuilder {
        let (names, values) = attributes.parts();
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .update_expression(expression)
            .condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
    }
}
