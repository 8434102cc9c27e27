//! The audit trail: each change of secrets, runs and identity, recorded in the same transaction as
//! the change.

mod line;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::ids::{RunId, SecretId, UserId};
use crate::name::SecretName;
use crate::names::names;
use crate::owner::{Scope, SecretOwner};
use crate::secret::Secret;

pub(crate) use self::line::AuditLine;

/// An entry in the audit trail of a scope.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRecord {
    /// The workspace or user whose trail this is.
    pub scope: SecretOwner,
    /// When the action happened.
    pub at: Timestamp,
    /// Distinguishes entries of the same instant.
    pub id: String,
    /// The user who acted; `None` for the service itself or an operator.
    pub actor: Option<UserId>,
    /// The action.
    pub action: AuditAction,
    /// The secrets concerned, with the version before or after: see [`AuditAction`].
    #[serde(default)]
    pub subjects: Vec<Subject>,
    /// The run concerned.
    pub run: Option<RunId>,
    /// The user concerned.
    pub person: Option<UserId>,
    /// More details, in fixed words: a role, a reason.
    pub detail: Option<String>,
}

/// A secret in an audit record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// The workspace or user that owns it.
    pub owner: SecretOwner,
    /// Its id.
    pub id: SecretId,
    /// Its name.
    pub name: SecretName,
    /// The version that was created, deleted or opened.
    pub version: u64,
    /// The workspace secret that it overrides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<SecretId>,
}

impl AuditRecord {
    /// Creates an entry with a scope, an actor and an action only.
    pub(crate) fn new(
        scope: SecretOwner,
        actor: Option<UserId>,
        action: AuditAction,
        context: &Context<'_>,
    ) -> Self {
        Self {
            scope,
            at: context.now,
            id: SecretId::make_random(context.randomness).to_string(),
            actor,
            action,
            subjects: Vec::new(),
            run: None,
            person: None,
            detail: None,
        }
    }

    /// Creates an entry about secrets of a scope.
    pub(crate) fn of_secrets<'a>(
        scope: &Scope,
        action: AuditAction,
        secrets: impl IntoIterator<Item = &'a Secret>,
        context: &Context<'_>,
    ) -> Self {
        let subjects = secrets.into_iter().map(Subject::of).collect();
        Self { subjects, ..Self::new(scope.owner(), Some(scope.actor()), action, context) }
    }
}

impl Subject {
    /// Returns the secret at its current version.
    #[must_use]
    pub fn of(secret: &Secret) -> Self {
        Self {
            owner: secret.owner,
            id: secret.id,
            name: secret.name.clone(),
            version: secret.version,
            overrides: None,
        }
    }
}

names! {
    /// An audited action.
    "action" pub enum AuditAction {
        /// A secret was created.
        SecretCreated = "secret.created",
        /// A secret got a new value.
        SecretUpdated = "secret.updated",
        /// A secret was deleted.
        SecretDeleted = "secret.deleted",
        /// A run was launched. From here on its values may be opened.
        RunLaunched = "run.launched",
        /// A value was updated during a launch. The run gets the new version.
        RunRepinned = "run.repinned",
        /// A launch was replayed with its idempotency key. The run has new tokens.
        RunTokensRenewed = "run.tokens-renewed",
        /// A claim token was used. From here on the values may be delivered.
        RunClaimed = "run.claimed",
        /// A head job was recorded.
        RunHeadJobRecorded = "run.head-job-recorded",
        /// A user ended a run. Its copies are being deleted.
        RunCancelled = "run.cancelled",
        /// A run has ended. Its copies are being deleted.
        RunEnding = "run.ending",
        /// A run is cleaned up: no copies are left.
        RunEnded = "run.ended",
        /// A user was created.
        UserCreated = "user.created",
        /// A login was added to a user.
        UserLoginAdded = "user.login-added",
        /// A user was disabled.
        UserDisabled = "user.disabled",
        /// A disabled user was enabled.
        UserEnabled = "user.enabled",
        /// A user was removed.
        UserRemoved = "user.removed",
        /// A token was created.
        TokenCreated = "token.created",
        /// A token was revoked.
        TokenRevoked = "token.revoked",
        /// A workspace was created.
        WorkspaceCreated = "workspace.created",
        /// A workspace was deleted, with its participants.
        WorkspaceDeleted = "workspace.deleted",
        /// The allowed platforms of a workspace changed.
        WorkspacePlatformsChanged = "workspace.platforms-changed",
        /// A participant was added, or its role changed.
        ParticipantSet = "participant.set",
        /// A participant was removed.
        ParticipantRemoved = "participant.removed",
        /// Credentials of compute environments were created.
        CredentialsCreated = "credentials.created",
        /// Name, description or role of credentials changed.
        CredentialsUpdated = "credentials.updated",
        /// Credentials were deleted.
        CredentialsDeleted = "credentials.deleted",
        /// A compute environment was created. From here on, values may be sent to its account.
        ComputeEnvCreated = "compute-env.created",
        /// Name, description or credentials of a compute environment changed.
        ComputeEnvUpdated = "compute-env.updated",
        /// The role of a compute environment was checked.
        ComputeEnvChecked = "compute-env.checked",
        /// A compute environment was deleted.
        ComputeEnvDeleted = "compute-env.deleted",
    }
}

#[cfg(test)]
mod tests;
