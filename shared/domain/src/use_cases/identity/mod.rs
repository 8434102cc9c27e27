//! Users, workspaces, participants and tokens: declared by operators, or changed by users over
//! HTTP.

pub mod apply;
pub mod describe;
pub mod document;
pub mod finish;
pub mod index_expiry;
pub mod operators;
pub mod participants;
mod plan;
mod problems;
pub mod reconcile;
mod removal;
#[cfg(test)]
mod testing;
pub mod tokens;
pub mod trail;
pub mod workspaces;

use crate::Result;
use crate::audit::{AuditAction, AuditRecord};
use crate::context::Context;
use crate::identity::{Change, RequiredMembership};
use crate::ids::UserId;
use crate::owner::SecretOwner;
use crate::platform::Platform;
use crate::ports::ChangeIdentity;

/// The reason for which the last owner stays.
pub const LAST_OWNER: &str =
    "A workspace must have at least one owner. Make another participant an owner first.";
/// The reason for which a disabled user gets no token and no role.
pub const USER_DISABLED: &str = "The user is disabled. An operator can enable the user.";

/// Makes one change, with its audit record. The actor is `None` for an operator.
pub(crate) async fn change_one(
    store: &dyn ChangeIdentity,
    change: Change,
    actor: Option<UserId>,
    required: Option<&RequiredMembership>,
    context: &Context<'_>,
) -> Result<()> {
    let audit: Vec<_> = record_of(&change, actor, context).into_iter().collect();
    store.change_identity(&[change], &audit, required).await
}

/// Returns the audit record of a change. The creation of an organization has none; the record of
/// its first workspace names it.
pub(crate) fn record_of(
    change: &Change,
    actor: Option<UserId>,
    context: &Context<'_>,
) -> Option<AuditRecord> {
    let (scope, action, person, detail) = match change {
        Change::CreateUser(user, _) => {
            (SecretOwner::User(user.id), AuditAction::UserCreated, Some(user.id), None)
        }
        Change::AddLogin(user, login, _) => (
            SecretOwner::User(*user),
            AuditAction::UserLoginAdded,
            Some(*user),
            // The subject can be a name, so the trail has only the issuer.
            Some(format!("login of {}", login.issuer)),
        ),
        Change::SetDisabled { user, disabled, .. } => {
            let action = disabled.map_or(AuditAction::UserEnabled, |_| AuditAction::UserDisabled);
            (SecretOwner::User(*user), action, Some(*user), None)
        }
        Change::RemoveUser { user, .. } => {
            (SecretOwner::User(user.id), AuditAction::UserRemoved, Some(user.id), None)
        }
        Change::CreateToken(token) | Change::RevokeToken(token) => {
            let created = matches!(change, Change::CreateToken(_));
            (
                SecretOwner::User(token.user),
                if created { AuditAction::TokenCreated } else { AuditAction::TokenRevoked },
                Some(token.user),
                Some(format!("token {}", token.id)),
            )
        }
        Change::CreateOrganization(_) => return None,
        Change::CreateWorkspace(workspace) => (
            SecretOwner::Workspace(workspace.id),
            AuditAction::WorkspaceCreated,
            None,
            Some(format!("organization {}", workspace.org)),
        ),
        Change::DeleteWorkspace { workspace, .. } => {
            (SecretOwner::Workspace(workspace.id), AuditAction::WorkspaceDeleted, None, None)
        }
        Change::SetPlatforms(workspace, platforms) => (
            SecretOwner::Workspace(workspace.id),
            AuditAction::WorkspacePlatformsChanged,
            None,
            Some(platform_names(platforms)),
        ),
        Change::SetRole { workspace, user, to, .. } => (
            SecretOwner::Workspace(*workspace),
            to.map_or(AuditAction::ParticipantRemoved, |_| AuditAction::ParticipantSet),
            Some(*user),
            to.map(|role| role.as_str().to_owned()),
        ),
    };
    Some(AuditRecord { person, detail, ..AuditRecord::new(scope, actor, action, context) })
}

fn platform_names(platforms: &[Platform]) -> String {
    let names: Vec<_> = platforms.iter().map(|platform| platform.as_str()).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests;
