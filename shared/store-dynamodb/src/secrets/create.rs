//! Creating secrets: one, or up to 32 in an import, all or none in one transaction. Three rows
//! each, plus the audit, membership, count and idempotency rows, make exactly the 100 actions that
//! a transaction may have.

use async_trait::async_trait;
use domain::audit::AuditRecord;
use domain::idempotency::{Idempotency, IdempotencyRecord, IdempotentResult};
use domain::owner::Scope;
use domain::ports::{CreateSecrets, Created};
use domain::secret::{MAX_IN_SCOPE, SealedValue, Secret};
use domain::{Error, Result};

use super::row::{sealed_row, secret_row};
use super::{check, check_value};
use crate::Store;
use crate::expression_attributes::Changes;
use crate::keys::Key;
use crate::rows::{FromRow, n};
use crate::transaction::{ExistingItem, Refusal, Transaction};

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Row,
    Name(usize),
    Count,
    Idempotency,
}

#[async_trait(?Send)]
impl CreateSecrets for Store {
    async fn create_secrets(
        &self,
        scope: &Scope,
        secrets: &[(Secret, SealedValue)],
        idempotency: Option<&Idempotency>,
        audit: &AuditRecord,
    ) -> Result<Created> {
        let mut transaction = self.transaction();
        transaction.still_member(scope);
        for (index, (secret, sealed)) in secrets.iter().enumerate() {
            check(scope, secret)?;
            put_new_secret(&mut transaction, (Part::Row, Part::Name(index)), secret, sealed)?;
        }
        count(&mut transaction, Part::Count, scope, secrets.len())?;
        if let Some(idempotency) = idempotency {
            let record = idempotency.record(result(secrets), audit.at);
            transaction.record(Part::Idempotency, idempotency, &record, audit.at, None);
        }
        transaction.audited(audit)?;
        let sent = transaction.send().await?.map(|()| Created::Created);
        sent.or_else(|refusal| refused(&refusal, secrets))
    }
}

/// Adds the rows of a new secret. The second part is the row of its name.
pub(super) fn put_new_secret<P: PartialEq + Copy>(
    transaction: &mut Transaction<'_, P>,
    (row, name): (P, P),
    secret: &Secret,
    sealed: &SealedValue,
) -> Result<()> {
    check_value(secret, sealed)?;
    transaction.put_new(row, secret_row(secret)?);
    transaction.put_new(row, sealed_row(sealed));
    let guard = Key::name(secret.owner, &secret.name).with([("secretId", n(secret.id))]);
    transaction.put_new(name, guard);
    Ok(())
}

/// Adds to the number of the scope's secrets, up to the limit.
pub(super) fn count<P: PartialEq>(
    transaction: &mut Transaction<'_, P>,
    part: P,
    scope: &Scope,
    more: usize,
) -> Result<()> {
    let room = usize::try_from(MAX_IN_SCOPE).ok().and_then(|limit| limit.checked_sub(more));
    let room = room.ok_or(Error::bug("more secrets in one request than the limit of a scope"))?;
    let mut changes = Changes::default();
    changes.add("secretCount", n(more));
    let room = changes.attributes().value(n(room));
    let condition = format!("attribute_not_exists(#secretCount) OR #secretCount <= {room}");
    transaction.change_if(part, Key::count(scope.owner()), changes, &condition);
    Ok(())
}

/// A single secret is recorded as one, even if an import created it.
fn result(secrets: &[(Secret, SealedValue)]) -> IdempotentResult {
    match secrets {
        [(secret, _)] => IdempotentResult::Secret(secret.id),
        _ => IdempotentResult::Secrets(secrets.iter().map(|(secret, _)| secret.id).collect()),
    }
}

/// The idempotency key comes first: the first request with it created the names that are now taken.
/// Contention comes next: while others write, no condition is certain.
fn refused(refusal: &Refusal<Part>, secrets: &[(Secret, SealedValue)]) -> Result<Created> {
    if let Some(ExistingItem::Row(row)) = refusal.of(&Part::Idempotency) {
        return Ok(Created::Replayed(IdempotencyRecord::from_row(row.clone())?));
    }
    refusal.unless_contended()?;
    let taken = refusal.first(|part| match part {
        Part::Name(index) => secrets.get(*index),
        _ => None,
    });
    if let Some((secret, _)) = taken {
        return Err(Error::AlreadyExists { existing: secret.name.to_string() });
    }
    if refusal.of(&Part::Count).is_some() {
        return Err(Error::LimitExceeded { limit: MAX_IN_SCOPE, what: "secrets per workspace or user" });
    }
    // An id is taken: the next attempt uses another one.
    Err(Error::Contended)
}

#[cfg(test)]
mod tests;
