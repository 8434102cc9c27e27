//! Repeats, in a table that was restored from a backup, the removals and restrictions made since
//! then. The log still contains their audit records. Only operators reach this code, as with
//! [`apply`](super::apply). There is no authorization here.
//!
//! It only makes the table stricter. Grants and new secrets since the backup are lost with the
//! table and must be made again. Every call can be repeated, in any order and in parts.

mod environments;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;

pub(super) use self::environments::delete_environments;
use self::environments::{delete_environment, delete_unused_credentials};
use super::plan::{MOST_MEMBERSHIPS, set_disabled};
use super::record_of;
use super::removal::removal;
use super::trail::Trail;
use super::workspaces::deletion;
use crate::audit::{AuditAction, AuditRecord, Subject};
use crate::context::Context;
use crate::identity::Change;
use crate::ids::{SecretId, TokenId, UserId, WorkspaceId};
use crate::owner::SecretOwner;
use crate::platform::Platform;
use crate::ports::Reconcile;
use crate::role::Role;
use crate::secret::Secret;
use crate::use_cases::retry_contended;
use crate::{Error, Result};

/// The result of a reconciliation.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReconcileSummary {
    /// Secrets deleted again.
    pub secrets_deleted: u32,
    /// Secrets whose stored value is older than their newest version. Launches refuse them until
    /// they are updated.
    pub secrets_outdated: u32,
    /// Secrets that were created after the backup and do not exist.
    pub secrets_missing: u32,
    /// Workspaces deleted again.
    pub workspaces_deleted: u32,
    /// Users removed again.
    pub users_removed: u32,
    /// Tokens revoked again.
    pub tokens_revoked: u32,
    /// Users disabled again.
    pub users_disabled: u32,
    /// Participants removed again.
    pub roles_removed: u32,
    /// Participants whose role was lowered again.
    pub roles_lowered: u32,
    /// Workspaces whose allowed platforms were restricted again.
    pub platforms_narrowed: u32,
    /// Compute environments deleted again.
    pub compute_envs_deleted: u32,
    /// Credentials of compute environments deleted again.
    pub credentials_deleted: u32,
    /// Owners who were kept because the workspace has no other owner. Declare another owner, then
    /// send the trail again.
    pub owners_kept: Vec<KeptOwner>,
}

/// The last owner of a workspace, who is no longer an owner according to the trail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptOwner {
    /// The workspace's id.
    pub workspace_id: WorkspaceId,
    /// The user's id.
    pub user_id: UserId,
}

/// Concurrent changes.
const CONCURRENCY: usize = 8;

/// Applies the removals and restrictions in the trail. Returns [`Error::Conflict`] if the table is
/// not marked as restored: on a live table, an old trail would remove what was granted since then.
pub async fn reconcile(
    store: &dyn Reconcile,
    trail: &Trail,
    context: &Context<'_>,
) -> Result<ReconcileSummary> {
    if !context.settings.restored {
        return Err(Error::Conflict(
            "The stack is not marked as restored. You can reconcile only while its parameter Restored is true."
                .into(),
        ));
    }
    let workspaces =
        each(trail.workspaces_deleted.iter(), |id| delete_workspace(store, *id, context)).await?;
    let removed = each(trail.users_removed.iter(), |id| remove_user(store, *id, context)).await?;
    let secrets = each(trail.deleted.iter(), |key| delete_secret(store, *key, RECONCILED, context)).await?;
    let left = trail.written.iter().filter(|(key, _)| !trail.deleted.contains(key));
    let versions = each(left, |(key, version)| mark_value_lost(store, *key, *version, context)).await?;
    let tokens = each(trail.revoked.iter(), |id| revoke_token(store, *id, context)).await?;
    let disabled = trail.disabled.iter().filter(|(_, (_, disabled))| *disabled);
    let users = each(disabled, |(user, _)| disable(store, *user, context)).await?;
    let roles =
        each(trail.roles.iter(), |(place, (_, role))| lower_role(store, *place, *role, context)).await?;
    let platforms = each(trail.platforms.iter(), |(workspace, (_, allowed))| {
        narrow_platforms(store, *workspace, allowed, context)
    })
    .await?;
    let environments =
        each(trail.environments.iter(), |(workspace, id)| delete_environment(store, *workspace, id, context))
            .await?;
    // Credentials can be deleted once no environment uses them.
    let credentials = each(trail.credentials.iter(), |(workspace, id)| {
        delete_unused_credentials(store, *workspace, id, context)
    })
    .await?;
    Ok(ReconcileSummary {
        secrets_deleted: count(&secrets, &Effect::Done),
        secrets_outdated: count(&versions, &Effect::Done),
        secrets_missing: count(&versions, &Effect::Missing),
        tokens_revoked: count(&tokens, &Effect::Done),
        workspaces_deleted: count(&workspaces, &Effect::Done),
        users_removed: count(&removed, &Effect::Done),
        users_disabled: count(&users, &Effect::Done),
        roles_removed: count(&roles, &Effect::Done),
        roles_lowered: count(&roles, &Effect::Lowered),
        platforms_narrowed: count(&platforms, &Effect::Done),
        compute_envs_deleted: count(&environments, &Effect::Done),
        credentials_deleted: count(&credentials, &Effect::Done),
        owners_kept: removed
            .into_iter()
            .chain(roles)
            .filter_map(|effect| match effect {
                Effect::OwnerKept(workspace_id, user_id) => Some(KeptOwner { workspace_id, user_id }),
                _ => None,
            })
            .collect(),
    })
}

