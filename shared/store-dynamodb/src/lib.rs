//! The domain's store in one DynamoDB table (docs/ARCHITECTURE.md, "Data"): a file per operation, each with its
//! request, its errors and its tests.
//!
//! Every read that decides is strongly consistent. Every write is one transaction that holds its audit record, a
//! single-row one too: the SDK gives a transaction a client request token, so that repeating one whose answer was lost
//! is harmless, which repeating a conditional `UpdateItem` is not. Rows may hold attributes that this version does not
//! know and lack ones that it may do without: versions of the functions overlap while a deployment is under way.

mod audit;
mod expression_attributes;
mod failure;
mod idempotency;
mod identity;
mod keys;

mod membership;
mod outcome;
mod read;
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

/// The table, as every adapter of it sees it. Cheap to clone; give each function its own rights by IAM, not by type.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: String,
    retention_days: u32,
}

impl Store {
    /// Days for which what is over (ended runs, replaced versions, audit records) is kept, unless chosen otherwise.
    pub const RETENTION_DAYS: u32 = 400;

    /// The store in this table. The client brings its time limits and its retries.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into(), retention_days: Self::RETENTION_DAYS }
    }

    /// The same store with another retention, in days. Rows written before keep theirs.
    #[must_use]
    pub fn with_retention_days(self, retention_days: u32) -> Self {
        Self { retention_days, ..self }
    }

    /// The epoch second at which DynamoDB may remove a row of something that was over at `from`.
    pub(crate) fn ttl(&self, from: Timestamp) -> i64 {
        let retention = SignedDuration::from_hours(24 * i64::from(self.retention_days));
        // What a row says of its end may be any time.
        from.saturating_add(retention).unwrap_or(Timestamp::MAX).as_second()
    }
}

#[cfg(test)]
mod testing;
