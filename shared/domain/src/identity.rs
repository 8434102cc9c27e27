//! Users, tokens, workspaces and participants.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{OrgId, TokenId, UserId, WorkspaceId};
use crate::platform::Platform;
use crate::role::Role;
use crate::token::TokenHash;
use crate::token_scope::TokenScope;
use crate::{Error, Result};

/// An authenticated user. The authorizer vouches for the identity only; each request reads the
/// role.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Actor {
    /// The user's id.
    pub user: UserId,
    /// The personal access token of the request; `None` for a JSON Web Token.
    pub token: Option<TokenId>,
    /// The only workspace in which the token can be used; `None` if it is not restricted.
    pub workspace: Option<WorkspaceId>,
    /// The operations for which the token can be used.
    pub scope: TokenScope,
}

impl Actor {
    /// Creates a user who acts without a personal access token, and so without its limits.
    #[must_use]
    pub fn without_token(user: UserId) -> Self {
        Self { user, token: None, workspace: None, scope: TokenScope::All }
    }

    /// Returns whether the token can be used in this workspace, or without one.
    #[must_use]
    pub fn may_use(&self, workspace: Option<WorkspaceId>) -> bool {
        self.workspace.is_none() || self.workspace == workspace
    }

    /// Refuses a request in another workspace than the token's, or without one. Reads nothing, so
    /// the refusal does not show whether the other workspace exists.
    pub fn check_workspace(&self, workspace: Option<WorkspaceId>) -> Result<()> {
        match self.workspace {
            Some(only) if workspace != Some(only) => Err(Error::TokenLimited(format!(
                "it can be used only in the workspace {only} (workspaceId={only})."
            ))),
            _ => Ok(()),
        }
    }
}

/// The caller, as the authorizer identified it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Caller {
    /// A known user.
    User(Actor),
    /// A login that an issuer vouches for and that no user has. It can only be registered, only by
    /// the `identity` function, and only if its issuer has sign-up.
    NewLogin(VerifiedLogin),
}

/// A person or a machine account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The user's id.
    pub id: UserId,
    /// Unique in the deployment, case-insensitive.
    pub user_name: String,
    /// Unique in the deployment, case-insensitive.
    pub email: String,
    /// When the user was created.
    #[serde(rename = "createdAt")]
    pub created: Timestamp,
    /// Since when the user is disabled: nothing that identifies the user is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Timestamp>,
    /// How many roles the user was given so far. A change of all memberships names the number that
    /// it read, so it misses no role that was given meanwhile.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub grants: u64,
    /// When the user was removed. The row stays: names of authors are read from it, and the user's
    /// logins find a user who is disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Timestamp>,
}

/// An organization.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Organization {
    /// The organization's id.
    pub id: OrgId,
    /// Its short name.
    pub name: String,
}

/// A workspace: a group of users who share secrets and launch runs with them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Workspace {
    /// The workspace's id.
    pub id: WorkspaceId,
    /// Its organization.
    pub org: OrgId,
    /// Its organization's short name.
    pub org_name: String,
    /// Its short name.
    pub name: String,
    /// Its display name.
    pub full_name: String,
    /// The platforms that launches may use. A new workspace allows only AWS Batch. An owner or
    /// admin must allow HPC schedulers, because a claim gives the values to the user who launched
    /// the run.
    pub platforms: Vec<Platform>,
    /// When the workspace was created.
    #[serde(rename = "createdAt")]
    pub created: Timestamp,
    /// How many roles were given in it so far, as [`User::grants`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub grants: u64,
    /// When it was deleted. Its row stays, so that a restored table can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Timestamp>,
}

/// A user's membership of a workspace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Participant {
    /// The workspace's id.
    pub workspace: WorkspaceId,
    /// The user's id.
    pub user: UserId,
    /// The user's role.
    pub role: Role,
}

/// A stored personal access token.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredToken {
    /// The token's id.
    pub id: TokenId,
    /// The user who owns it.
    pub user: UserId,
    /// The name that the owner gave it.
    pub name: String,
    /// The hash of its key.
    pub hash: TokenHash,
    /// When the token was created.
    #[serde(rename = "createdAt")]
    pub created: Timestamp,
    /// When the token was last used, to the hour.
    pub last_used: Option<Timestamp>,
    /// When the token expires.
    pub expires: Option<Timestamp>,
    /// The only workspace in which it can be used; `None` if it is not restricted.
    pub workspace: Option<WorkspaceId>,
    /// The operations for which it can be used.
    #[serde(
        default = "TokenScope::absent",
        deserialize_with = "TokenScope::stored",
        skip_serializing_if = "TokenScope::is_all"
    )]
    pub scope: TokenScope,
    /// The token with which it was created; `None` for a JSON Web Token, an operator, and tokens of
    /// versions that did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_with: Option<TokenId>,
}

