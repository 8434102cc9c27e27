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
