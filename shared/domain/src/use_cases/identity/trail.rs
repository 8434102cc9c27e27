//! Parses the removals and restrictions in the logged audit trail. The order of lines does not
//! matter, and the strictest reading is used.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use crate::audit::{AuditAction, AuditLine};
use crate::environment::{CredentialsId, EnvironmentId};
use crate::ids::{SecretId, TokenId, UserId, WorkspaceId};
use crate::owner::SecretOwner;
use crate::platform::Platform;
use crate::role::Role;
use crate::{Error, Result};

/// The maximum number of lines in one call: what the function can process in time, with a margin.
pub const MAX_LINES: usize = 2_000;

/// The changes of secrets, tokens, roles and platforms in the trail.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trail {
    /// Secrets that were deleted.
    pub(super) deleted: BTreeSet<(SecretOwner, SecretId)>,
    /// The newest version of each secret that was written.
    pub(super) written: BTreeMap<(SecretOwner, SecretId), u64>,
    /// Workspaces that were deleted.
    pub(super) workspaces_deleted: BTreeSet<WorkspaceId>,
    /// Users who were removed.
    pub(super) users_removed: BTreeSet<UserId>,
    /// Tokens that were revoked.
    pub(super) revoked: BTreeSet<TokenId>,
    /// Whether the latest change of a user's status disabled the user.
    pub(super) disabled: BTreeMap<UserId, (Timestamp, bool)>,
    /// The latest role of a user in a workspace; `None` if the user was removed.
    pub(super) roles: BTreeMap<(WorkspaceId, UserId), (Timestamp, Option<Role>)>,
    /// The latest platforms of a workspace.
    pub(super) platforms: BTreeMap<WorkspaceId, (Timestamp, Vec<Platform>)>,
    /// Compute environments that were deleted.
    pub(super) environments: BTreeSet<(WorkspaceId, EnvironmentId)>,
    /// Credentials of compute environments that were deleted.
    pub(super) credentials: BTreeSet<(WorkspaceId, CredentialsId)>,
}

impl Trail {
    /// Parses lines in the format that the functions log. [`Error::Invalid`] names the first line
    /// that is not an audit line or that this version does not understand: skipping it could leave
    /// a permission that was removed.
    pub fn parse(lines: &[Value]) -> Result<Self> {
        if lines.len() > MAX_LINES {
            return Err(Error::Invalid(format!(
                "events has {} lines, and one call accepts at most {MAX_LINES}: split them into several calls.",
                lines.len()
            )));
        }
        let mut trail = Self::default();
        for (index, line) in lines.iter().enumerate() {
            let line = line.as_str().and_then(AuditLine::parse);
            line.and_then(|line| trail.take(&line)).ok_or_else(|| {
                Error::Invalid(format!(
                    "events[{index}] is not an audit trail line that this version understands."
                ))
            })?;
        }
        Ok(trail)
    }

    fn take(&mut self, line: &AuditLine) -> Option<()> {
        let (scope, at, detail) = (line.scope, line.at, line.detail.as_deref());
        match line.action {
            AuditAction::SecretCreated | AuditAction::SecretUpdated => {
                for &(id, version) in &line.subjects {
                    let newest = self.written.entry((scope, id)).or_default();
                    *newest = version.max(*newest);
                }
            }
            AuditAction::SecretDeleted => {
                self.deleted.extend(line.subjects.iter().map(|&(id, _)| (scope, id)));
            }
            AuditAction::WorkspaceDeleted => {
                self.workspaces_deleted.insert(workspace_of(scope)?);
            }
            AuditAction::UserRemoved => {
                self.users_removed.insert(line.person?);
            }
            AuditAction::TokenRevoked => {
                self.revoked.insert(detail?.strip_prefix("token ")?.parse().ok()?);
            }
            AuditAction::UserDisabled | AuditAction::UserEnabled => {
                let disabled = line.action == AuditAction::UserDisabled;
                keep_latest(self.disabled.entry(line.person?).or_insert((at, disabled)), at, disabled);
            }
            AuditAction::ParticipantSet | AuditAction::ParticipantRemoved => {
                let role = match line.action {
                    AuditAction::ParticipantSet => Some(detail?.parse().ok()?),
                    _ => None,
                };
                let place = (workspace_of(scope)?, line.person?);
                keep_latest(self.roles.entry(place).or_insert((at, role)), at, role);
            }
            AuditAction::WorkspacePlatformsChanged => {
                let names = detail.filter(|names| *names != "none").unwrap_or_default();
                let names = names.split(", ").filter(|name| !name.is_empty());
                let platforms: Vec<Platform> = names.map(str::parse).collect::<Result<_>>().ok()?;
                let known =
                    self.platforms.entry(workspace_of(scope)?).or_insert_with(|| (at, platforms.clone()));
                keep_latest(known, at, platforms);
            }
            AuditAction::ComputeEnvDeleted => {
                let id = EnvironmentId::parse(id_after("compute environment ", detail?)?).ok()?;
                self.environments.insert((workspace_of(scope)?, id));
            }
            AuditAction::CredentialsDeleted => {
                let id = CredentialsId::parse(id_after("credentials ", detail?)?).ok()?;
                self.credentials.insert((workspace_of(scope)?, id));
            }
            // Grants and creations since the backup must be repeated by their owners. Runs are not
            // restored. A restored environment has the role of its last proof before the backup,
            // which still decides for itself whether it trusts the service.
            AuditAction::UserCreated
            | AuditAction::UserLoginAdded
            | AuditAction::TokenCreated
            | AuditAction::WorkspaceCreated
            | AuditAction::CredentialsCreated
            | AuditAction::CredentialsUpdated
            | AuditAction::ComputeEnvCreated
            | AuditAction::ComputeEnvUpdated
            | AuditAction::ComputeEnvChecked
            | AuditAction::RunLaunched
            | AuditAction::RunRepinned
            | AuditAction::RunTokensRenewed
            | AuditAction::RunClaimed
            | AuditAction::RunHeadJobRecorded
            | AuditAction::RunCancelled
            | AuditAction::RunEnding
            | AuditAction::RunEnded => {}
        }
        Some(())
    }
}

fn keep_latest<T>(known: &mut (Timestamp, T), at: Timestamp, value: T) {
    if at >= known.0 {
        *known = (at, value);
    }
}

/// The id in the detail of a record: the text up to the comma.
fn id_after<'a>(prefix: &str, detail: &'a str) -> Option<&'a str> {
    detail.strip_prefix(prefix)?.split(',').next()
}

fn workspace_of(scope: SecretOwner) -> Option<WorkspaceId> {
    match scope {
        SecretOwner::Workspace(workspace) => Some(workspace),
        SecretOwner::User(_) => None,
    }
}

#[cfg(test)]
mod tests;
