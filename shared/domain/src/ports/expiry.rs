//! Secrets and tokens that expire.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;

use super::ReadIdentity;
use crate::Result;
use crate::expiry::{Expiring, ExpiringKey, ExpiringKeys, ExpiryNotice};
use crate::ids::UserId;
use crate::owner::SecretOwner;

/// Finds secrets and tokens that expire.
#[async_trait(?Send)]
pub trait FindExpiring {
    /// Returns at most `limit` secrets and tokens that expire between these times, earliest first.
    /// The index is eventually consistent and has a precision of milliseconds: the row decides.
    async fn expiring(&self, from: Timestamp, until: Timestamp, limit: u32) -> Result<ExpiringKeys>;

    /// Returns the current state of these secrets and tokens, without values, in any order, without
    /// those that do not exist. A row that cannot be read is an error in its place.
    async fn read_expiring(&self, keys: &[ExpiringKey]) -> Result<Vec<Result<Expiring>>>;

    /// Returns those of the users that exist and are not disabled.
    async fn enabled_users(&self, users: &BTreeSet<UserId>) -> Result<BTreeSet<UserId>>;
}

/// Adds secrets and tokens to the index of expiries that earlier versions wrote.
#[async_trait(?Send)]
pub trait IndexExpiry: ReadIdentity {
    /// Adds the secrets of this owner whose expiry the index does not have. Returns their number.
    /// Not audited: the index grants nothing. Safe to repeat, and a repetition continues.
    async fn index_secrets(&self, owner: SecretOwner) -> Result<u32>;

    /// Adds the user's tokens in the same way.
    async fn index_tokens(&self, user: UserId) -> Result<u32>;
}

/// The maximum number of notices in a call of [`AnnounceExpiry::announce_expiry`]: the entries that
/// `PutEvents` takes.
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>
pub const MOST_NOTICES: usize = 10;

/// Publishes notices of expiries on the deployment's event bus.
#[async_trait(?Send)]
pub trait AnnounceExpiry {
    /// Publishes at most [`MOST_NOTICES`] notices, each as an event. Returns the number of those
    /// that the bus rejected.
    async fn announce_expiry(&self, notices: &[ExpiryNotice]) -> Result<usize>;
}
