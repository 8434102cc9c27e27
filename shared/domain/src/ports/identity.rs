//! Users, workspaces, who belongs where, and tokens.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::Result;
use crate::audit::AuditRecord;
use crate::identity::{
    Change, Login, Organization, RequiredMembership, StoredToken, User, VerifiedLogin, Workspace,
};
use crate::ids::{OrgId, SecretId, TokenId, UserId, WorkspaceId};
use crate::owner::SecretOwner;
use crate::role::Role;
use crate::secret::Secret;

/// Reading who belongs where.
#[async_trait(?Send)]
pub trait ReadMembership {
    /// The user's role in the workspace; `None` where there is no such workspace or no such membership, and the same
    /// call is made for both.
    async fn role(&self, workspace: WorkspaceId, user: UserId) -> Result<Option<Role>>;

    /// The role together with the workspace, in one call.
    async fn role_and_workspace(
        &self,
        workspace: WorkspaceId,
        user: UserId,
    ) -> Result<Option<(Role, Workspace)>>;
}

/// Reading personal access tokens.
#[async_trait(?Send)]
pub trait ReadTokens {
    /// The stored token of this id.
    async fn token(&self, id: TokenId) -> Result<Option<StoredToken>>;

    /// Notes that the token was presented. Not audited, may be lost.
    async fn record_token_use(&self, id: TokenId, at: Timestamp) -> Result<()>;
}

/// Checking JSON Web Tokens.
#[async_trait(?Send)]
pub trait VerifyJwt {
    /// The login that the issuer vouches for; `None` where the token is refused, for whatever reason. An error only where the
    /// issuer's keys could not be had.
    async fn verify_jwt(&self, token: &str, now: Timestamp) -> Result<Option<VerifiedLogin>>;
}

/// Reading the users of logins.
#[async_trait(?Send)]
pub trait ReadLogins {
    /// The user of this login.
    async fn user_of_login(&self, login: &Login) -> Result<Option<UserId>>;
}

/// Registering logins.
#[async_trait(?Send)]
pub trait RegisterLogins: ReadLogins {
    /// Whether a user has this e-mail address, in any case.
    async fn is_email_taken(&self, email: &str) -> Result<bool>;

    /// Writes a user on first sight, with the login, or nothing: [`Error::Contended`](crate::Error::Contended) where
    /// id, login, name or e-mail address are taken.
    async fn register_login(&self, user: &User, login: &Login, audit: &AuditRecord) -> Result<()>;
}

/// Reading users, workspaces and who belongs where. Every read is strongly consistent.
#[async_trait(?Send)]
pub trait ReadIdentity: ReadMembership {
    /// The user of this id.
    async fn user(&self, id: UserId) -> Result<Option<User>>;

    /// The user of this name, in any case.
    async fn user_by_name(&self, name: &str) -> Result<Option<User>>;

    /// The user of this e-mail address, in any case.
    async fn user_by_email(&self, email: &str) -> Result<Option<User>>;

    /// The user's tokens, by name.
    async fn tokens(&self, user: UserId) -> Result<Vec<StoredToken>>;

    /// The organization of this name, in any case.
    async fn organization_by_name(&self, name: &str) -> Result<Option<Organization>>;

    /// The organization's workspace of this name, in any case.
    async fn workspace_by_name(&self, org: OrgId, name: &str) -> Result<Option<Workspace>>;

    /// The workspaces that the user takes part in, with the role in each, by id.
    async fn memberships(&self, user: UserId) -> Result<Vec<(Workspace, Role)>>;

    /// The participants of a workspace, by id.
    async fn participants(&self, workspace: WorkspaceId) -> Result<Vec<(User, Role)>>;
}

/// Changing users, workspaces and who belongs where.
#[async_trait(?Send)]
pub trait ChangeIdentity: ReadIdentity {
    /// Makes all of the changes, with their audit records, or none: at most [`MAX_ROWS`] by [`Change::rows`].
    ///
    /// [`Error::NotFound`](crate::Error::NotFound) where `required` no longer holds;
    /// [`Error::Contended`](crate::Error::Contended) where something else that a change was decided on is no longer so:
    /// read and decide again; [`Error::Conflict`](crate::Error::Conflict) where a workspace would have no owner.
    async fn change_identity(
        &self,
        changes: &[Change],
        audit: &[AuditRecord],
        required: Option<&RequiredMembership>,
    ) -> Result<()>;
}

/// Repeating in a restored table what it has forgotten.
#[async_trait(?Send)]
pub trait Reconcile: ChangeIdentity + ReadTokens {
    /// The secret, whoever asks: for operators.
    async fn stored_secret(&self, owner: SecretOwner, id: SecretId) -> Result<Option<Secret>>;

    /// The workspace of this id.
    async fn workspace(&self, id: WorkspaceId) -> Result<Option<Workspace>>;

    /// Deletes this version of the secret, as [`WriteSecrets::delete_secret`](super::WriteSecrets::delete_secret) does.
    async fn delete_secret_unscoped(&self, secret: &Secret, audit: &AuditRecord) -> Result<()>;

    /// Writes `lost` over `secret`, a later version whose value nobody has: the older value goes. Errors as in
    /// [`WriteSecrets::update_secret`](super::WriteSecrets::update_secret).
    async fn mark_value_lost(&self, secret: &Secret, lost: &Secret, audit: &AuditRecord) -> Result<()>;
}

/// Rows that one transaction of changes may take: 100 are DynamoDB's limit, of which one checks the required membership.
pub const MAX_ROWS: usize = 99;
