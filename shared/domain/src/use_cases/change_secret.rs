//! A new value for a secret, and its deletion.

use jiff::Timestamp;

use super::create_secrets::{Ports, check_expiry, seal_version};
use super::settle;
use crate::audit::{AuditAction, AuditRecord, Subject};
use crate::identity::Actor;
use crate::ids::{SecretId, WorkspaceId};
use crate::owner::authorize;
use crate::ports::{GenerateDataKey, Pace, Randomness, ReadMembership, ReadSecrets, WriteSecrets};
use crate::role::Permission;
use crate::secret::{Description, OldVersion, Secret};
use crate::value::SecretValue;
use crate::{Error, Result};

/// What a change brings. What is absent stays as it is.
pub struct Change {
    /// The new value.
    pub value: SecretValue,
    /// A new note, or `Some(None)` for none.
    pub description: Option<Option<Description>>,
    /// A new expiry, or `Some(None)` for none.
    pub expires: Option<Option<Timestamp>>,
}

/// Writes a new version. With `if_version` only over that one ([`Error::VersionConflict`]); without it the last writer
/// wins, each with a version of its own.
pub async fn update(
    ports: &Ports<
        '_,
        impl ReadMembership + ReadSecrets + WriteSecrets,
        impl GenerateDataKey,
        impl Randomness,
        impl Pace,
    >,
    actor: &Actor,
    workspace: Option<WorkspaceId>,
    id: SecretId,
    change: &Change,
    if_version: Option<u64>,
    now: Timestamp,
) -> Result<Secret> {
    let scope = authorize(ports.store, ports.settings, actor, workspace, Permission::WriteSecrets).await?;
    check_expiry(change.expires.flatten(), now)?;
    settle(ports.pace, async || {
        let old = ports.store.secret(&scope, id).await?.ok_or(Error::NotFound)?;
        expect(&old, if_version)?;
        let replaced = OldVersion {
            version: old.version,
            written: old.updated,
            written_by: old.updated_by,
            replaced: now,
        };
        let secret = Secret {
            version: old.version + 1,
            updated: now,
            updated_by: scope.actor(),
            expires: change.expires.unwrap_or(old.expires),
            description: change.description.clone().unwrap_or(old.description),
            traits: change.value.traits(),
            ..old
        };
        let sealed =
            seal_version(ports.keys, ports.randomness, ports.settings, &secret, &change.value).await?;
        let subjects = vec![Subject::of(&secret)];
        let audit = AuditRecord::by(&scope, ports.randomness, now, AuditAction::SecretUpdated, subjects);
        ports
            .store
            .update_secret(&scope, &secret, &sealed, &replaced, &audit)
            .await
            .map_err(|error| unless_expected(error, if_version))?;
        Ok(secret)
    })
    .await
}

/// Deletes a secret with its value. With `if_version` only that one.
pub async fn delete<Keys>(
    ports: &Ports<'_, impl ReadMembership + ReadSecrets + WriteSecrets, Keys, impl Randomness, impl Pace>,
    actor: &Actor,
    workspace: Option<WorkspaceId>,
    id: SecretId,
    if_version: Option<u64>,
    now: Timestamp,
) -> Result<()> {
    let scope = authorize(ports.store, ports.settings, actor, workspace, Permission::DeleteSecrets).await?;
    settle(ports.pace, async || {
        let secret = ports.store.secret(&scope, id).await?.ok_or(Error::NotFound)?;
        expect(&secret, if_version)?;
        let subjects = vec![Subject::of(&secret)];
        let audit = AuditRecord::by(&scope, ports.randomness, now, AuditAction::SecretDeleted, subjects);
        ports
            .store
            .delete_secret(&scope, &secret, &audit)
            .await
            .map_err(|error| unless_expected(error, if_version))
    })
    .await
}

fn expect(secret: &Secret, if_version: Option<u64>) -> Result<()> {
    if if_version.is_some_and(|version| version != secret.version) {
        return Err(Error::VersionConflict);
    }
    Ok(())
}

/// Who named no version settles a conflict by reading again.
fn unless_expected(error: Error, if_version: Option<u64>) -> Error {
    match error {
        Error::VersionConflict if if_version.is_none() => Error::Contended,
        other => other,
    }
}

#[cfg(test)]
mod tests;
