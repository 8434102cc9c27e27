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
pub struct Vouched {
    /// Who.
    pub login: Login,
    /// The e-mail address, only where the issuer says that it verified it.
    pub verified_email: Option<String>,
}

/// A membership that must still hold when a change takes effect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
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
