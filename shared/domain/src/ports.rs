//! Everything the domain asks of the outside, one trait per right.
//!
//! The traits are cut as the IAM policies are: a use case that may not decrypt cannot name [`DecryptDataKey`], and one
//! that only reads cannot name a writing trait. Every read that decides something is strongly consistent. Every write
//! is one transaction with its audit record. Adapters retry what AWS calls retryable within their time limits; what
//! remains is [`Error::Unavailable`](crate::Error::Unavailable), or
//! [`Error::Contended`](crate::Error::Contended) for a transaction that met another one, which a use case may repeat.

use async_trait::async_trait;
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::Result;
use crate::audit::AuditRecord;
use crate::copies::{CopyTags, RunCopy};
use crate::envelope::{DataKey, EncryptionContext, PlainDataKey};
use crate::idempotency::{Idempotency, Remembered};
use crate::identity::{Change, Login, Organization, Standing, StoredToken, User, Vouched, Workspace};
use crate::ids::{OrgId, RunId, SecretId, TokenId, UserId, WorkspaceId};
use crate::name::SecretName;
use crate::names::names;
use crate::owner::{Scope, SecretOwner};
use crate::role::Role;
use crate::run::{HeadJob, Life, Run, Sighting, State};
use crate::secret::{OldVersion, SealedValue, Secret};

pub use crate::context::{Backoff, Randomness};

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
    async fn touch_token(&self, id: TokenId, at: Timestamp) -> Result<()>;
}

/// Reading secrets without their values.
#[async_trait(?Send)]
pub trait ReadSecrets {
    /// Every secret of the scope, by name.
    async fn secrets(&self, scope: &Scope) -> Result<Vec<Secret>>;

    /// One secret.
    async fn secret(&self, scope: &Scope, id: SecretId) -> Result<Option<Secret>>;

    /// Whether the name, in any case, is taken.
    async fn is_name_taken(&self, scope: &Scope, name: &SecretName) -> Result<bool>;

    /// The replaced versions of a secret, newest first; at most 1,000.
    async fn history(&self, scope: &Scope, id: SecretId) -> Result<Vec<OldVersion>>;
}

/// What became of a creation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Created {
    /// It took effect.
    Done,
    /// The idempotency key is known: nothing was changed.
    Known(Remembered),
}

/// Writing secrets. Each write is one transaction with its audit record and a check that the scope's membership still
/// holds; where it does not, [`Error::NotFound`](crate::Error::NotFound), and nothing is changed.
#[async_trait(?Send)]
pub trait WriteSecrets {
    /// Creates secrets, all or none: each put only if id and name are free, their number added to the scope's under
    /// `< 1000`. [`Error::AlreadyExists`](crate::Error::AlreadyExists) names the first name taken;
    /// [`Error::LimitExceeded`](crate::Error::LimitExceeded) where the scope is full.
    async fn create_secrets(
        &self,
        scope: &Scope,
        secrets: &[(Secret, SealedValue)],
        idempotency: Option<&Idempotency>,
        audit: &AuditRecord,
    ) -> Result<Created>;

    /// Writes a new version over version `secret.version - 1` and notes that one in the history.
    /// [`Error::VersionConflict`](crate::Error::VersionConflict) where that is not the current one,
    /// [`Error::NotFound`](crate::Error::NotFound) where the secret is gone.
    async fn update_secret(
        &self,
        scope: &Scope,
        secret: &Secret,
        sealed: &SealedValue,
        replaced: &OldVersion,
        audit: &AuditRecord,
    ) -> Result<()>;

    /// Deletes this version of the secret, its value and its name guard. Errors as in
    /// [`update_secret`](Self::update_secret).
    async fn delete_secret(&self, scope: &Scope, secret: &Secret, audit: &AuditRecord) -> Result<()>;
}

/// Making new data keys. Whoever holds this right alone can seal and never open.
#[async_trait(?Send)]
pub trait GenerateDataKey {
    /// A fresh data key under the envelope key and this context.
    async fn generate_data_key(&self, context: &EncryptionContext) -> Result<DataKey>;
}

/// Decrypting data keys.
#[async_trait(?Send)]
pub trait DecryptDataKey {
    /// The data key in clear. [`Error::EnvelopeRefused`](crate::Error::EnvelopeRefused) where KMS says that bytes,
    /// context or key do not belong together.
    async fn decrypt_data_key(&self, encrypted: &[u8], context: &EncryptionContext) -> Result<PlainDataKey>;
}

/// Reading sealed values.
#[async_trait(?Send)]
pub trait ReadSealedValues {
    /// The current sealed values of these secrets, in any order; those that are gone are missing.
    async fn sealed_values(&self, secrets: &[(SecretOwner, SecretId)]) -> Result<Vec<SealedValue>>;

