//! The participants of a workspace, and its allowed platforms.
//!
//! Every participant can list the participants and leave. Owners and admins can add, change and
//! remove participants. Only owners can add, change or remove an owner. A workspace keeps its last
//! owner: the store counts owners in the same transaction.

use super::describe;
use super::document::LONGEST_EMAIL;
use super::{LAST_OWNER, change_one};
use crate::context::Context;
use crate::identity::{Actor, Change, RequiredMembership, User, Workspace};
use crate::ids::{OrgId, UserId, WorkspaceId};
use crate::platform::Platform;
use crate::ports::{ChangeIdentity, ReadIdentity};
use crate::role::{Permission, Role};
use crate::settings::Settings;
use crate::use_cases::retry_contended;
use crate::{Error, Result};

/// The path of a workspace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WorkspacePath {
    /// Its organization.
    pub org: OrgId,
    /// The workspace.
    pub workspace: WorkspaceId,
}

/// A reference to a user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UserRef {
    /// By id.
    Id(UserId),
    /// By name or e-mail address (case-insensitive).
    NameOrEmail(String),
}

/// Lists the participants of a workspace, by name.
pub async fn list(
    store: &dyn ReadIdentity,
    actor: &Actor,
    place: WorkspacePath,
) -> Result<Vec<(User, Role)>> {
    describe::workspace(store, actor, place.org, place.workspace).await?;
    let mut participants = store.participants(place.workspace).await?;
    participants.sort_by(|(one, _), (other, _)| one.user_name.cmp(&other.user_name));
    Ok(participants)
}

/// Adds a participant. Returns [`Error::Invalid`] if the user does not exist, and
/// [`Error::Conflict`] if the user is already a participant.
pub async fn add(
    store: &dyn ChangeIdentity,
    actor: &Actor,
    place: WorkspacePath,
    user_ref: &UserRef,
    role: Role,
    context: &Context<'_>,
) -> Result<User> {
    retry_contended(context.backoff, async || {
        let (_, own_role) = describe::workspace(store, actor, place.org, place.workspace).await?;
        let roles = admit(context.settings, own_role, &[role])?;
        let user = find(store, user_ref).await?;
        if store.role_of_participant(place.workspace, user.id).await?.is_some() {
            return Err(Error::Conflict(
                "The user is already a participant of this workspace. Change the role instead.".into(),
            ));
        }
        let change = set_role(place, user.id, None, Some(role));
        let required = RequiredMembership { workspace: place.workspace, user: actor.user, roles };
        change_one(store, change, Some(actor.user), Some(&required), context).await?;
        Ok(user)
    })
    .await
}

/// Changes the role of a participant. Returns [`Error::NotFound`] if the user is not a participant.
pub async fn change_role(
    store: &dyn ChangeIdentity,
    actor: &Actor,
    place: WorkspacePath,
    user: UserId,
    role: Role,
    context: &Context<'_>,
) -> Result<()> {
    retry_contended(context.backoff, async || {
        let (_, own_role) = describe::workspace(store, actor, place.org, place.workspace).await?;
        admit(context.settings, own_role, &[role])?;
        let present = store.role_of_participant(place.workspace, user).await?.ok_or(Error::NotFound)?;
        if present == role {
            return Ok(());
        }
        let roles = admit(context.settings, own_role, &[present, role])?;
        let change = set_role(place, user, Some(present), Some(role));
        if user == actor.user && present == Role::Owner {
            return as_owner_who_goes(store, actor, place, change, context).await;
        }
        let required = RequiredMembership { workspace: place.workspace, user: actor.user, roles };
        change_one(store, change, Some(actor.user), Some(&required), context).await
    })
    .await
}

