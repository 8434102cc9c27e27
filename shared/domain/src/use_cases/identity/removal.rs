//! Removing a user. The user is disabled first, and so out at once, also in requests that began
//! before. The last change leaves the rest to [`finish`](super::finish) and to the sweep.

use super::plan::{MOST_MEMBERSHIPS, set_disabled};
use crate::context::Context;
use crate::identity::{Change, User};
use crate::ids::WorkspaceId;
use crate::role::Role;

/// Returns the changes that remove a user, in order. Each leaves a consistent state, and a repeat
/// makes the rest.
pub(super) fn removal(
    user: &User,
    memberships: &[(WorkspaceId, Role)],
    context: &Context<'_>,
) -> Vec<Change> {
    let workspaces: Vec<_> = memberships.iter().map(|(workspace, _)| *workspace).collect();
    // An earlier call may have stopped between two transactions.
    let disabled = user.disabled.is_some() && workspaces.len() <= MOST_MEMBERSHIPS;
    let mut changes = Vec::new();
    if !disabled {
        changes.extend(set_disabled(user, Some(context.now), &workspaces));
    }
    let leave = |&(workspace, role)| Change::SetRole { workspace, user: user.id, from: Some(role), to: None };
    changes.extend(memberships.iter().map(leave));
    changes.push(Change::RemoveUser { user: user.clone(), at: context.now });
    changes
}
