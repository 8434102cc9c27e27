//! Users, workspaces, participants and tokens.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::Timestamp;

use super::ChangeEnvironments;
use crate::Result;
use crate::audit::AuditRecord;
pub use crate::identity::MAX_ROWS;
use crate::identity::{
    Change, Login, Organization, RequiredMembership, StoredToken, User, VerifiedLogin, Workspace,
};
use crate::ids::{OrgId, SecretId, TokenId, UserId, WorkspaceId};
use crate::owner::{Removed, SecretOwner};
use crate::role::Role;
use crate::secret::Secret;

use super::ListLiveRuns;

/// Reads memberships.
#[async_trait(?Send)]
pub trait ReadMembership {
    /// Returns the user's role in the workspace. Returns `None` if the workspace or the membership
    /// does not exist. Both cases make the same call.
    async fn role(&self, workspace: WorkspaceId, user: UserId) -> Result<Option<Role>>;

    /// Returns the role and the workspace, in one call.
    async fn role_and_workspace(
        &self,
        workspace: WorkspaceId,
        user: UserId,
    ) -> Result<Option<(Role, Workspace)>>;
}

/// Reads the names of users, to show them.
#[async_trait(?Send)]
pub trait ReadUserNames {
    /// Returns the names of those users that exist, in one call per hundred users, and reads
    /// nothing else of them.
    async fn user_names(&self, users: &BTreeSet<UserId>) -> Result<BTreeMap<UserId, String>>;
}

/// Reads the roles of a user in all workspaces.
#[async_trait(?Send)]
pub trait ReadUserRoles {
    /// Returns the user's role in each workspace, in any order.
    async fn roles_of_user(&self, user: UserId) -> Result<Vec<Role>>;
}

/// Reads whether users are disabled.
#[async_trait(?Send)]
pub trait ReadUserStatus {
    /// Whether the user exists and is not disabled.
    async fn is_enabled(&self, user: UserId) -> Result<bool>;
}

/// Reads whether personal access tokens were revoked.
#[async_trait(?Send)]
pub trait ReadRevocations {
    /// Whether the user no longer has this token. An expired token is not a revoked one.
    async fn is_revoked(&self, user: UserId, token: TokenId) -> Result<bool>;
}

/// Reads personal access tokens.
#[async_trait(?Send)]
pub trait ReadTokens {
    /// Returns the stored token with this id.
    async fn token(&self, id: TokenId) -> Result<Option<StoredToken>>;

    /// Records when the token was used. Not audited; may be lost.
    async fn record_token_use(&self, id: TokenId, at: Timestamp) -> Result<()>;
}

/// Verifies JSON Web Tokens.
#[async_trait(?Send)]
pub trait VerifyJwt {
    /// Returns the login that the issuer vouches for, or `None` if the token is refused for any
    /// reason. Fails only if the issuer's keys are not available.
    async fn verify_jwt(&self, token: &str, now: Timestamp) -> Result<Option<VerifiedLogin>>;
}

/// Reads the users of logins.
#[async_trait(?Send)]
pub trait ReadLogins {
    /// Returns the user of this login.
    async fn user_of_login(&self, login: &Login) -> Result<Option<UserId>>;
}

/// Registers logins.
#[async_trait(?Send)]
pub trait RegisterLogins: ReadLogins {
    /// Whether a user has this e-mail address (case-insensitive).
    async fn is_email_taken(&self, email: &str) -> Result<bool>;

    /// Creates a user with this login. Returns [`Error::Contended`](crate::Error::Contended),
    /// without a change, if the id, login, name or e-mail address is already used.
    async fn register_login(&self, user: &User, login: &Login, audit: &AuditRecord) -> Result<()>;
}

/// Reads users, workspaces and participants. Every read is strongly consistent.
#[async_trait(?Send)]
pub trait ReadIdentity: ReadMembership + ReadLogins {
    /// Returns the user with this id.
    async fn user(&self, id: UserId) -> Result<Option<User>>;

    /// Returns at most `limit` users, by name in lower case, after this name.
    async fn users(&self, after: Option<&str>, limit: u32) -> Result<Vec<User>>;