/// A login at an OpenID Connect issuer. Only this pair identifies a user: e-mail addresses and
/// names can pass from one person to another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Login {
    /// The issuer, as in the token's `iss`.
    pub issuer: String,
    /// The token's `sub`: 1 to 255 bytes.
    pub subject: String,
}

/// The verified claims of an issuer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifiedLogin {
    /// The login.
    pub login: Login,
    /// The e-mail address, if the issuer has verified it.
    pub verified_email: Option<String>,
    /// Whether the issuer's configuration lets an unknown login become a user.
    pub sign_up: bool,
}

impl Login {
    /// Returns the refusal of a login that no user has and that cannot sign up.
    #[must_use]
    pub fn unknown(&self) -> Error {
        Error::UnknownLogin { issuer: self.issuer.clone(), subject: self.subject.clone() }
    }
}

/// A membership that must still exist when a change takes effect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequiredMembership {
    /// The workspace's id.
    pub workspace: WorkspaceId,
    /// The user who makes the change.
    pub user: UserId,
    /// The roles that permit the change.
    pub roles: Vec<Role>,
}

/// A change of users, tokens, workspaces or participants. It states the facts on which it was
/// decided, and does not take effect if they no longer hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Creates a user with an unused name and e-mail address, and with an unused login if there is
    /// one.
    CreateUser(User, Option<Login>),
    /// Adds a login to a user: an unused one, or that of this removed user.
    AddLogin(UserId, Login, Option<UserId>),
    /// Removes a user who is disabled and has no role: frees the name and the e-mail address, and
    /// records that tokens, secrets and runs are left.
    RemoveUser {
        /// The user.
        user: User,
        /// When.
        at: Timestamp,
    },
    /// Disables or enables the user, in these workspaces too.
    SetDisabled {
        /// The user's id.
        user: UserId,
        /// The user's [`User::grants`], read before the workspaces.
        grants: u64,
        /// Since when; `None` to enable the user.
        disabled: Option<Timestamp>,
        /// The workspaces in which the user has a role.
        workspaces: Vec<WorkspaceId>,
    },
    /// Creates a token whose name the user does not use yet. The user must not be disabled.
    CreateToken(StoredToken),
    /// Revokes the token.
    RevokeToken(StoredToken),
    /// Creates an organization with an unused name. It has no audit trail; its first workspace's
    /// trail records it.
    CreateOrganization(Organization),
    /// Creates a workspace with a name that is unused in its organization. The same transaction
    /// must add an owner.
    CreateWorkspace(Workspace),
    /// Deletes a workspace with all its participants, records that its secrets and runs are left,
    /// and frees its name. The secrets and runs need no further check: every function refuses a
    /// workspace without the caller's membership.
    DeleteWorkspace {
        /// The workspace, read before its participants.
        workspace: Workspace,
        /// All its participants, at most [`MOST_MEMBERS`].
        members: Vec<UserId>,
        /// When.
        at: Timestamp,
    },
    /// Replaces the platforms that the workspace allows.
    SetPlatforms(Workspace, Vec<Platform>),
    /// Adds a participant who is not disabled (from no role), changes a role, or removes a
    /// participant (to no role). A workspace keeps its last owner.
    SetRole {
        /// The workspace's id.
        workspace: WorkspaceId,
        /// The user's id.
        user: UserId,
        /// The current role.
        from: Option<Role>,
        /// The new role.
        to: Option<Role>,
    },
}

/// The maximum number of rows of changes in a transaction. DynamoDB's limit is 100, and one row
/// checks the required membership.
pub const MAX_ROWS: usize = 99;

/// The participants that the deletion of a workspace removes in one transaction: two rows for each,
/// and a margin for the other rows.
pub const MOST_MEMBERS: usize = 45;

impl Change {
    /// The maximum number of transaction rows that this change takes, including its audit record.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            // Another change may write the same rows, so it takes a transaction of its own.
            Self::SetDisabled { .. } | Self::DeleteWorkspace { .. } => MAX_ROWS,
            Self::CreateToken(token) => 5 + usize::from(token.created_with.is_some()),
            Self::CreateUser(..) | Self::RemoveUser { .. } | Self::SetRole { from: None, .. } => 5,
            Self::RevokeToken(_) | Self::SetRole { .. } => 4,
            Self::CreateWorkspace(_) => 3,
            Self::AddLogin(..) | Self::CreateOrganization(_) | Self::SetPlatforms(..) => 2,
        }
    }

    /// The change in the number of workspace owners.
    #[must_use]
    pub fn owners(&self) -> i64 {
        match self {
            Self::SetRole { from, to, .. } => {
                i64::from(*to == Some(Role::Owner)) - i64::from(*from == Some(Role::Owner))
            }
            _ => 0,
        }
    }
}

