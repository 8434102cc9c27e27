//! Owners of secrets, and the proof that a caller is authorized to access them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use jiff::Timestamp;

use crate::identity::Actor;
use crate::ids::{UserId, WorkspaceId};
use crate::role::{Permission, Role};
use crate::settings::Settings;
use crate::{Error, Result};

/// The owner of a secret. At launch, a user secret overrides the workspace secret of the same name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SecretOwner {
    /// A workspace. Its runs share the secret, and its owners and admins can change it.
    Workspace(WorkspaceId),
    /// A single user.
    User(UserId),
}

impl SecretOwner {
    /// Returns `workspace` or `user`, as used in API answers.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Workspace(_) => "workspace",
            Self::User(_) => "user",
        }
    }
}

/// `WS#<id>` or `USER#<id>`, as used in row keys, tags and encryption contexts.
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

/// A workspace that was deleted or a user who was removed. Tokens, secrets or live runs may be
/// left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Removed {
    /// The owner of the secrets and runs.
    pub scope: SecretOwner,
    /// When it was deleted.
    pub at: Timestamp,
}

/// The proof that an actor has a permission on an owner's secrets. Only an authorization creates
/// it, and the store requires it, so no read or write can skip the check.
#[derive(Clone, Debug)]
pub struct Scope {
    owner: SecretOwner,
    actor: UserId,
    permission: Permission,
    roles: Vec<Role>,
}

impl Scope {
    /// Returns the owner of the secrets.
    #[must_use]
    pub fn owner(&self) -> SecretOwner {
        self.owner
    }

    /// Returns the user who acts.
    #[must_use]
    pub fn actor(&self) -> UserId {
        self.actor
    }

    /// Returns the granted permission.
    #[must_use]
    pub fn permission(&self) -> Permission {
        self.permission
    }

    /// Returns the roles that permit the operation. The actor's membership must still have one of
    /// them when a write takes effect. Empty for user secrets, which need no membership.
    #[must_use]
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }
}

impl Scope {
    /// Creates a scope for the actor's user secrets. Refuses a token of one workspace.
    pub(crate) fn own(actor: &Actor, permission: Permission) -> Result<Self> {
        actor.check_workspace(None)?;
        Ok(Self::of_user(actor.user, permission))
    }

    /// Creates a scope for the user secrets of an actor who is authorized in a workspace: a launch
    /// there also delivers them.
    pub(crate) fn own_beside(workspace: &Self) -> Self {
        Self::of_user(workspace.actor, workspace.permission)
    }

    fn of_user(user: UserId, permission: Permission) -> Self {
        Self { owner: SecretOwner::User(user), actor: user, permission, roles: Vec::new() }
    }

    /// Creates a scope for the workspace's secrets, from the role that was just read.
    pub(crate) fn for_role(
        settings: &Settings,
        actor: &Actor,
        workspace: WorkspaceId,
        role: Role,
        permission: Permission,
    ) -> Result<Self> {
        actor.check_workspace(Some(workspace))?;
        let roles = permission.roles(settings);
        if !roles.contains(&role) {
            return Err(Error::Forbidden { needs: Role::in_words(&roles) });
        }
        Ok(Self { owner: SecretOwner::Workspace(workspace), actor: actor.user, permission, roles })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> WorkspaceId {
        WorkspaceId::new(42).unwrap()
    }

    fn user(number: i64) -> UserId {
        UserId::new(number).unwrap()
    }

    fn actor() -> Actor {
        Actor::without_token(user(7))
    }

    fn settings(maintain_may_write: bool) -> Settings {
        Settings { maintain_may_write, ..Settings::new("test") }
    }

    #[test]
    fn an_owner_is_written_as_its_kind_and_id_and_reads_back() {
        for (owner, text, kind) in [
            (SecretOwner::Workspace(workspace()), "WS#42", "workspace"),
            (SecretOwner::User(user(7)), "USER#7", "user"),
        ] {
            assert_eq!(owner.to_string(), text);
            assert_eq!(owner.kind(), kind, "{text}");
            assert_eq!(text.parse::<SecretOwner>().unwrap(), owner, "{text}");
            let json = format!("\"{text}\"");
            assert_eq!(serde_json::to_string(&owner).unwrap(), json);
            assert_eq!(serde_json::from_str::<SecretOwner>(&json).unwrap(), owner, "{text}");
        }
    }

    #[test]
    fn text_that_names_no_owner_is_not_found() {
        for text in ["", "WS", "WS#", "WS#0", "WS#x", "WS#1#2", "ws#42", "USER#-7", "ORG#42", "#42", "42"] {
            assert!(matches!(text.parse::<SecretOwner>(), Err(Error::NotFound)), "{text:?}");
            assert!(serde_json::from_value::<SecretOwner>(text.into()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_token_of_one_workspace_gets_a_scope_only_there() {
        let limited = |number| Actor { workspace: WorkspaceId::new(number), ..actor() };
        let in_workspace = |actor: &Actor| {
            Scope::for_role(&settings(false), actor, workspace(), Role::Owner, Permission::Launch)
        };
        assert!(in_workspace(&limited(42)).is_ok() && in_workspace(&actor()).is_ok());
        let own = |actor: &Actor| Scope::own(actor, Permission::Launch);
        assert!(own(&actor()).is_ok());
        for (refused, only) in
            [(own(&limited(42)), 42), (own(&limited(43)), 43), (in_workspace(&limited(43)), 43)]
        {
            let text = refused.unwrap_err().to_string();
            assert!(text.ends_with(&format!("only in the workspace {only} (workspaceId={only}).")), "{text}");
        }
        let beside = Scope::own_beside(&in_workspace(&limited(42)).unwrap());
        assert_eq!((beside.owner(), beside.actor()), (SecretOwner::User(actor().user), actor().user));
        assert_eq!(beside.permission(), Permission::Launch);
    }

    #[test]
    fn a_role_gets_a_scope_exactly_where_it_holds_the_permission() {
        for maintain_may_write in [false, true] {
            let settings = settings(maintain_may_write);
            for permission in Permission::ALL {
                let allowed = permission.roles(&settings);
                for role in Role::ALL {
                    let case = format!("{role:?}, {permission:?}, maintain may write: {maintain_may_write}");
                    match Scope::for_role(&settings, &actor(), workspace(), role, permission) {
                        Ok(scope) => {
                            assert!(allowed.contains(&role), "{case}");
                            assert_eq!(scope.owner(), SecretOwner::Workspace(workspace()), "{case}");
                            assert_eq!(scope.actor(), actor().user, "{case}");
                            assert_eq!(scope.permission(), permission, "{case}");
                            assert_eq!(scope.roles(), allowed, "{case}");
                        }
                        Err(Error::Forbidden { needs }) => {
                            assert!(!allowed.contains(&role), "{case}");
                            assert_eq!(needs, Role::in_words(&allowed), "{case}");
                        }
                        Err(error) => panic!("{case}: {error:?}"),
                    }
                }
            }
        }
    }

    #[test]
    fn the_scope_of_user_secrets_has_no_roles_to_check_again() {
        let scope = Scope::own(&actor(), Permission::WriteSecrets).unwrap();
        assert_eq!(scope.owner(), SecretOwner::User(actor().user));
        assert_eq!(scope.actor(), actor().user);
        assert_eq!(scope.permission(), Permission::WriteSecrets);
        assert!(scope.roles().is_empty());
    }
}