    /// These secrets as they are now, without their values, in any order; those that are gone are missing. For whoever
    /// was already authorized, by a launch, to have just these delivered.
    async fn current_secrets(&self, secrets: &[(SecretOwner, SecretId)]) -> Result<Vec<Secret>>;
}

/// Reading the audit trail.
#[async_trait(?Send)]
pub trait ReadAudit {
    /// The trail of the scope in one month (UTC, `yyyy-mm`; another form is [`Error::Invalid`](crate::Error::Invalid)),
    /// newest first, at most `limit` records.
    async fn audit(&self, scope: &Scope, month: &str, limit: u32) -> Result<Vec<AuditRecord>>;
}

/// Reading runs.
#[async_trait(?Send)]
pub trait ReadRuns {
    /// The run of this id.
    async fn run(&self, id: &RunId) -> Result<Option<Run>>;
}

/// Listing runs.
#[async_trait(?Send)]
pub trait ListRuns {
    /// A page of the scope's runs, newest first, only those in `state` where one is named. Indexes lag: for people,
    /// never for decisions.
    async fn runs(
        &self,
        scope: &Scope,
        state: Option<State>,
        limit: u32,
        after: Option<&RunId>,
    ) -> Result<Vec<Run>>;
}

/// Changing the life of a run.
#[async_trait(?Send)]
pub trait SaveRuns: ReadRuns {
    /// Writes a run's life over revision `life.revision - 1`, with its audit records in the same transaction.
    /// [`Error::VersionConflict`](crate::Error::VersionConflict) where another writer was first.
    async fn save_life(&self, run: &Run, life: &Life, audit: Option<&AuditRecord>) -> Result<()>;
}

/// Writing the intent of a launch.
#[async_trait(?Send)]
pub trait LaunchRuns: SaveRuns {
    /// What is remembered under a caller's idempotency key and has not expired.
    async fn recall(&self, idempotency: &Idempotency, now: Timestamp) -> Result<Option<Remembered>>;

    /// Writes the intent: run, idempotency key and audit record, or nothing. The key's row replaces one that has
    /// expired, or the one that stands for `replaces`. [`Created::Known`] where another request was first;
    /// [`Error::Contended`](crate::Error::Contended) where the run's id is taken.
    async fn begin_run(
        &self,
        run: &Run,
        idempotency: Option<&Idempotency>,
        replaces: Option<&RunId>,
        audit: &AuditRecord,
    ) -> Result<Created>;
}

/// Recording head jobs, and finding runs by them.
#[async_trait(?Send)]
pub trait HeadJobs: SaveRuns {
    /// Writes the life and the head job's own row, put only if absent.
    /// [`Error::Conflict`](crate::Error::Conflict) where the job is another run's;
    /// [`Error::VersionConflict`](crate::Error::VersionConflict) as in [`SaveRuns::save_life`].
    async fn record_head_job(&self, run: &Run, life: &Life, job: &HeadJob, audit: &AuditRecord)
    -> Result<()>;
}

/// Finding what has to be cleaned up.
#[async_trait(?Send)]
pub trait FindDueRuns: SaveRuns {
    /// Runs that are due, nominated by an index that lags; at most `limit`, the longest due first in each shard.
    async fn due_runs(&self, now: Timestamp, limit: u32) -> Result<Vec<RunId>>;

    /// The run whose recorded head job this is.
    async fn run_of_head_job(&self, region: &str, job_id: &str) -> Result<Option<RunId>>;

    /// Notes that a run was given these secrets. Not audited; secrets that are gone are passed over.
    async fn note_use(&self, owner: SecretOwner, secret: SecretId, at: Timestamp) -> Result<()>;
}

/// Making copies in the target.
#[async_trait(?Send)]
pub trait CreateCopies {
    /// Creates a copy with its tags and gives its ARN. Repeats within the call carry one client request token, so that
    /// a lost answer is found again; a copy of this name that is not that one is
    /// [`Error::Conflict`](crate::Error::Conflict).
    async fn create_copy(&self, copy: &RunCopy, body: Zeroizing<String>, tags: &CopyTags) -> Result<String>;
}

/// What stands under a copy's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CopySighting {
    /// Nothing.
    Gone,
    /// A secret with these tags.
    Found {
        /// Its deployment tag, where it has one.
        deployment: Option<String>,
        /// Its run tag, where it has one.
        run: Option<String>,
    },
}

/// A copy met in the target by its tags.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoundCopy {
    /// Its name.
    pub name: String,
    /// Its run tag.
    pub run: Option<String>,
    /// Its latest end.
    pub not_after: Option<Timestamp>,
}

