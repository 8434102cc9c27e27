//! Users, workspaces, participants and tokens: what operators declare, and what people do themselves over HTTP.

pub mod apply;
pub mod describe;
pub mod document;
pub mod participants;
mod plan;
pub mod tokens;

use jiff::Timestamp;

use crate::audit::{AuditAction, AuditRecord};
use crate::ids::{TokenId, UserId};
use crate::owner::SecretOwner;
use crate::ports::Randomness;
use crate::settings::Settings;

/// What changes of identity need from outside.
pub struct Ports<'a, Store, Rng, Wait> {
    /// The table.
    pub store: &'a Store,
    /// Randomness.
    pub randomness: &'a Rng,
    /// Time to repeat in.
    pub pace: &'a Wait,
    /// The deployment's choices.
    pub settings: &'a Settings,
}

/// Who did something, and when.
#[derive(Clone, Copy)]
pub(crate) struct Deed {
    /// `None` for an operator, who is known to IAM and not here.
    pub(crate) actor: Option<UserId>,
    /// When.
    pub(crate) at: Timestamp,
}

/// An entry for the audit trail of a user or a workspace.
pub(crate) fn record(
    scope: SecretOwner,
    deed: Deed,
    action: AuditAction,
    randomness: &impl Randomness,
) -> AuditRecord {
    AuditRecord {
        scope,
        at: deed.at,
        // Tells two entries of one scope and millisecond apart.
        id: TokenId::make_random(randomness).to_string(),
        actor: deed.actor,
        action,
        subjects: Vec::new(),
        run: None,
        person: None,
        detail: None,
    }
}
