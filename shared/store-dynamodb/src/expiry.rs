//! Secrets and tokens that expire, in partitions of the due index. The index is a hint: an old
//! version of the functions does not maintain it, and the row decides.

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::expiry::{Expiring, ExpiringKey, ExpiringKeys};
use domain::identity::StoredToken;
use domain::ids::UserId;
use domain::owner::SecretOwner;
use domain::ports::{FindExpiring, IndexExpiry};
use domain::secret::Secret;
use domain::{Result, Timestamp};

use crate::Store;
use crate::expression_attributes::{Changes, ExpressionAttributes};
use crate::identity::TOKENS;
use crate::keys::{
    DUE_INDEX, EXPIRY_SHARDS, Key, SECRETS, SECRETS_OF, expiry_shard, owner_of_secrets, secrets_of,
};
use crate::read::{all, readable};
use crate::rows::{Fields, FromRow as _, Row, corrupt, fields, n, s};
use crate::transaction::DISABLED;

/// The attributes that list a secret or token in the index. Without an expiry, its row must not
/// have them.
pub(crate) fn index_fields(id: i64, expires: Option<Timestamp>) -> Fields {
    let [shard, due] = ["dueShard", "due"].map(str::to_owned);
    let (listed, at) = (expires.map(|_| s(expiry_shard(id))), expires.map(|at| n(at.as_millisecond())));
    [(shard, listed), (due, at)].into()
}

/// The fields of a token's row.
pub(crate) fn token_fields(token: &StoredToken) -> Result<Fields> {
    let mut fields = fields(token)?;
    fields.extend(index_fields(token.id.number(), token.expires));
    Ok(fields)
}

#[async_trait(?Send)]
impl FindExpiring for Store {
    async fn expiring(&self, from: Timestamp, until: Timestamp, limit: u32) -> Result<ExpiringKeys> {
        let [a, b, c, d] = EXPIRY_SHARDS.map(|shard| Box::pin(self.expiring_in(shard, from, until, limit)));
        let (a, b, c, d) = tokio::try_join!(a, b, c, d)?;
        let shards = [a, b, c, d];
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut complete = shards.iter().all(|shard| shard.len() < limit);
        let mut expiring = readable(shards.concat(), |row| Ok((row.field::<i64>("due")?, key_of(&row)?)));
        complete &= expiring.len() <= limit;
        expiring.sort();
        expiring.truncate(limit);
        Ok(ExpiringKeys { keys: expiring.into_iter().map(|(_, key)| key).collect(), complete })
    }

    async fn read_expiring(&self, keys: &[ExpiringKey]) -> Result<Vec<Result<Expiring>>> {
        // A row that moves between two partitions while they are read is listed twice.
        let keys: BTreeSet<_> = keys.iter().map(|key| row_key(*key)).collect();
        let rows = self.get_many(&Vec::from_iter(keys)).await?;
        Ok(rows.into_iter().map(expiring).collect())
    }

    async fn enabled_users(&self, users: &BTreeSet<UserId>) -> Result<BTreeSet<UserId>> {
        let keys: Vec<_> = users.iter().map(|user| Key::meta(SecretOwner::User(*user))).collect();
        let rows = self.get_many(&keys).await?;
        let enabled = rows.iter().filter(|row| !row.0.contains_key(DISABLED));
        enabled.map(|row| row.field("id")).collect()
    }
}

#[async_trait(?Send)]
impl IndexExpiry for Store {
    async fn index_secrets(&self, owner: SecretOwner) -> Result<u32> {
        self.index_rows(all(self.with_prefix(secrets_of(owner), SECRETS)).await?).await
    }

    async fn index_tokens(&self, user: UserId) -> Result<u32> {
        let mirrors = all(self.with_prefix(SecretOwner::User(user), TOKENS)).await?;
        let keys: Result<Vec<_>> = mirrors.iter().map(|row| row.id().map(Key::token)).collect();
        self.index_rows(self.get_many(&keys?).await?).await
    }
}

impl Store {
    /// The rows of a partition, earliest expiry first. Functions with fewer rights can list runs
    /// here, but these do not count towards the limit.
    async fn expiring_in(
        &self,
        shard: &str,
        from: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Row>> {
        let mut attributes = ExpressionAttributes::default();
        let condition = format!(
            "{} AND {} BETWEEN {} AND {}",
            attributes.equals("dueShard", s(shard)),
            attributes.name("due"),
            attributes.value(n(from.as_millisecond())),
            attributes.value(n(until.as_millisecond())),
        );
        let [secrets, tokens] = [SECRETS_OF, TOKENS].map(|prefix| attributes.value(s(prefix)));
        let pk = attributes.name("pk");
        let kinds = format!("begins_with({pk}, {secrets}) OR begins_with({pk}, {tokens})");
        self.first_in_index(DUE_INDEX, "dynamodb Query due", condition, Some(kinds), attributes, limit).await
    }

    /// Lists the rows that have an expiry and are not listed with it. Returns their number.
    async fn index_rows(&self, rows: Vec<Row>) -> Result<u32> {
        let mut indexed = 0;
        for row in rows {
            // A row that cannot be read is logged, and stops no other one.
            let (Ok(Some(expires)), Ok(key)) = (row.some_field::<Timestamp>("expires"), key_of(&row)) else {
                continue;
            };
            let id = match key {
                ExpiringKey::Secret(_, id) => id.number(),
                ExpiringKey::Token(id) => id.number(),
            };
            let wanted = index_fields(id, Some(expires));
            if wanted.iter().all(|(name, value)| row.0.get(name) == value.as_ref()) {
                continue;
            }
            let mut changes = Changes::default();
            changes.set_or_remove(wanted);
            // A later write of this version lists the row itself.
            let unchanged = row.0.get("expires").cloned().ok_or_else(|| corrupt("expires"))?;
            let condition = changes.attributes().equals("expires", unchanged);
            self.update_if(row_key(key), changes, condition).await?;
            indexed += 1;
        }
        Ok(indexed)
    }
}

fn row_key(key: ExpiringKey) -> Key {
    match key {
        ExpiringKey::Secret(owner, id) => Key::secret(owner, id),
        ExpiringKey::Token(id) => Key::token(id),
    }
}

/// Refuses every other row, so that no sealed value is ever read.
fn key_of(row: &Row) -> Result<ExpiringKey> {
    let (pk, sk): (String, String) = (row.field("pk")?, row.field("sk")?);
    let secret = || {
        let id = sk.strip_prefix(SECRETS)?.parse().ok()?;
        Some(ExpiringKey::Secret(owner_of_secrets(&pk)?, id))
    };
    let token = || Some(ExpiringKey::Token(pk.strip_prefix(TOKENS)?.parse().ok()?)).filter(|_| sk == "TOKEN");
    secret().or_else(token).ok_or_else(|| corrupt("pk"))
}

/// Without the last use, which functions with fewer rights write.
fn expiring(mut row: Row) -> Result<Expiring> {
    row.0.remove("lastUsed");
    Ok(match key_of(&row)? {
        ExpiringKey::Secret(..) => Expiring::Secret(Secret::from_row(row)?),
        ExpiringKey::Token(_) => Expiring::Token(StoredToken::from_row(row)?),
    })
}

#[cfg(test)]
mod tests;
