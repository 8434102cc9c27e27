//! The audit records of a run.

use super::{Event, Lifecycle, PinnedSecret, Run, RunResult, State};
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
pub(super) fn ending_audit_action(before: State, after: &Lifecycle) -> Option<AuditAction> {
    let cancelled = after.outcome.as_ref().is_some_and(|outcome| outcome.result == RunResult::Cancelled);
    match (before, after.state) {
        (before, State::Ending | State::Ended) if before.is_live() && cancelled => {
            Some(AuditAction::RunCancelled)
        }
        (State::Ended, _) => None,
        (_, State::Ended) => Some(AuditAction::RunEnded),
        (before, State::Ending) if before.is_live() => Some(AuditAction::RunEnding),
        _ => None,
    }
}

impl Run {
    /// Returns an audit record about the run, with its secrets. The launcher is the actor of
    /// launches and claims, the user who cancelled it of its cancellation, and the service of
    /// everything else.
    #[must_use]
    pub fn audit_record(&self, action: AuditAction, context: &Context<'_>) -> AuditRecord {
        let actor = match action {
            AuditAction::RunLaunched
            | AuditAction::RunRepinned
            | AuditAction::RunTokensRenewed
            | AuditAction::RunClaimed => Some(self.user),
            AuditAction::RunCancelled => {
                self.lifecycle.outcome.as_ref().and_then(|outcome| outcome.cancelled_by)
            }
            _ => None,
        };
        let launched_in = self.target.environment().filter(|_| action == AuditAction::RunLaunched);
        AuditRecord {
            detail: launched_in.map(ToString::to_string),
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
