//! Users, workspaces, participants and tokens: what operators declare, and what people do themselves over HTTP.

pub mod apply;
pub mod describe;
pub mod document;
pub mod participants;
mod plan;
mod problems;
pub mod reconcile;
#[cfg(test)]
mod testing;
pub mod tokens;
pub mod trail;

use jiff::Timestamp;

use crate::audit::{AuditAction, AuditRecord};
use crate::identity::Change;
use crate::ids::{TokenId, UserId};
use crate::owner::SecretOwner;
use crate::platform::Platform;
use crate::ports::Randomness;
use crate::settings::Settings;

/// What changes of identity need from outside.
pub struct Ports<'a, Store, Rng, Wait> {
    /// The table.
    pub store: &'a Store,
    /// Randomness.
    pub randomness: &'a Rng,
    /// Time to repeat in.
    pub pace: &'a Wait,
    /// The deployment's choices.
    pub settings: &'a Settings,
}

/// Who did something, and when.
#[derive(Clone, Copy)]
pub(crate) struct Deed {
    /// `None` for an operator, who is known to IAM and not here.
    pub(crate) actor: Option<UserId>,
    /// When.
    pub(crate) at: Timestamp,
}

/// An entry for the audit trail of a user or a workspace.
pub(crate) fn record(
    scope: SecretOwner,
    deed: Deed,
    action: AuditAction,
    randomness: &impl Randomness,
) -> AuditRecord {
    AuditRecord {
        scope,
        at: deed.at,
        // Tells two entries of one scope and millisecond apart.
        id: TokenId::make_random(randomness).to_string(),
        actor: deed.actor,
        action,
        subjects: Vec::new(),
        run: None,
        person: None,
        detail: None,
    }
}

/// The entry that a change leaves in the audit trail. An organization has none of its own: that of its first workspace
/// tells of it.
pub(crate) fn record_of(change: &Change, deed: Deed, randomness: &impl Randomness) -> Option<AuditRecord> {
    let (scope, action, person, detail) = match change {
        Change::CreateUser(user, _) => {
            (SecretOwner::User(user.id), AuditAction::UserCreated, Some(user.id), None)
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
    Some(AuditRecord { person, detail, ..record(scope, deed, action, randomness) })
}

fn platform_names(platforms: &[Platform]) -> String {
    let names: Vec<_> = platforms.iter().map(|platform| platform.as_str()).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests;
