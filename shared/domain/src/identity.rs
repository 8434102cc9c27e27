//! Who calls, and who belongs where.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{OrgId, TokenId, UserId, WorkspaceId};
use crate::platform::Platform;
use crate::role::Role;
use crate::token::TokenHash;

/// An authenticated caller. The authorizer vouches for the identity alone; roles are read per request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Actor {
    /// Who.
    pub user: UserId,
    /// By which personal access token; `None` for a JSON Web Token.
    pub token: Option<TokenId>,
}

/// Who the authorizer says is calling.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Caller {
    /// A user.
    User(Actor),
    /// A login that an issuer vouches for and that no user has. It may do nothing but be registered, which only
    /// `identity` can do.
    NewLogin(VerifiedLogin),
}

/// A person or a machine account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The user's id.
    pub id: UserId,
    /// Unique in the deployment.
    pub user_name: String,
    /// Unique in the deployment.
    pub email: String,
    /// When it was first known.
    #[serde(rename = "createdAt")]
    pub created: Timestamp,
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

/// A workspace: who shares secrets and launches with them.
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
    /// Its name for people.
    pub full_name: String,
    /// The platforms that a launch may name. AWS Batch from the start; HPC schedulers only after an owner or admin
    /// says so, for a claim hands values to whoever launched.
    pub platforms: Vec<Platform>,
    /// When it was made.
    #[serde(rename = "createdAt")]
    pub created: Timestamp,
}

/// A user's place in a workspace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Participant {
    /// Where.
    pub workspace: WorkspaceId,
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: Role,
}

/// A personal access token as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredToken {
    /// The token's id.
    pub id: TokenId,
    /// Whose it is.
    pub user: UserId,
    /// What its owner calls it.
    pub name: String,
    /// The hash of its key.
    pub hash: TokenHash,
    /// When it was made.
    #[serde(rename = "createdAt")]
    pub created: Timestamp,
    /// When it was last presented, to the hour.
    pub last_used: Option<Timestamp>,
    /// After this it is refused.
    pub expires: Option<Timestamp>,
}

/// Who signs in at an OpenID Connect issuer. The pair alone says who somebody is: e-mail addresses and names pass from
/// one person to another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Login {
    /// The issuer, as in the token's `iss`.
    pub issuer: String,
    /// The token's `sub`: 1 to 255 bytes.
    pub subject: String,
}

/// What an issuer vouches for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifiedLogin {
    /// Who.
    pub login: Login,
    /// The e-mail address, only where the issuer says that it verified it.
    pub verified_email: Option<String>,
}

/// A membership that must still hold when a change takes effect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequiredMembership {
    /// Where.
    pub workspace: WorkspaceId,
    /// Who acts.
    pub user: UserId,
    /// As one of these.
    pub roles: Vec<Role>,
}

/// One change of who is known and who belongs where. A change states what it was decided on: where that is no longer
/// so, it does not take effect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A new user, by name and e-mail address, and by login where there is one: all of them free.
    CreateUser(User, Option<Login>),
    /// A new token, its name free among the user's own.
    CreateToken(StoredToken),
    /// The token is refused from here on.
    RevokeToken(StoredToken),
    /// A new organization, its name free. It has no audit trail of its own: its first workspace's tells of it.
    CreateOrganization(Organization),
    /// A new workspace, its name free in its organization. It takes an owner in the same transaction.
    CreateWorkspace(Workspace),
    /// Other allowed platforms, in place of the workspace's present ones.
    SetPlatforms(Workspace, Vec<Platform>),
    /// A user joins a workspace (from no role), gets another role, or leaves (to no role). The last owner stays one.
    SetRole {
        /// Where.
        workspace: WorkspaceId,
        /// Who.
        user: UserId,
        /// The role until now.
        from: Option<Role>,
        /// The role from here on.
        to: Option<Role>,
    },
}

impl Change {
    /// Rows that a transaction spends on this change and its audit record, at most.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::CreateUser(..) => 5,
            Self::CreateToken(_) | Self::RevokeToken(_) | Self::SetRole { .. } => 4,
            Self::CreateWorkspace(_) => 3,
            Self::CreateOrganization(_) | Self::SetPlatforms(..) => 2,
        }
    }

    /// By how many the owners of a workspace become more or fewer.
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

/// The form under which names and addresses that differ only by case are one.
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
        }
    }

    fn set_role(from: Option<Role>, to: Option<Role>) -> Change {
        Change::SetRole { workspace: workspace().id, user: user().id, from, to }
    }

    /// Every change but those of roles, with the rows that a transaction spends on it.
    fn other_changes() -> [(Change, &'static [&'static str]); 6] {
        let login = Login { issuer: "https://issuer.example".into(), subject: "olivia".into() };
        [
            (Change::CreateUser(user(), Some(login)), &["user", "name", "e-mail", "login", "audit"]),
            (Change::CreateToken(token()), &["token", "token of the user", "name", "audit"]),
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
        for (from, to) in [(None, Some(Role::Owner)), (Some(Role::Owner), None)] {
            let rows = ["participant of the workspace", "workspace of the user", "workspace", "audit"];
            assert_eq!(set_role(from, to).rows(), rows.len(), "{from:?} to {to:?}");
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