    /// Returns a participant's role, even if the user is disabled. For changes of the participant,
    /// not for authorization.
    async fn role_of_participant(&self, workspace: WorkspaceId, user: UserId) -> Result<Option<Role>>;

    /// Returns the user with this name (case-insensitive).
    async fn user_by_name(&self, name: &str) -> Result<Option<User>>;

    /// Returns the user with this e-mail address (case-insensitive).
    async fn user_by_email(&self, email: &str) -> Result<Option<User>>;

    /// Returns all logins of an issuer, with their users.
    async fn logins(&self, issuer: &str) -> Result<Vec<(Login, UserId)>>;

    /// Returns the user's tokens, by name.
    async fn tokens(&self, user: UserId) -> Result<Vec<StoredToken>>;

    /// Returns the organization with this name (case-insensitive).
    async fn organization_by_name(&self, name: &str) -> Result<Option<Organization>>;

    /// Returns the organization's workspace with this name (case-insensitive).
    async fn workspace_by_name(&self, org: OrgId, name: &str) -> Result<Option<Workspace>>;

    /// Returns the user's workspaces, with the role in each, by id.
    async fn memberships(&self, user: UserId) -> Result<Vec<(Workspace, Role)>>;

    /// Returns the participants of a workspace, by id.
    async fn participants(&self, workspace: WorkspaceId) -> Result<Vec<(User, Role)>>;
}

/// Changes users, workspaces, participants and tokens.
#[async_trait(?Send)]
pub trait ChangeIdentity: ReadIdentity {
    /// Makes all changes, with their audit records, or none. Accepts at most [`MAX_ROWS`] rows,
    /// counted by [`Change::rows`].
    ///
    /// Returns [`Error::NotFound`](crate::Error::NotFound) if `required` no longer holds. Returns
    /// [`Error::Contended`](crate::Error::Contended) if another fact on which a change was decided
    /// no longer holds: read and decide again. Returns [`Error::Conflict`](crate::Error::Conflict)
    /// if a workspace would lose its last owner.
    async fn change_identity(
        &self,
        changes: &[Change],
        audit: &[AuditRecord],
        required: Option<&RequiredMembership>,
    ) -> Result<()>;
}

/// Finds what was deleted and is not finished.
#[async_trait(?Send)]
pub trait FindRemoved {
    /// Returns the deleted workspaces and removed users of which something may be left, in any
    /// order.
    async fn removed(&self) -> Result<Vec<Removed>>;
}

/// Finishes deletions.
#[async_trait(?Send)]
pub trait FinishRemovals: FindRemoved + ListLiveRuns + Reconcile {
    /// Returns the secrets of a scope without authorization. For owners that were removed.
    async fn stored_secrets(&self, owner: SecretOwner) -> Result<Vec<Secret>>;

    /// Removes the scope from [`removed`](FindRemoved::removed). Safe to repeat.
    async fn forget_removed(&self, scope: SecretOwner) -> Result<()>;
}

/// Repeats changes in a restored table.
#[async_trait(?Send)]
pub trait Reconcile: ChangeIdentity + ReadTokens + ChangeEnvironments {
    /// Returns a secret without authorization. For operators.
    async fn stored_secret(&self, owner: SecretOwner, id: SecretId) -> Result<Option<Secret>>;

    /// Returns the workspace with this id.
    async fn workspace(&self, id: WorkspaceId) -> Result<Option<Workspace>>;

    /// Deletes this version of the secret without authorization. Errors as in
    /// [`DeleteSecrets::delete_secret`](super::DeleteSecrets::delete_secret).
    async fn delete_secret_unscoped(&self, secret: &Secret, audit: &AuditRecord) -> Result<()>;

    /// Replaces `secret` with `lost`, a later version whose value is not available, and deletes the
    /// older value. Errors as in
    /// [`UpdateSecrets::update_secret`](super::UpdateSecrets::update_secret).
    async fn mark_value_lost(&self, secret: &Secret, lost: &Secret, audit: &AuditRecord) -> Result<()>;
}