/// Looking for copies and removing them. Nothing here can read one.
#[async_trait(?Send)]
pub trait RemoveCopies {
    /// What stands under this name.
    async fn describe_copy(&self, name: &str) -> Result<CopySighting>;

    /// Deletes at once what stands under this name, provided that it carries our deployment's tag. It is gone only when
    /// [`describe_copy`](Self::describe_copy) says so.
    async fn delete_copy(&self, name: &str) -> Result<()>;

    /// Every secret whose deployment tag is exactly this.
    async fn list_copies(&self, deployment: &str) -> Result<Vec<FoundCopy>>;
}

/// Asking AWS Batch about a job.
#[async_trait(?Send)]
pub trait ObserveJobs {
    /// What DescribeJobs says of the job, and its queue's ARN where it is known.
    async fn observe_job(&self, job_id: &str) -> Result<(Sighting, Option<String>)>;
}

names! {
    /// Something happened to a run: a hint for cleanup-run, under the name of its event. A lost one costs time only, for
    /// the sweep finds what it leaves.
    "detail type" pub enum RunNotice {
        /// It was given its secrets.
        Delivered = "Run Delivered",
        /// It has to be looked at.
        Look = "Run Look",
    }
}

/// Announcing runs on the deployment's own event bus.
#[async_trait(?Send)]
pub trait AnnounceRuns {
    /// Puts an event that names the run, and nothing else.
    async fn announce(&self, run: &RunId, notice: RunNotice) -> Result<()>;
}

// Identity: who is known, and who belongs where.

/// Checking JSON Web Tokens.
#[async_trait(?Send)]
pub trait VerifyJwt {
    /// Whom the issuer vouches for; `None` where the token is refused, for whatever reason. An error only where the
    /// issuer's keys could not be had.
    async fn verify_jwt(&self, token: &str, now: Timestamp) -> Result<Option<Vouched>>;
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
    /// [`Error::NotFound`](crate::Error::NotFound) where `standing` no longer holds;
    /// [`Error::Contended`](crate::Error::Contended) where something else that a change was decided on is no longer so:
    /// read and decide again; [`Error::Conflict`](crate::Error::Conflict) where a workspace would have no owner.
    async fn change_identity(
        &self,
        changes: &[Change],
        audit: &[AuditRecord],
        standing: Option<&Standing>,
    ) -> Result<()>;
}

/// Repeating in a restored table what it has forgotten.
#[async_trait(?Send)]
pub trait Reconcile: ChangeIdentity + ReadTokens {
    /// The secret, whoever asks: for operators.
    async fn stored_secret(&self, owner: SecretOwner, id: SecretId) -> Result<Option<Secret>>;

    /// The workspace of this id.
    async fn workspace(&self, id: WorkspaceId) -> Result<Option<Workspace>>;

    /// Deletes this version of the secret, as [`WriteSecrets::delete_secret`] does.
    async fn bury_secret(&self, secret: &Secret, audit: &AuditRecord) -> Result<()>;

    /// Writes `lost` over `secret`, a later version whose value nobody has: the older value goes. Errors as in
    /// [`WriteSecrets::update_secret`].
    async fn outdate_secret(&self, secret: &Secret, lost: &Secret, audit: &AuditRecord) -> Result<()>;
}

/// Rows that one transaction of changes may take: 100 are DynamoDB's limit, of which one checks the standing.
pub const MAX_ROWS: usize = 99;

/// Gives sets of ports a name, so that a use case can hold one object that has them all.
macro_rules! stores {
    ($($(#[$doc:meta])* $name:ident: $first:ident $(+ $more:ident)*;)*) => {
        $(
            $(#[$doc])*
            pub trait $name: $first $(+ $more)* {}
            impl<T: $first $(+ $more)*> $name for T {}
        )*
    };
}

stores! {
    /// What the authorizer asks of the table.
    AuthenticationStore: ReadTokens + ReadLogins;
    /// What identity asks of the table.
    IdentityStore: Reconcile + RegisterLogins;
    /// What reading secrets asks of the table.
    SecretReader: ReadMembership + ReadSecrets + ReadAudit;
    /// What writing secrets asks of the table.
    SecretWriter: ReadMembership + ReadSecrets + WriteSecrets;
    /// What receipts ask of the table.
    RunReader: ReadMembership + ReadRuns + ListRuns;
    /// What a preview asks of the table.
    PreviewStore: ReadMembership + ReadSecrets;
    /// What a launch asks of the table.
    LaunchStore: PreviewStore + ReadSealedValues + LaunchRuns;
    /// What a claim asks of the table.
    ClaimStore: ReadMembership + ReadSealedValues + SaveRuns;
}
