//! A scope's secrets, and what their operations share.

mod create;
mod delete;
mod read;
mod reconcile;
pub(crate) mod row;
mod update;
mod upsert;

use domain::owner::Scope;
use domain::role::Permission;
use domain::secret::{SealedValue, Secret};
use domain::{Error, Result};

use crate::expression_attributes::Changes;
use crate::keys::Key;
use crate::rows::n;
use crate::transaction::{ExistingItem, Refusal, Transaction};

/// The parts of a transaction that changes or deletes a secret.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Version,
    Count,
    Row,
}

/// Checks that the scope allows writing and contains the secret. A scope for reading was checked
/// for other roles.
fn check(scope: &Scope, secret: &Secret) -> Result<()> {
    let writes = matches!(scope.permission(), Permission::WriteSecrets | Permission::DeleteSecrets);
    if writes && secret.owner == scope.owner() {
        Ok(())
    } else {
        Err(Error::bug("a secret written outside its scope"))
    }
}

fn check_value(secret: &Secret, sealed: &SealedValue) -> Result<()> {
    if (sealed.owner, sealed.secret, sealed.version) == (secret.owner, secret.id, secret.version) {
        Ok(())
    } else {
        Err(Error::bug("a sealed value of another secret or version"))
    }
}

/// Adds the update of the secret from version `was` to its new version.
fn write_version<P: PartialEq>(
    transaction: &mut Transaction<'_, P>,
    part: P,
    secret: &Secret,
    was: u64,
) -> Result<()> {
    let mut changes = Changes::default();
    changes.set_or_remove(row::version_fields(secret)?);
    let condition = changes.attributes().equals("version", n(was));
    transaction.change_if(part, Key::secret(secret.owner, secret.id), changes, &condition);
    Ok(())
}

/// The error for a secret with an unexpected version, or for a secret or scope that no longer
/// exists.
fn refused(refusal: &Refusal<Part>) -> Error {
    match (refusal.of(&Part::Count), refusal.of(&Part::Version)) {
        (Some(_), _) | (None, Some(ExistingItem::Nothing)) => Error::NotFound,
        (None, Some(ExistingItem::Row(_))) => Error::VersionConflict,
        (None, None) => Error::Contended,
    }
}
