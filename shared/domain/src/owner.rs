//! Whose a secret is, and the proof that a caller may touch it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::identity::Actor;
use crate::ids::{UserId, WorkspaceId};
use crate::ports::ReadMembership;
use crate::role::{Permission, Role};
use crate::settings::Settings;
use crate::{Error, Result};

/// Whose a secret is. A user's own secret overrides the workspace's of the same name at launch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SecretOwner {
    /// Shared by a workspace's runs; written by its owners and admins.
    Workspace(WorkspaceId),
    /// One person's alone.
    User(UserId),
}

impl SecretOwner {
    /// `workspace` or `user`, as answers name the kind.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Workspace(_) => "workspace",
            Self::User(_) => "user",
        }
    }
}

/// `WS#<id>` or `USER#<id>`: the text of keys, tags and encryption contexts.
impl fmt::Display for SecretOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workspace(id) => write!(f, "WS#{id}"),
            Self::User(id) => write!(f, "USER#{id}"),
        }
    }
}

impl FromStr for SecretOwner {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('#') {
            Some(("WS", id)) => Ok(Self::Workspace(id.parse()?)),
            Some(("USER", id)) => Ok(Self::User(id.parse()?)),
            _ => Err(Error::NotFound),
        }
    }
}

impl From<SecretOwner> for String {
    fn from(owner: SecretOwner) -> Self {
        owner.to_string()
    }
}

impl TryFrom<String> for SecretOwner {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

/// The proof that an actor holds a permission over an owner's secrets. Only [`authorize`] makes one, and the store
/// asks for one, so that no read or write can forget the check.
#[derive(Clone, Debug)]
pub struct Scope {
    owner: SecretOwner,
    actor: UserId,
    permission: Permission,
    roles: Vec<Role>,
}

impl Scope {
    /// Whose secrets.
    #[must_use]
    pub fn owner(&self) -> SecretOwner {
        self.owner
    }

    /// Who acts.
    #[must_use]
    pub fn actor(&self) -> UserId {
        self.actor
    }

    /// What was allowed.
    #[must_use]
    pub fn permission(&self) -> Permission {
        self.permission
    }

    /// The roles of which the actor's membership must still be one when a write takes effect; empty for the actor's
    /// own secrets, where there is no membership to lose.
    #[must_use]
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }
}

/// Decides whether the actor holds the permission over the workspace's secrets, or over the own ones where no
/// workspace is named. One consistent read; the same [`Error::NotFound`] for a workspace that does not exist and for
/// one of which the actor is no member.
pub async fn authorize(
    store: &impl ReadMembership,
    settings: &Settings,
    actor: &Actor,
    workspace: Option<WorkspaceId>,
    permission: Permission,
) -> Result<Scope> {
    let Some(workspace) = workspace else {
        return Ok(Scope::own(actor, permission));
    };
    let role = store.role(workspace, actor.user).await?.ok_or(Error::NotFound)?;
    Scope::for_role(settings, actor, workspace, role, permission)
}

impl Scope {
    /// The actor's own secrets.
    pub(crate) fn own(actor: &Actor, permission: Permission) -> Self {
        Self { owner: SecretOwner::User(actor.user), actor: actor.user, permission, roles: Vec::new() }
    }

    /// The workspace's secrets, where the role was just read.
    pub(crate) fn for_role(
        settings: &Settings,
        actor: &Actor,
        workspace: WorkspaceId,
        role: Role,
        permission: Permission,
    ) -> Result<Self> {
        let roles = permission.roles(settings);
        if !roles.contains(&role) {
            return Err(Error::Forbidden { needs: Role::in_words(&roles) });
        }
        Ok(Self { owner: SecretOwner::Workspace(workspace), actor: actor.user, permission, roles })
    }
}
