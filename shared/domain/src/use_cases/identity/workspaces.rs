//! Deleting a workspace.
//!
//! The deletion removes every participant in the transaction that marks the workspace as deleted.
//! From then on, every function refuses the workspace, because each checks the caller's membership,
//! also in the transactions of requests that began before. [`finish`](super::finish) deletes the
//! secrets and compute environments, and the sweep ends the live runs.

use super::participants::WorkspacePath;
use super::{change_one, describe};
use crate::context::Context;
use crate::identity::{Actor, Change, MOST_MEMBERS, RequiredMembership, User, Workspace};
use crate::ids::UserId;
use crate::ports::ChangeIdentity;
use crate::role::{Permission, Role};
use crate::use_cases::retry_contended;
use crate::{Error, Result};

/// Deletes a workspace. Only owners may.
pub async fn delete(
    store: &dyn ChangeIdentity,
    actor: &Actor,
    place: WorkspacePath,
    context: &Context<'_>,
) -> Result<()> {
    retry_contended(context.backoff, async || {
        let (workspace, role) = describe::workspace(store, actor, place.org, place.workspace).await?;
        let roles = Permission::DeleteWorkspace.roles(context.settings);
        if !roles.contains(&role) {
            return Err(Error::Forbidden { needs: Role::in_words(&roles) });
        }
        let participants = store.participants(workspace.id).await?;
        let required = RequiredMembership { workspace: workspace.id, user: actor.user, roles };
        for change in deletion(workspace, &participants, Some(actor.user), context) {
            change_one(store, change, Some(actor.user), Some(&required), context).await?;
        }
        Ok(())
    })
    .await
}

/// Returns the changes that delete a workspace, in order. If it has more participants than one
/// transaction can remove, the others are removed before; the caller and the owners stay until the
/// end, so that they can repeat an interrupted deletion.
pub(super) fn deletion(
    workspace: Workspace,
    participants: &[(User, Role)],
    caller: Option<UserId>,
    context: &Context<'_>,
) -> Vec<Change> {
    let mut members: Vec<_> = participants.iter().map(|(user, role)| (user.id, *role)).collect();
    // Roles are ordered strongest first.
    members.sort_unstable_by_key(|(user, role)| (Some(*user) != caller, *role, *user));
    let before = members.split_off(members.len().min(MOST_MEMBERS));
    let id = workspace.id;
    let leave = |(user, role)| Change::SetRole { workspace: id, user, from: Some(role), to: None };
    let members = members.into_iter().map(|(user, _)| user).collect();
    let deleted = Change::DeleteWorkspace { workspace, members, at: context.now };
    before.into_iter().map(leave).chain([deleted]).collect()
}

#[cfg(test)]
mod tests;
