//! Describes the caller, and the organizations and workspaces of the caller.

use std::collections::BTreeMap;

use crate::identity::{Actor, Organization, User, Workspace};
use crate::ids::{OrgId, UserId, WorkspaceId};
use crate::ports::ReadIdentity;
use crate::role::Role;
use crate::{Error, Result};

/// Returns the caller.
pub async fn user(store: &dyn ReadIdentity, actor: &Actor) -> Result<User> {
    store.user(actor.user).await?.ok_or(Error::NotFound)
}

/// Returns the caller's workspaces, with the role in each. The id of another user is
/// [`Error::NotFound`].
pub async fn workspaces_of(
    store: &dyn ReadIdentity,
    actor: &Actor,
    user: UserId,
) -> Result<Vec<(Workspace, Role)>> {
    if user != actor.user {
        return Err(Error::NotFound);
    }
    workspaces(store, actor).await
}

/// Returns the caller's workspaces, with the role in each, by organization and name. A token of one
/// workspace sees only this one.
pub async fn workspaces(store: &dyn ReadIdentity, actor: &Actor) -> Result<Vec<(Workspace, Role)>> {
    let mut memberships = store.memberships(actor.user).await?;
    memberships.retain(|(workspace, _)| actor.may_use(Some(workspace.id)));
    memberships.sort_by(|(one, _), (other, _)| {
        (&one.org_name, one.org, &one.name).cmp(&(&other.org_name, other.org, &other.name))
    });
    Ok(memberships)
}

/// Returns the caller's workspaces in one organization. Returns [`Error::NotFound`] if there are
/// none or the organization does not exist.
pub async fn workspaces_in(
    store: &dyn ReadIdentity,
    actor: &Actor,
    org: OrgId,
) -> Result<Vec<(Workspace, Role)>> {
    let mut memberships = workspaces(store, actor).await?;
    memberships.retain(|(workspace, _)| workspace.org == org);
    if memberships.is_empty() {
        return Err(Error::NotFound);
    }
    Ok(memberships)
}

/// Returns an organization of the caller. Returns [`Error::NotFound`] as [`workspaces_in`].
pub async fn organization(store: &dyn ReadIdentity, actor: &Actor, org: OrgId) -> Result<Organization> {
    let mut memberships = workspaces_in(store, actor, org).await?;
    let (workspace, _) = memberships.pop().ok_or(Error::NotFound)?;
    Ok(Organization { id: workspace.org, name: workspace.org_name })
}

/// Returns the members of an organization, by name. An organization only groups workspaces, so its
/// members are the participants of the caller's workspaces in it. Returns [`Error::NotFound`] as
/// [`workspaces_in`].
pub async fn members(store: &dyn ReadIdentity, actor: &Actor, org: OrgId) -> Result<Vec<User>> {
    let mut members = BTreeMap::new();
    for (workspace, _) in workspaces_in(store, actor, org).await? {
        let participants = store.participants(workspace.id).await?;
        members.extend(participants.into_iter().map(|(user, _)| (user.user_name.clone(), user)));
    }
    Ok(members.into_values().collect())
}

/// Returns a workspace of the caller, with the caller's role, from one consistent read. Returns the
/// same [`Error::NotFound`] if the workspace does not exist, is in another organization, or the
/// caller is not a participant.
pub async fn workspace(
    store: &dyn ReadIdentity,
    actor: &Actor,
    org: OrgId,
    workspace: WorkspaceId,
) -> Result<(Workspace, Role)> {
    actor.check_workspace(Some(workspace))?;
    let (role, workspace) = store
        .role_and_workspace(workspace, actor.user)
        .await?
        .filter(|(_, workspace)| workspace.org == org)
        .ok_or(Error::NotFound)?;
    Ok((workspace, role))
}

#[cfg(test)]
mod tests;