#[derive(PartialEq, Eq)]
enum Effect {
    Nothing,
    Done,
    Missing,
    Lowered,
    OwnerKept(WorkspaceId, UserId),
}

async fn each<I, F: Future<Output = Result<Effect>>>(
    items: impl Iterator<Item = I>,
    apply: impl Fn(I) -> F,
) -> Result<Vec<Effect>> {
    stream::iter(items.map(apply)).buffer_unordered(CONCURRENCY).try_collect().await
}

/// Deletes secrets whose owner was deleted. Returns their number.
pub(super) async fn delete_secrets(
    store: &dyn Reconcile,
    secrets: Vec<Secret>,
    context: &Context<'_>,
) -> Result<u32> {
    let keys: Vec<_> = secrets.iter().map(|secret| (secret.owner, secret.id)).collect();
    let deleted = each(keys.into_iter(), |key| delete_secret(store, key, OWNER_DELETED, context)).await?;
    Ok(count(&deleted, &Effect::Done))
}

fn count(of: &[Effect], what: &Effect) -> u32 {
    u32::try_from(of.iter().filter(|it| *it == what).count()).unwrap_or(u32::MAX)
}

async fn delete_secret(
    store: &dyn Reconcile,
    (owner, id): (SecretOwner, SecretId),
    reason: &str,
    context: &Context<'_>,
) -> Result<Effect> {
    retry_contended(context.backoff, async || {
        let Some(secret) = store.stored_secret(owner, id).await? else {
            return Ok(Effect::Nothing);
        };
        let audit = of_secret(&secret, AuditAction::SecretDeleted, reason, context);
        done_or_deleted(store.delete_secret_unscoped(&secret, &audit).await)
    })
    .await
}

async fn mark_value_lost(
    store: &dyn Reconcile,
    (owner, id): (SecretOwner, SecretId),
    version: u64,
    context: &Context<'_>,
) -> Result<Effect> {
    retry_contended(context.backoff, async || {
        let Some(secret) = store.stored_secret(owner, id).await? else {
            return Ok(Effect::Missing);
        };
        if secret.version >= version {
            return Ok(Effect::Nothing);
        }
        let mut lost = secret.clone();
        lost.version = version;
        lost.properties.lost = true;
        let audit = of_secret(&lost, AuditAction::SecretUpdated, RECONCILED, context);
        done_or_deleted(store.mark_value_lost(&secret, &lost, &audit).await)
    })
    .await
}

async fn revoke_token(store: &dyn Reconcile, id: TokenId, context: &Context<'_>) -> Result<Effect> {
    retry_contended(context.backoff, async || match store.token(id).await? {
        None => Ok(Effect::Nothing),
        Some(token) => change(store, Change::RevokeToken(token), context).await.map(|()| Effect::Done),
    })
    .await
}

async fn disable(store: &dyn Reconcile, id: UserId, context: &Context<'_>) -> Result<Effect> {
    retry_contended(context.backoff, async || {
        let Some(user) = store.user(id).await? else {
            return Ok(Effect::Nothing);
        };
        let memberships = store.memberships(user.id).await?;
        let workspaces: Vec<_> = memberships.into_iter().map(|(workspace, _)| workspace.id).collect();
        // An earlier call may have stopped between two transactions.
        if user.disabled.is_some() && workspaces.len() <= MOST_MEMBERSHIPS {
            return Ok(Effect::Nothing);
        }
        for disable in set_disabled(&user, Some(context.now), &workspaces) {
            change(store, disable, context).await?;
        }
        Ok(Effect::Done)
    })
    .await
}

