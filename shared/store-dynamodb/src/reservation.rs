//! Reserving creations: one row holds the queue of time slots.
//!
//! Each change is one conditional update that computes the new time from the stored one, so that
//! concurrent launches neither read first nor overwrite each other. If the condition fails,
//! DynamoDB returns the row, and the domain chooses the next change. The times in the row only
//! increase, so a few updates are always enough. An update whose answer was lost is retried, and
//! can reserve a slot that no launch uses.

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use domain::ports::ReserveCreations;
use domain::reservation::{QueueChange, Slot, SlotQueue, SlotRequest};
use domain::{Error, Result, Timestamp};

use crate::Store;
use crate::expression_attributes::ExpressionAttributes;
use crate::failure::failed;
use crate::keys::Key;
use crate::rows::{Row, corrupt, n};

/// The end of the last reserved slot, in milliseconds.
const RESERVED: &str = "until";
/// The end of the last promised slot, in milliseconds.
const PROMISED: &str = "promised";
/// More updates than the queue can require.
const MAX_UPDATES: usize = 6;

#[async_trait(?Send)]
impl ReserveCreations for Store {
    async fn reserve_creations(&self, request: &SlotRequest) -> Result<Slot> {
        // Usually the queue is empty, and this is the only update.
        let mut change = QueueChange::Start;
        for _ in 0..MAX_UPDATES {
            let slot: fn(Timestamp) -> Slot = match change {
                QueueChange::Start | QueueChange::Append => Slot::Reserved,
                QueueChange::PromiseFirst | QueueChange::PromiseNext => Slot::Promised,
                QueueChange::Nothing => return Ok(Slot::Promised(request.furthest_promise())),
            };
            match self.change_queue(change, request).await? {
                Changed::SlotEnd(end) => return Ok(slot(end - request.length)),
                Changed::Not(queue) => change = queue.next(request),
            }
        }
        Err(Error::Contended)
    }
}

enum Changed {
    /// The queue was changed. The new slot ends at this time.
    SlotEnd(Timestamp),
    /// The condition failed. This is the queue.
    Not(SlotQueue),
}

impl Store {
    async fn change_queue(&self, change: QueueChange, request: &SlotRequest) -> Result<Changed> {
        let mut attributes = ExpressionAttributes::default();
        let (changed, end, condition) = expressions(change, request, &mut attributes);
        let update = format!("SET {} = {end}", attributes.name(changed));
        let answer = self
            .update_item(Key::creations(), update, condition, attributes)
            .return_values(ReturnValue::UpdatedNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match answer {
            Ok(updated) => {
                let row = Row(updated.attributes.unwrap_or_default());
                time(&row, changed)?.map(Changed::SlotEnd).ok_or_else(|| corrupt(changed))
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    let row = Row(refused.item().cloned().unwrap_or_default());
                    let (reserved_until, promised_until) = (time(&row, RESERVED)?, time(&row, PROMISED)?);
                    Ok(Changed::Not(SlotQueue { reserved_until, promised_until }))
                }
                _ => Err(failed("dynamodb UpdateItem", &error)),
            },
        }
    }
}

/// The attribute that a change sets, its new value, and the condition of the change.
fn expressions(
    change: QueueChange,
    request: &SlotRequest,
    attributes: &mut ExpressionAttributes,
) -> (&'static str, String, String) {
    let reserved = attributes.name(RESERVED);
    match change {
        QueueChange::Start => {
            let now = attributes.value(milliseconds(request.now));
            let end = attributes.value(milliseconds(request.now + request.length));
            (RESERVED, end, format!("attribute_not_exists({reserved}) OR {reserved} < {now}"))
        }
        QueueChange::Append => {
            let now = attributes.value(milliseconds(request.now));
            let latest = attributes.value(milliseconds(request.latest_start()));
            let end = format!("{reserved} + {}", attributes.value(n(request.length.as_millis())));
            (RESERVED, end, format!("{reserved} BETWEEN {now} AND {latest}"))
        }
        QueueChange::PromiseFirst => {
            let promised = attributes.name(PROMISED);
            let end = format!("{reserved} + {}", attributes.value(n(request.length.as_millis())));
            (PROMISED, end, format!("attribute_not_exists({promised}) OR {promised} < {reserved}"))
        }
        QueueChange::PromiseNext | QueueChange::Nothing => {
            let promised = attributes.name(PROMISED);
            let furthest = attributes.value(milliseconds(request.furthest_promise()));
            let end = format!("{promised} + {}", attributes.value(n(request.length.as_millis())));
            (PROMISED, end, format!("{promised} BETWEEN {reserved} AND {furthest}"))
        }
    }
}

fn milliseconds(time: Timestamp) -> AttributeValue {
    n(time.as_millisecond())
}

/// A time of the queue.
fn time(row: &Row, name: &'static str) -> Result<Option<Timestamp>> {
    let time: Option<i64> = row.some_field(name)?;
    time.map(|time| Timestamp::from_millisecond(time).map_err(|_| corrupt(name))).transpose()
}

#[cfg(test)]
mod tests;
