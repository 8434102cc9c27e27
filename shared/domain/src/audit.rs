//! The audit trail: who did what to which secrets, written in the same transaction as the deed. No audit, no change.

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

/// One request's entry in the trail of a scope.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRecord {
    /// Whose trail.
    pub scope: SecretOwner,
    /// When.
    pub at: Timestamp,
    /// Tells entries of the same instant apart.
    pub id: String,
    /// Who; `None` where the service itself acted.
    pub actor: Option<UserId>,
    /// What.
    pub action: AuditAction,
    /// On which secrets, with the version before or after: see [`AuditAction`].
    #[serde(default)]
    pub subjects: Vec<Subject>,
    /// For which run.
    pub run: Option<RunId>,
    /// The user concerned, if any.
    pub person: Option<UserId>,
    /// What else there is to say, in fixed words: a role, a result.
    pub detail: Option<String>,
}

/// A secret in an audit record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// Whose it is.
    pub owner: SecretOwner,
    /// Its id.
    pub id: SecretId,
    /// Its name.
    pub name: SecretName,
    /// The version made, removed or opened.
    pub version: u64,
    /// The workspace's secret that it took the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<SecretId>,
}

impl AuditRecord {
    /// An entry about a scope, with nothing but who, when and what.
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

    /// What a caller did to secrets of a scope.
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
    /// A secret at its version.
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
    /// What was done.
    "action" pub enum AuditAction {
        /// A secret was created.
        SecretCreated = "secret.created",
        /// A secret got a new value.
        SecretUpdated = "secret.updated",
        /// A secret was deleted.
        SecretDeleted = "secret.deleted",
        /// A run was launched: its values may be opened from here on.
        RunLaunched = "run.launched",
        /// A value was rotated during a launch; the run gets this version.
        RunRepinned = "run.repinned",
        /// A launch was repeated with its idempotency key: new tokens.
        RunTokensRenewed = "run.tokens-renewed",
        /// A claim token was used: the store may be handed over from here on.
        RunClaimed = "run.claimed",
        /// A head job was recorded.
        RunHeadJobRecorded = "run.head-job-recorded",
        /// A run is over; its copies are being removed.
        RunEnding = "run.ending",
        /// Nothing of a run is left.
        RunEnded = "run.ended",
        /// A user was declared.
        UserCreated = "user.created",
        /// A token was made.
        TokenCreated = "token.created",
        /// A token was revoked.
        TokenRevoked = "token.revoked",
        /// A workspace was made.
        WorkspaceCreated = "workspace.created",
        /// The platforms that a workspace allows were changed.
        WorkspacePlatformsChanged = "workspace.platforms-changed",
        /// Someone joined a workspace, or got another role.
        ParticipantSet = "participant.set",
        /// Someone left a workspace.
        ParticipantRemoved = "participant.removed",
    }
}

#[cfg(test)]
mod tests;