/// Whether a number is not stored.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Returns the case-folded form of a name or e-mail address, for comparisons.
#[must_use]
pub fn fold(name: &str) -> String {
    name.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::TokenKey;

    fn user() -> User {
        User {
            id: UserId::new(5).unwrap(),
            user_name: "olivia".into(),
            email: "olivia@example.org".into(),
            created: Timestamp::UNIX_EPOCH,
            disabled: None,
            grants: 0,
            removed: None,
        }
    }

    fn token() -> StoredToken {
        StoredToken {
            id: TokenId::new(6).unwrap(),
            user: user().id,
            name: "laptop".into(),
            hash: TokenKey::make_random(&Zeros).hash(),
            created: Timestamp::UNIX_EPOCH,
            last_used: None,
            expires: None,
            workspace: None,
            scope: TokenScope::All,
            created_with: None,
        }
    }

    struct Zeros;

    impl crate::ports::Randomness for Zeros {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    fn organization() -> Organization {
        Organization { id: OrgId::new(3).unwrap(), name: "lab".into() }
    }

    fn workspace() -> Workspace {
        Workspace {
            id: WorkspaceId::new(42).unwrap(),
            org: organization().id,
            org_name: organization().name,
            name: "main".into(),
            full_name: "Main".into(),
            platforms: vec![Platform::AwsBatch],
            created: Timestamp::UNIX_EPOCH,
            grants: 0,
            deleted: None,
        }
    }

    fn disabled() -> Change {
        let workspaces = vec![workspace().id, WorkspaceId::new(43).unwrap()];
        Change::SetDisabled { user: user().id, grants: 0, disabled: Some(Timestamp::UNIX_EPOCH), workspaces }
    }

    fn set_role(from: Option<Role>, to: Option<Role>) -> Change {
        Change::SetRole { workspace: workspace().id, user: user().id, from, to }
    }

    /// Every change except role changes, with the rows of its transaction.
    fn other_changes() -> [(Change, &'static [&'static str]); 8] {
        let login = Login { issuer: "https://issuer.example".into(), subject: "olivia".into() };
        [
            (Change::CreateUser(user(), Some(login.clone())), &["user", "name", "e-mail", "login", "audit"]),
            (Change::AddLogin(user().id, login, None), &["login", "audit"]),
            (
                Change::RemoveUser { user: user(), at: Timestamp::UNIX_EPOCH },
                &["user", "name", "e-mail", "what is left", "audit"],
            ),
            (
                Change::CreateToken(StoredToken { created_with: Some(token().id), ..token() }),
                &["token", "token of the user", "name", "user", "maker", "audit"],
            ),
            (Change::RevokeToken(token()), &["token", "token of the user", "name", "audit"]),
            (Change::CreateOrganization(organization()), &["organization", "name"]),
            (Change::CreateWorkspace(workspace()), &["workspace", "name", "audit"]),
            (Change::SetPlatforms(workspace(), vec![Platform::Slurm]), &["workspace", "audit"]),
        ]
    }

    #[test]
    fn each_change_reserves_the_rows_that_its_transaction_takes() {
        for (change, rows) in other_changes() {
            assert_eq!(change.rows(), rows.len(), "{change:?}");
        }
        assert_eq!(disabled().rows(), MAX_ROWS);
        assert_eq!(disabled().owners(), 0);
        for (from, to) in [(None, Some(Role::Owner)), (Some(Role::Owner), None)] {
            let rows = ["participant of the workspace", "workspace of the user", "workspace", "audit"];
            let user = usize::from(from.is_none());
            assert_eq!(set_role(from, to).rows(), rows.len() + user, "{from:?} to {to:?}");
        }
    }

    #[test]
    fn only_becoming_or_ceasing_to_be_an_owner_changes_the_number_of_owners() {
        for (from, to, change) in [
            (None, Some(Role::Owner), 1),
            (Some(Role::Admin), Some(Role::Owner), 1),
            (Some(Role::Owner), None, -1),
            (Some(Role::Owner), Some(Role::View), -1),
            (Some(Role::Owner), Some(Role::Owner), 0),
            (None, Some(Role::Admin), 0),
            (Some(Role::Admin), Some(Role::Maintain), 0),
            (Some(Role::Admin), None, 0),
            (None, None, 0),
        ] {
            assert_eq!(set_role(from, to).owners(), change, "{from:?} to {to:?}");
        }
        for (change, _) in other_changes() {
            assert_eq!(change.owners(), 0, "{change:?}");
        }
    }
}