/// Removes a participant, or lets the caller leave. Returns [`Error::NotFound`] if the user is not
/// a participant.
pub async fn remove(
    store: &dyn ChangeIdentity,
    actor: &Actor,
    place: WorkspacePath,
    user: UserId,
    context: &Context<'_>,
) -> Result<()> {
    retry_contended(context.backoff, async || {
        let (_, own_role) = describe::workspace(store, actor, place.org, place.workspace).await?;
        if user == actor.user && own_role == Role::Owner {
            let change = set_role(place, user, Some(own_role), None);
            return as_owner_who_goes(store, actor, place, change, context).await;
        }
        if user == actor.user {
            let required = RequiredMembership { workspace: place.workspace, user, roles: vec![own_role] };
            return change_one(
                store,
                set_role(place, user, Some(own_role), None),
                Some(actor.user),
                Some(&required),
                context,
            )
            .await;
        }
        admit(context.settings, own_role, &[])?;
        let present = store.role_of_participant(place.workspace, user).await?.ok_or(Error::NotFound)?;
        let roles = admit(context.settings, own_role, &[present])?;
        let required = RequiredMembership { workspace: place.workspace, user: actor.user, roles };
        change_one(
            store,
            set_role(place, user, Some(present), None),
            Some(actor.user),
            Some(&required),
            context,
        )
        .await
    })
    .await
}

/// Sets the platforms that launches in the workspace may use.
pub async fn allow_platforms(
    store: &dyn ChangeIdentity,
    actor: &Actor,
    place: WorkspacePath,
    platforms: &[Platform],
    context: &Context<'_>,
) -> Result<Workspace> {
    let mut platforms = platforms.to_vec();
    platforms.sort_unstable();
    platforms.dedup();
    retry_contended(context.backoff, async || {
        let (workspace, role) = describe::workspace(store, actor, place.org, place.workspace).await?;
        let roles = admit(context.settings, role, &[])?;
        let allowed = Workspace { platforms: platforms.clone(), ..workspace.clone() };
        if workspace.platforms != platforms {
            let required = RequiredMembership { workspace: place.workspace, user: actor.user, roles };
            let change = Change::SetPlatforms(workspace, platforms.clone());
            change_one(store, change, Some(actor.user), Some(&required), context).await?;
        }
        Ok(allowed)
    })
    .await
}

/// Makes a change by which an owner leaves or steps down. Another owner who is not disabled must
/// stay: an owner who is disabled does not count.
async fn as_owner_who_goes(
    store: &dyn ChangeIdentity,
    actor: &Actor,
    place: WorkspacePath,
    change: Change,
    context: &Context<'_>,
) -> Result<()> {
    let other = other_owner(store, place.workspace, actor.user).await?;
    let other = other.ok_or_else(|| Error::Conflict(LAST_OWNER.into()))?;
    let stays = RequiredMembership { workspace: place.workspace, user: other, roles: vec![Role::Owner] };
    match change_one(store, change, Some(actor.user), Some(&stays), context).await {
        // The other owner went meanwhile. The caller's own role is a condition of the change.
        Err(Error::NotFound) => Err(Error::Contended),
        outcome => outcome,
    }
}

/// Returns another owner of the workspace who is not disabled.
pub(super) async fn other_owner(
    store: &dyn ReadIdentity,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Option<UserId>> {
    let participants = store.participants(workspace).await?;
    let mut owners = participants.into_iter().filter(|(_, role)| *role == Role::Owner);
    Ok(owners.find(|(owner, _)| owner.id != user && owner.disabled.is_none()).map(|(owner, _)| owner.id))
}

/// Returns the roles that may change participants with these roles: owners and admins, or only
/// owners if one of the roles is owner.
fn admit(settings: &Settings, role: Role, touched: &[Role]) -> Result<Vec<Role>> {
    let roles = if touched.contains(&Role::Owner) {
        vec![Role::Owner]
    } else {
        Permission::AdministerWorkspace.roles(settings)
    };
    if roles.contains(&role) {
        return Ok(roles);
    }
    Err(Error::Forbidden { needs: Role::in_words(&roles) })
}

async fn find(store: &dyn ReadIdentity, user_ref: &UserRef) -> Result<User> {
    let found = match user_ref {
        UserRef::Id(id) => store.user(*id).await?,
        // No user has such a name, and a store may not accept it as a key.
        UserRef::NameOrEmail(text) if text.is_empty() || text.len() > LONGEST_EMAIL => None,
        UserRef::NameOrEmail(email) if email.contains('@') => store.user_by_email(email).await?,
        UserRef::NameOrEmail(name) => store.user_by_name(name).await?,
    };
    found.ok_or_else(|| Error::Invalid("The user does not exist in this deployment.".into()))
}

fn set_role(place: WorkspacePath, user: UserId, from: Option<Role>, to: Option<Role>) -> Change {
    Change::SetRole { workspace: place.workspace, user, from, to }
}

#[cfg(test)]
mod tests;
