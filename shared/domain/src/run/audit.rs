//! The audit records of a run.

use super::{Event, PinnedSecret, Run, State};
use crate::audit::{AuditAction, AuditRecord, Subject};
use crate::context::Context;

/// The audit action of a step in a run's lifecycle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StepAudit {
    /// The action.
    pub action: AuditAction,
    /// The reason, if the action alone does not show it.
    pub detail: Option<&'static str>,
}

impl Event {
    /// Returns the audit action of an event that has one in every state.
    pub(super) fn audit_action(&self) -> Option<AuditAction> {
        match self {
            Self::Repinned(_) => Some(AuditAction::RunRepinned),
            Self::TokensRenewed { .. } => Some(AuditAction::RunTokensRenewed),
            Self::Claimed(_) => Some(AuditAction::RunClaimed),
            Self::HeadJobRecorded(_) => Some(AuditAction::RunHeadJobRecorded),
            _ => None,
        }
    }
}

/// Returns the audit action of a transition to an end state, whatever the event.
pub(super) fn ending_audit_action(before: State, after: State) -> Option<AuditAction> {
    match (before, after) {
        (State::Ended, _) => None,
        (_, State::Ended) => Some(AuditAction::RunEnded),
        (before, State::Ending) if before.is_live() => Some(AuditAction::RunEnding),
        _ => None,
    }
}

impl Run {
    /// Returns an audit record about the run, with its secrets. The launcher is the actor of
    /// launches and claims, the service of everything else.
    #[must_use]
    pub fn audit_record(&self, action: AuditAction, context: &Context<'_>) -> AuditRecord {
        let by_launcher = matches!(
            action,
            AuditAction::RunLaunched
                | AuditAction::RunRepinned
                | AuditAction::RunTokensRenewed
                | AuditAction::RunClaimed
        );
        let actor = by_launcher.then_some(self.user);
        AuditRecord {
            subjects: self.lifecycle.secrets.iter().map(PinnedSecret::subject).collect(),
            run: Some(self.id.clone()),
            ..AuditRecord::new(self.scope(), actor, action, context)
        }
    }
}

impl PinnedSecret {
    fn subject(&self) -> Subject {
        Subject {
            owner: self.owner,
            id: self.id,
            name: self.name.clone(),
            version: self.version,
            overrides: self.overrides,
        }
    }
}
