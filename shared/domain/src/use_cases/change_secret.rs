//! Updating and deleting secrets.

use jiff::Timestamp;

use super::create_secrets::{SecretService, check_expiry};
use super::{authorize, conflict_as_contended, retry_contended};
use crate::audit::{AuditAction, AuditRecord};
use crate::context::Context;
use crate::identity::Actor;
use crate::ids::{SecretId, WorkspaceId};
use crate::owner::Scope;
use crate::role::Permission;
use crate::secret::{Description, OldVersion, Secret};
use crate::value::SecretValue;
use crate::{Error, Result};

/// An update of a secret. Absent fields stay unchanged.
pub struct Change {
    /// The new value.
    pub value: SecretValue,
    /// The new description, or `Some(None)` to remove it.
    pub description: Option<Option<Description>>,
    /// The new expiry, or `Some(None)` to remove it.
    pub expires: Option<Option<Timestamp>>,
}

impl SecretService {
    /// Writes a new version. With `if_version`, only over that version; otherwise it returns
    /// [`Error::VersionConflict`]. Without `if_version`, concurrent updates each create a version,
    /// and the last one is current.
    pub async fn update(
        &self,
        actor: &Actor,
        workspace: Option<WorkspaceId>,
        id: SecretId,
        change: &Change,
        if_version: Option<u64>,
        context: &Context<'_>,
    ) -> Result<Secret> {
        let permission = Permission::WriteSecrets;
        let scope = authorize(&*self.store, context.settings, actor, workspace, permission).await?;
        check_expiry(change.expires.flatten(), context.now)?;
        retry_contended(context.backoff, async || {
            let old = self.store.secret(&scope, id).await?.ok_or(Error::NotFound)?;
            expect(&old, if_version)?;
            let (secret, replaced) = next_version(&scope, old, &change.value, context.now);
            let secret = Secret {
                expires: change.expires.unwrap_or(secret.expires),
                description: change.description.clone().unwrap_or(secret.description),
                ..secret
            };
            let sealed = self.seal(&secret, &change.value, context).await?;
            let audit = AuditRecord::of_secrets(&scope, AuditAction::SecretUpdated, [&secret], context);
            self.store
                .update_secret(&scope, &secret, &sealed, &replaced, &audit)
                .await
                .map_err(|error| unless_expected(error, if_version))?;
            Ok(secret)
        })
        .await
    }

    /// Deletes a secret and its value. With `if_version`, only that version.
    pub async fn delete(
        &self,
        actor: &Actor,
        workspace: Option<WorkspaceId>,
        id: SecretId,
        if_version: Option<u64>,
        context: &Context<'_>,
    ) -> Result<()> {
        let permission = Permission::DeleteSecrets;
        let scope = authorize(&*self.store, context.settings, actor, workspace, permission).await?;
        retry_contended(context.backoff, async || {
            let secret = self.store.secret(&scope, id).await?.ok_or(Error::NotFound)?;
            expect(&secret, if_version)?;
            let audit = AuditRecord::of_secrets(&scope, AuditAction::SecretDeleted, [&secret], context);
            self.store
                .delete_secret(&scope, &secret, &audit)
                .await
                .map_err(|error| unless_expected(error, if_version))
        })
        .await
    }
}

/// Returns the next version of a secret with a new value, and the version that it replaces.
pub(super) fn next_version(
    scope: &Scope,
    old: Secret,
    value: &SecretValue,
    now: Timestamp,
) -> (Secret, OldVersion) {
    let replaced =
        OldVersion { version: old.version, written: old.updated, written_by: old.updated_by, replaced: now };
    let secret = Secret {
        version: old.version + 1,
        updated: now,
        updated_by: scope.actor(),
        properties: value.properties(),
        ..old
    };
    (secret, replaced)
}

fn expect(secret: &Secret, if_version: Option<u64>) -> Result<()> {
    if if_version.is_some_and(|version| version != secret.version) {
        return Err(Error::VersionConflict);
    }
    Ok(())
}

/// Hides a conflict from a caller who named no version: the change is retried over the newer
/// version.
fn unless_expected(error: Error, if_version: Option<u64>) -> Error {
    match if_version {
        Some(_) => error,
        None => conflict_as_contended(error),
    }
}

#[cfg(test)]
mod tests;
