//! The row keys of identity.

use domain::identity::fold;
use domain::identity::{Login, Organization, StoredToken};
use domain::ids::{OrgId, TokenId, UserId, WorkspaceId};
use domain::owner::SecretOwner;

use crate::keys::Key;

/// The sort key prefix of a workspace's memberships.
pub(super) const MEMBERS: &str = "MEMBER#";
/// The sort key prefix of a user's mirrored memberships.
pub(super) const MEMBERSHIPS: &str = "IN#";
/// The sort key prefix of a user's tokens.
pub(crate) const TOKENS: &str = "TOKEN#";

/// The partition of deletions that are not finished.
pub(super) const REMOVED: &str = "REMOVED#SCOPES";

/// The partition of the guards of user names.
pub(super) const USER_NAMES: &str = "LOGIN#name";

/// The partition of an issuer's logins.
pub(super) fn logins_of(issuer: &str) -> String {
    format!("LOGIN#{issuer}")
}

impl Key {
    pub(super) fn user(id: UserId) -> Self {
        Self::meta(SecretOwner::User(id))
    }

    pub(super) fn workspace(id: WorkspaceId) -> Self {
        Self::meta(SecretOwner::Workspace(id))
    }

    /// An issuer is a URL, so it cannot be `name` or `email`.
    pub(super) fn login(login: &Login) -> Self {
        Self::new(logins_of(&login.issuer), &login.subject)
    }

    pub(super) fn user_name(name: &str) -> Self {
        Self::new(USER_NAMES, fold(name))
    }

    pub(super) fn email(email: &str) -> Self {
        Self::new("LOGIN#email", fold(email))
    }

    pub(super) fn organization(organization: &Organization) -> Self {
        Self::new(format!("ORG#{}", organization.id), "META")
    }

    pub(super) fn organization_name(name: &str) -> Self {
        Self::new("ORG#name", fold(name))
    }

    pub(super) fn workspace_name(org: OrgId, name: &str) -> Self {
        Self::new(format!("ORG#{org}"), format!("WS#{}", fold(name)))
    }

    /// A workspace that was deleted, and of which something may be left.
    pub(super) fn removed(scope: SecretOwner) -> Self {
        Self::new(REMOVED, scope.to_string())
    }

    pub(super) fn membership(user: UserId, workspace: WorkspaceId) -> Self {
        Self::new(SecretOwner::User(user).to_string(), format!("{MEMBERSHIPS}{workspace}"))
    }

    pub(crate) fn token_of_user(user: UserId, token: TokenId) -> Self {
        Self::new(SecretOwner::User(user).to_string(), format!("{TOKENS}{token}"))
    }

    pub(super) fn token_name(token: &StoredToken) -> Self {
        Self::new(SecretOwner::User(token.user).to_string(), format!("TOKEN-NAME#{}", fold(&token.name)))
    }
}
