//! Creating and updating secrets in one transaction. Each takes three rows. With two audit records,
//! the membership, count and idempotency rows, 31 secrets make 98 of the 100 actions that a
//! transaction may have. Without the idempotency row, 32 make exactly 100.

use async_trait::async_trait;
use domain::audit::AuditRecord;
use domain::idempotency::{Idempotency, IdempotencyRecord, IdempotentResult};
use domain::owner::Scope;
use domain::ports::{Created, UpsertSecrets};
use domain::secret::{MAX_IN_SCOPE, SecretWrite};
use domain::{Error, Result};

use super::check;
use super::create::{count, put_new_secret};
use super::update::replace_version;
use crate::Store;
use crate::rows::FromRow;
use crate::transaction::{ExistingItem, Refusal};

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Row,
    Name(usize),
    Version,
    Count,
    Idempotency,
}

#[async_trait(?Send)]
impl UpsertSecrets for Store {
    async fn upsert_secrets(
        &self,
        scope: &Scope,
        writes: &[SecretWrite],
        idempotency: Option<&Idempotency>,
        audit: &[AuditRecord],
    ) -> Result<Created> {
        let now = audit.first().ok_or(Error::bug("an upsert without an audit record"))?.at;
        let mut transaction = self.transaction();
        transaction.still_member(scope);
        for (index, SecretWrite { secret, sealed, replaced }) in writes.iter().enumerate() {
            check(scope, secret)?;
            match replaced {
                None => put_new_secret(&mut transaction, (Part::Row, Part::Name(index)), secret, sealed)?,
                Some(replaced) => {
                    let parts = (Part::Version, Part::Row);
                    replace_version(self, &mut transaction, parts, secret, sealed, replaced)?;
                }
            }
        }
        let new = writes.iter().filter(|write| write.replaced.is_none()).count();
        if new > 0 {
            count(&mut transaction, Part::Count, scope, new)?;
        }
        if let Some(idempotency) = idempotency {
            let result = IdempotentResult::Upserted(writes.iter().map(SecretWrite::written).collect());
            let record = idempotency.record(result, now);
            transaction.record(Part::Idempotency, idempotency, &record, now, None);
        }
        for record in audit {
            transaction.audited(record)?;
        }
        let sent = transaction.send().await?.map(|()| Created::Created);
        sent.or_else(|refusal| refused(&refusal, writes))
    }
}

/// The idempotency key and contention come first, as for a creation. A version that is no longer
/// current comes before a name that is taken: both can have changed after they were read.
fn refused(refusal: &Refusal<Part>, writes: &[SecretWrite]) -> Result<Created> {
    if let Some(ExistingItem::Row(row)) = refusal.of(&Part::Idempotency) {
        return Ok(Created::Replayed(IdempotencyRecord::from_row(row.clone())?));
    }
    refusal.unless_contended()?;
    if refusal.of(&Part::Version).is_some() {
        return Err(Error::VersionConflict);
    }
    let taken = refusal.first(|part| match part {
        Part::Name(index) => writes.get(*index),
        _ => None,
    });
    if let Some(write) = taken {
        return Err(Error::AlreadyExists { existing: write.secret.name.to_string() });
    }
    if refusal.of(&Part::Count).is_some() {
        return Err(Error::LimitExceeded { limit: MAX_IN_SCOPE, what: "secrets per workspace or user" });
    }
    // An id is taken: the next attempt uses another one.
    Err(Error::Contended)
}

#[cfg(test)]
mod tests;
