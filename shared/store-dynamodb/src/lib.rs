//! The domain's store in one DynamoDB table (docs/ARCHITECTURE.md, "Data"): one file per operation,
//! each with its request, its errors and its tests.
//!
//! Every read that a decision depends on is strongly consistent. Every write is one transaction
//! that includes its audit record, even for a single row: the SDK gives a transaction a client
//! request token, so retrying one whose answer was lost is harmless. Retrying a conditional
//! `UpdateItem` is not. Rows can have attributes that this version does not know and lack optional
//! ones, because versions of the functions overlap during a deployment.

mod audit;
mod environments;
mod expiry;
mod expression_attributes;
mod failure;
mod idempotency;
mod identity;
mod keys;
mod membership;
mod outcome;
mod read;
mod reservation;
mod rows;
mod runs;
mod sealed_values;
mod secrets;
mod tokens;
mod transaction;
mod update;

use aws_sdk_dynamodb::Client;
use domain::Timestamp;
use jiff::SignedDuration;

/// The store. Cheap to clone. IAM, not the type, restricts what each function may do.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: String,
    retention_days: u32,
}

impl Store {
    /// The default number of days for which ended runs, replaced versions and audit records are
    /// kept.
    pub const RETENTION_DAYS: u32 = 400;

    /// Creates a store for this table. The client determines timeouts and retries.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into(), retention_days: Self::RETENTION_DAYS }
    }

    /// Returns the same store with another retention, in days. Existing rows keep theirs.
    #[must_use]
    pub fn with_retention_days(self, retention_days: u32) -> Self {
        Self { retention_days, ..self }
    }

    /// The epoch second at which DynamoDB may remove the row of something that ended at `from`.
    pub(crate) fn ttl(&self, from: Timestamp) -> i64 {
        let retention = SignedDuration::from_hours(24 * i64::from(self.retention_days));
        // The end in a row can be any timestamp.
        from.saturating_add(retention).unwrap_or(Timestamp::MAX).as_second()
    }
}

#[cfg(test)]
mod testing;
