//! Reading names, dates and history of secrets, for every participant. Never values, nor anything
//! derived from them.

use super::authorize;
use crate::audit::AuditRecord;
use crate::identity::Actor;
use crate::ids::{SecretId, WorkspaceId};
use crate::name::SecretName;
use crate::ports::{AuditReader, SecretReader};
use crate::role::Permission;
use crate::secret::{OldVersion, Secret};
use crate::settings::Settings;
use crate::{Error, Result};

/// Lists every secret of the scope, by name.
pub async fn list(
    store: &dyn SecretReader,
    settings: &Settings,
    actor: &Actor,
    workspace: Option<WorkspaceId>,
) -> Result<Vec<Secret>> {
    let scope = authorize(store, settings, actor, workspace, Permission::ReadSecrets).await?;
    store.secrets(&scope).await
}

/// Returns one secret.
pub async fn describe(
    store: &dyn SecretReader,
    settings: &Settings,
    actor: &Actor,
    workspace: Option<WorkspaceId>,
    id: SecretId,
) -> Result<Secret> {
    let scope = authorize(store, settings, actor, workspace, Permission::ReadSecrets).await?;
    store.secret(&scope, id).await?.ok_or(Error::NotFound)
}

/// Checks that a secret with this name could be created. Returns [`Error::Invalid`] or
/// [`Error::AlreadyExists`] if not.
pub async fn validate_name(
    store: &dyn SecretReader,
    settings: &Settings,
    actor: &Actor,
    workspace: Option<WorkspaceId>,
    name: &str,
) -> Result<()> {
    let scope = authorize(store, settings, actor, workspace, Permission::ReadSecrets).await?;
    let name = SecretName::new(name, settings)?;
    if store.secret_named(&scope, &name).await?.is_some() {
        return Err(Error::AlreadyExists { existing: name.to_string() });
    }
    Ok(())
}

/// Returns a secret with its replaced versions, newest first.
pub async fn history(
    store: &dyn SecretReader,
    settings: &Settings,
    actor: &Actor,
    workspace: Option<WorkspaceId>,
    id: SecretId,
) -> Result<(Secret, Vec<OldVersion>)> {
    let scope = authorize(store, settings, actor, workspace, Permission::ReadSecrets).await?;
    let secret = store.secret(&scope, id).await?.ok_or(Error::NotFound)?;
    let replaced = store.history(&scope, id).await?;
    Ok((secret, replaced))
}

/// Returns at most `limit` records of the scope's audit trail in one month, newest first. Owners
/// and admins can read a workspace's trail, and every user can read their own.
pub async fn audit_trail(
    store: &dyn AuditReader,
    settings: &Settings,
    actor: &Actor,
    workspace: Option<WorkspaceId>,
    month: &str,
    limit: u32,
) -> Result<Vec<AuditRecord>> {
    let scope = authorize(store, settings, actor, workspace, Permission::ReadAudit).await?;
    store.audit(&scope, month, limit).await
}

#[cfg(test)]
mod tests;
