//! Writing a new version of a secret.

use domain::audit::AuditRecord;
use domain::owner::Scope;
use domain::secret::{OldVersion, SealedValue, Secret};
use domain::{Error, Result};

use crate::Store;
use crate::keys::Key;
use crate::rows::{n, old_version_row, sealed_row, secret_version};
use crate::terms::Changes;
use crate::transaction::{Outcome, Refusal};

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Part {
    Version,
    Count,
    Row,
}

pub(super) async fn update(
    store: &Store,
    scope: &Scope,
    secret: &Secret,
    sealed: &SealedValue,
    replaced: &OldVersion,
    audit: &AuditRecord,
) -> Result<()> {
    if replaced.version + 1 != secret.version {
        return Err(Error::bug("a version that does not follow the one it replaces"));
    }
    let mut changes = Changes::default();
    for (name, value) in secret_version(secret) {
        changes.set_or_remove(&name, value);
    }
    let was = changes.terms().value(n(replaced.version));
    let mut transaction = store.transaction();
    transaction.still_member(scope);
    transaction.change_if(
        Part::Version,
        Key::secret(secret.owner, secret.id),
        changes,
        &format!("#version = {was}"),
    );
    transaction.put(Part::Row, sealed_row(sealed));
    let history = old_version_row(secret.owner, secret.id, replaced, store.ttl(replaced.replaced));
    transaction.put_new(Part::Row, history);
    transaction.audited(audit)?;
    match transaction.send().await? {
        Outcome::Done => Ok(()),
        Outcome::Refused(refusal) => refused(&refusal),
    }
}

/// Another version than the expected one, or no secret or no scope any more.
pub(super) fn refused(refusal: &Refusal<Part>) -> Result<()> {
    if refusal.of(&Part::Count).is_some() {
        return Err(Error::NotFound);
    }
    match refusal.of(&Part::Version) {
        Some(None) => Err(Error::NotFound),
        Some(Some(_)) => Err(Error::VersionConflict),
        None => Err(Error::Contended),
    }
}
