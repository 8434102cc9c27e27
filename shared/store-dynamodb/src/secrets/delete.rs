//! Deleting a secret: its row, its value and its name guard. Its replaced versions stay until their retention is over.

use domain::Result;
use domain::audit::AuditRecord;
use domain::owner::Scope;
use domain::secret::Secret;

use super::update::{Part, refused};
use crate::Store;
use crate::keys::Key;
use crate::rows::n;
use crate::terms::{Changes, Terms};
use crate::transaction::{Outcome, PRESENT};

pub(super) async fn delete(store: &Store, scope: &Scope, secret: &Secret, audit: &AuditRecord) -> Result<()> {
    let mut transaction = store.transaction();
    transaction.still_member(scope);
    let mut terms = Terms::default();
    let condition = format!("{} = {}", terms.name("version"), terms.value(n(secret.version)));
    transaction.delete_if(Part::Version, Key::secret(secret.owner, secret.id), &condition, terms);
    transaction.delete(Part::Row, Key::value(secret.owner, secret.id));
    transaction.delete(Part::Row, Key::name(secret.owner, &secret.name));
    let mut changes = Changes::default();
    changes.add("secretCount", n(-1));
    transaction.change_if(Part::Count, Key::meta(secret.owner), changes, PRESENT);
    transaction.audited(audit)?;
    match transaction.send().await? {
        Outcome::Done => Ok(()),
        Outcome::Refused(refusal) => refused(&refusal),
    }
}
