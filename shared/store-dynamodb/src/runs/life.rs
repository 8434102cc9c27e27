//! Saving the life of a run.

use domain::audit::AuditRecord;
use domain::ports::SaveRuns;
use domain::run::{Life, Run};
use domain::{Error, Result};

use super::row::life_attributes;
use crate::Store;
use crate::keys::Key;
use crate::rows::n;
use crate::terms::Changes;
use crate::transaction::{Outcome, Refusal, Transaction};

impl SaveRuns for Store {
    async fn save_life(&self, run: &Run, life: &Life, audit: Option<&AuditRecord>) -> Result<()> {
        let mut transaction = self.transaction();
        save(self, &mut transaction, Revision, run, life)?;
        if let Some(audit) = audit {
            transaction.audited(audit)?;
        }
        match transaction.send().await? {
            Outcome::Done => Ok(()),
            Outcome::Refused(refusal) => Err(overtaken(&refusal, &Revision)),
        }
    }
}

#[derive(PartialEq)]
struct Revision;

/// Adds to a transaction that the life is written over the revision before it.
pub(super) fn save<P: PartialEq>(
    store: &Store,
    transaction: &mut Transaction<'_, P>,
    part: P,
    run: &Run,
    life: &Life,
) -> Result<()> {
    let before = life.revision.checked_sub(1).ok_or(Error::bug("a life saved without a new revision"))?;
    let mut changes = Changes::default();
    for (name, value) in life_attributes(store, run, life)? {
        changes.set_or_remove(&name, value);
    }
    let before = changes.terms().value(n(before));
    transaction.change_if(part, Key::run(&run.id), changes, &format!("#revision = {before}"));
    Ok(())
}

/// Who was faster: another writer of the run, or whoever removed it.
pub(super) fn overtaken<P: PartialEq>(refusal: &Refusal<P>, revision: &P) -> Error {
    match refusal.of(revision) {
        Some(Some(_)) => Error::VersionConflict,
        Some(None) => Error::NotFound,
        None => Error::Contended,
    }
}