async fn delete_workspace(store: &dyn Reconcile, id: WorkspaceId, context: &Context<'_>) -> Result<Effect> {
    retry_contended(context.backoff, async || {
        let Some(workspace) = store.workspace(id).await?.filter(|it| it.deleted.is_none()) else {
            return Ok(Effect::Nothing);
        };
        let participants = store.participants(id).await?;
        for step in deletion(workspace, &participants, None, context) {
            change(store, step, context).await?;
        }
        Ok(Effect::Done)
    })
    .await
}

/// A last owner is disabled, and kept until the workspace has another one.
async fn remove_user(store: &dyn Reconcile, id: UserId, context: &Context<'_>) -> Result<Effect> {
    retry_contended(context.backoff, async || {
        let Some(user) = store.user(id).await?.filter(|user| user.removed.is_none()) else {
            return Ok(Effect::Nothing);
        };
        let memberships = store.memberships(id).await?;
        let memberships: Vec<_> =
            memberships.into_iter().map(|(workspace, role)| (workspace.id, role)).collect();
        for step in removal(&user, &memberships, context) {
            let place = match &step {
                Change::SetRole { workspace, .. } => Some(*workspace),
                _ => None,
            };
            match (change(store, step, context).await, place) {
                (Err(Error::Conflict(_)), Some(workspace)) => return Ok(Effect::OwnerKept(workspace, id)),
                (outcome, _) => outcome?,
            }
        }
        Ok(Effect::Done)
    })
    .await
}

async fn lower_role(
    store: &dyn Reconcile,
    (workspace, user): (WorkspaceId, UserId),
    to: Option<Role>,
    context: &Context<'_>,
) -> Result<Effect> {
    retry_contended(context.backoff, async || {
        let Some(from) = store.role_of_participant(workspace, user).await? else {
            return Ok(Effect::Nothing);
        };
        // Roles are ordered strongest first.
        if to.is_some_and(|to| to <= from) {
            return Ok(Effect::Nothing);
        }
        let effect = to.map_or(Effect::Done, |_| Effect::Lowered);
        match change(store, Change::SetRole { workspace, user, from: Some(from), to }, context).await {
            Err(Error::Conflict(_)) => Ok(Effect::OwnerKept(workspace, user)),
            changed => changed.map(|()| effect),
        }
    })
    .await
}

async fn narrow_platforms(
    store: &dyn Reconcile,
    workspace: WorkspaceId,
    allowed: &[Platform],
    context: &Context<'_>,
) -> Result<Effect> {
    retry_contended(context.backoff, async || {
        let Some(workspace) = store.workspace(workspace).await? else {
            return Ok(Effect::Nothing);
        };
        let both: Vec<_> = workspace.platforms.iter().copied().filter(|it| allowed.contains(it)).collect();
        if both.len() == workspace.platforms.len() {
            return Ok(Effect::Nothing);
        }
        change(store, Change::SetPlatforms(workspace, both), context).await.map(|()| Effect::Done)
    })
    .await
}

async fn change(store: &dyn Reconcile, change: Change, context: &Context<'_>) -> Result<()> {
    let audit: Vec<_> = record_of(&change, None, context).map(reconciled).into_iter().collect();
    store.change_identity(&[change], &audit, None).await
}

/// Another writer was faster: the same trail was sent twice concurrently.
fn done_or_deleted(outcome: Result<()>) -> Result<Effect> {
    match outcome {
        Ok(()) => Ok(Effect::Done),
        Err(Error::NotFound) => Ok(Effect::Nothing),
        Err(Error::VersionConflict) => Err(Error::Contended),
        Err(error) => Err(error),
    }
}

fn of_secret(secret: &Secret, action: AuditAction, reason: &str, context: &Context<'_>) -> AuditRecord {
    AuditRecord {
        subjects: vec![Subject::of(secret)],
        detail: Some(reason.into()),
        ..AuditRecord::new(secret.owner, None, action, context)
    }
}

/// Marks a record as a repetition, unless it has a detail: a later reconciliation parses tokens and
/// roles from it.
fn reconciled(record: AuditRecord) -> AuditRecord {
    AuditRecord { detail: record.detail.or_else(|| Some(RECONCILED.into())), ..record }
}

/// Why the service made a change, in its audit record.
const RECONCILED: &str = "reconciled";
const OWNER_DELETED: &str = "owner deleted";

#[cfg(test)]
mod tests;
