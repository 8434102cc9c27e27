//! Deleting compute environments and their credentials, without authorization: those that were
//! deleted after a backup, and those of a deleted workspace.

use super::Effect;
use crate::audit::{AuditAction, AuditRecord};
use crate::context::Context;
use crate::environment::{CredentialsId, EnvironmentId};
use crate::ids::WorkspaceId;
use crate::owner::SecretOwner;
use crate::ports::{EnvironmentChange, Reconcile};
use crate::use_cases::environments::{compute_envs, credentials};
use crate::use_cases::retry_contended;
use crate::{Error, Result};

/// Deletes the environments of a deleted workspace, and then their credentials. One after the
/// other: all of them change the row that counts them.
pub(in super::super) async fn delete_environments(
    store: &dyn Reconcile,
    workspace: WorkspaceId,
    context: &Context<'_>,
) -> Result<()> {
    for stored in store.environments(workspace).await? {
        delete_environment(store, workspace, &stored.environment.id, context).await?;
    }
    for stored in store.all_credentials(workspace).await? {
        delete_credentials(store, workspace, &stored.id, context).await?;
    }
    Ok(())
}

/// The sweep still looks for copies in the environment until the latest end of its runs.
pub(super) async fn delete_environment(
    store: &dyn Reconcile,
    workspace: WorkspaceId,
    id: &EnvironmentId,
    context: &Context<'_>,
) -> Result<Effect> {
    retry_contended(context.backoff, async || {
        let Some(stored) = store.environment(workspace, id).await? else {
            return Ok(Effect::Nothing);
        };
        let audit =
            record(workspace, AuditAction::ComputeEnvDeleted, stored.environment.to_string(), context);
        store.change_environment(None, &compute_envs::deletion(stored, context), &audit).await?;
        Ok(Effect::Done)
    })
    .await
}

/// A restored environment can still use the credentials if it got others after the backup. Then the
/// credentials stay.
pub(super) async fn delete_unused_credentials(
    store: &dyn Reconcile,
    workspace: WorkspaceId,
    id: &CredentialsId,
    context: &Context<'_>,
) -> Result<Effect> {
    match delete_credentials(store, workspace, id, context).await {
        Err(Error::Conflict(_)) => Ok(Effect::Nothing),
        outcome => outcome,
    }
}

async fn delete_credentials(
    store: &dyn Reconcile,
    workspace: WorkspaceId,
    id: &CredentialsId,
    context: &Context<'_>,
) -> Result<Effect> {
    retry_contended(context.backoff, async || {
        let Some(stored) = store.credentials(workspace, id).await? else {
            return Ok(Effect::Nothing);
        };
        let audit = record(workspace, AuditAction::CredentialsDeleted, credentials::detail(&stored), context);
        store.change_environment(None, &EnvironmentChange::DeleteCredentials(stored), &audit).await?;
        Ok(Effect::Done)
    })
    .await
}

fn record(workspace: WorkspaceId, action: AuditAction, detail: String, context: &Context<'_>) -> AuditRecord {
    let owner = SecretOwner::Workspace(workspace);
    AuditRecord { detail: Some(detail), ..AuditRecord::new(owner, None, action, context) }
}
