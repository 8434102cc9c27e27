//! What the logged audit trail says was taken away: read from its lines, order set aside, the strictest reading kept.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use crate::audit::AuditAction;
use crate::ids::{SecretId, TokenId, UserId, WorkspaceId};
use crate::owner::SecretOwner;
use crate::platform::Platform;
use crate::role::Role;
use crate::{Error, Result};

/// Lines in one call, at most: what the function does within its time, with room to spare.
pub const MAX_LINES: usize = 2_000;

/// What became of secrets, tokens, roles and platforms.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trail {
    /// Secrets that were deleted.
    pub(super) deleted: BTreeSet<(SecretOwner, SecretId)>,
    /// The newest version of each secret that was written.
    pub(super) written: BTreeMap<(SecretOwner, SecretId), u64>,
    /// Tokens that were revoked.
    pub(super) revoked: BTreeSet<TokenId>,
    /// The last word on somebody's role in a workspace; `None` for none.
    pub(super) roles: BTreeMap<(WorkspaceId, UserId), (Timestamp, Option<Role>)>,
    /// The last word on the platforms of a workspace.
    pub(super) platforms: BTreeMap<WorkspaceId, (Timestamp, Vec<Platform>)>,
}

impl Trail {
    /// Reads the lines as the functions log them. [`Error::Invalid`] names the first that is none of the audit trail or
    /// that this version does not understand: passing one over could leave a right that was taken away.
    pub fn parse(lines: &[Value]) -> Result<Self> {
        if lines.len() > MAX_LINES {
            return Err(Error::Invalid(format!(
                "events has {} lines, and one call takes at most {MAX_LINES}: send them in several.",
                lines.len()
            )));
        }
        let mut trail = Self::default();
        for (index, line) in lines.iter().enumerate() {
            let line = line.as_str().and_then(|line| serde_json::from_str(line).ok()).unwrap_or(Value::Null);
            trail.take(&line).ok_or_else(|| {
                Error::Invalid(format!(
                    "events[{index}] is no line of the audit trail that this version understands."
                ))
            })?;
        }
        Ok(trail)
    }

    fn take(&mut self, line: &Value) -> Option<()> {
        let text = |name: &str| line.get(name)?.as_str();
        let action = text("action").filter(|_| text("message") == Some("audit"))?;
        let action = *AuditAction::ALL.iter().find(|known| known.as_str() == action)?;
        let at: Timestamp = text("audit.at")?.parse().ok()?;
        let scope: SecretOwner = text("scope")?.parse().ok()?;
        match action {
            AuditAction::SecretCreated | AuditAction::SecretUpdated => {
                for (id, version) in subjects(text("subjects")?)? {
                    let newest = self.written.entry((scope, id)).or_default();
                    *newest = version.max(*newest);
                }
            }
            AuditAction::SecretDeleted => {
                self.deleted.extend(subjects(text("subjects")?)?.into_iter().map(|(id, _)| (scope, id)));
            }
            AuditAction::TokenRevoked => {
                self.revoked.insert(text("detail")?.strip_prefix("token ")?.parse().ok()?);
            }
            AuditAction::ParticipantSet | AuditAction::ParticipantRemoved => {
                let SecretOwner::Workspace(workspace) = scope else {
                    return None;
                };
                let role = match action {
                    AuditAction::ParticipantSet => Some(text("detail")?.parse().ok()?),
                    _ => None,
                };
                let person = text("person")?.parse().ok()?;
                keep_latest(self.roles.entry((workspace, person)).or_insert((at, role)), at, role);
            }
            AuditAction::WorkspacePlatformsChanged => {
                let SecretOwner::Workspace(workspace) = scope else {
                    return None;
                };
                let names = text("detail").filter(|names| *names != "none").unwrap_or_default();
                let names = names.split(", ").filter(|name| !name.is_empty());
                let platforms: Vec<Platform> = names.map(str::parse).collect::<Result<_>>().ok()?;
                let known = self.platforms.entry(workspace).or_insert_with(|| (at, platforms.clone()));
                keep_latest(known, at, platforms);
            }
            // What was given or made since has to be given or made again; runs are not entered again.
            AuditAction::UserCreated
            | AuditAction::TokenCreated
            | AuditAction::WorkspaceCreated
            | AuditAction::RunLaunched
            | AuditAction::RunRepinned
            | AuditAction::RunTokensRenewed
            | AuditAction::RunClaimed
            | AuditAction::RunHeadJobRecorded
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

/// `7@3,8@1`: ids with versions.
fn subjects(text: &str) -> Option<Vec<(SecretId, u64)>> {
    let subject = |one: &str| {
        let (id, version) = one.split_once('@')?;
        Some((id.parse().ok()?, version.parse().ok()?))
    };
    text.split(',').filter(|one| !one.is_empty()).map(subject).collect()
}

#[cfg(test)]
mod tests;
