//! Which secrets a run gets: a user secret overrides the workspace secret of the same name.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::name::SecretName;
use crate::platform::Platform;
use crate::run::PinnedSecret;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::{Error, Result};

/// Secrets in a launch, at most.
pub const MAX_IN_LAUNCH: usize = 64;

/// Reasons that a refusal gives, at most: a launch may name thousands of secrets that are not there.
const MAX_REASONS: usize = 20;

/// Which secrets of a scope a launch asks for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Selection {
    /// All of them.
    #[default]
    All,
    /// Exactly these; none for an empty list.
    These(BTreeSet<SecretName>),
}

impl Selection {
    fn wants(&self, name: &SecretName) -> bool {
        match self {
            Self::All => true,
            Self::These(names) => names.contains(name),
        }
    }
}

/// What a launch asks for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Request {
    /// Of the workspace's secrets.
    pub workspace: Selection,
    /// Of the user's own.
    pub user: Selection,
    /// Names that may be missing.
    pub optional: BTreeSet<SecretName>,
}

/// The secrets of a run, by name; each with the workspace's that it took the place of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resolved {
    /// The winners, by name.
    pub secrets: Vec<Winner>,
}

/// One secret that a run gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Winner {
    /// The secret.
    pub secret: Secret,
    /// The workspace's of the same name.
    pub overrides: Option<Secret>,
}

impl Resolved {
    /// The winners as a run pins them.
    #[must_use]
    pub fn pins(&self) -> Vec<PinnedSecret> {
        self.secrets
            .iter()
            .map(|winner| PinnedSecret {
                name: winner.secret.name.clone(),
                owner: winner.secret.owner,
                id: winner.secret.id,
                version: winner.secret.version,
                overrides: winner.overrides.as_ref().map(|secret| secret.id),
            })
            .collect()
    }

    /// Each name with the bytes of its value as a JSON string, at most.
    #[must_use]
    pub fn sizes(&self) -> Vec<(SecretName, usize)> {
        self.secrets
            .iter()
            .map(|winner| (winner.secret.name.clone(), winner.secret.traits.json_bytes))
            .collect()
    }
}

/// Chooses a run's secrets, or refuses with up to twenty reasons at once. An expired winner refuses the launch: falling back to
/// the workspace's secret would silently send other data than its owner meant.
pub fn resolve(
    request: &Request,
    workspace: &[Secret],
    user: &[Secret],
    platform: Platform,
    now: Timestamp,
    settings: &Settings,
) -> Result<Resolved> {
    let mut winners: BTreeMap<&SecretName, Winner> = BTreeMap::new();
    for secret in workspace.iter().filter(|secret| request.workspace.wants(&secret.name)) {
        let winner = Winner { secret: secret.clone(), overrides: None };
        winners.insert(&secret.name, winner);
    }
    for secret in user.iter().filter(|secret| request.user.wants(&secret.name)) {
        let overrides = winners.remove(&secret.name).map(|winner| winner.secret);
        winners.insert(&secret.name, Winner { secret: secret.clone(), overrides });
    }

    let mut reasons = Vec::new();
    if winners.len() > MAX_IN_LAUNCH {
        reasons.push(format!(
            "{} secrets are asked for, and a launch takes at most {MAX_IN_LAUNCH}: name the ones it needs in \
             workspaceSecrets and userSecrets",
            winners.len()
        ));
    }
    reasons.extend(missing(request, workspace, user));
    for Winner { secret, .. } in winners.values() {
        let whose = secret.owner.kind();
        if secret.name.is_reserved(settings) {
            reasons.push(format!(
                "the name of the {whose} secret {} would change how a task's shell or runtime behaves: store it under another \
                 name",
                secret.name
            ));
        } else if secret.traits.lost {
            reasons.push(format!(
                "the value of the {whose} secret {} was lost when the service was restored from a backup: write it again",
                secret.name
            ));
        } else if secret.is_expired(now) {
            reasons.push(format!("the {whose} secret {} has expired", secret.name));
        } else if platform.claims() && !secret.traits.nextflow_store {
            reasons.push(format!(
                "the value of the {whose} secret {} cannot pass through Nextflow's secrets store unchanged: store it as \
                 base64 and decode it in the task",
                secret.name
            ));
        }
    }
    if reasons.is_empty() {
        return Ok(Resolved { secrets: winners.into_values().collect() });
    }
    let unsaid = reasons.len().saturating_sub(MAX_REASONS);
    if unsaid > 0 {
        reasons.truncate(MAX_REASONS);
        reasons.push(format!("and {unsaid} more of the kind"));
    }
    Err(Error::Refused(format!("The launch is refused: {}.", reasons.join("; "))))
}

/// A name that was asked for by name and is not there, nor optional.
fn missing(request: &Request, workspace: &[Secret], user: &[Secret]) -> Vec<String> {
    let absent = |selection: &Selection, secrets: &[Secret], whose: &str| -> Vec<String> {
        let Selection::These(names) = selection else {
            return Vec::new();
        };
        let there: BTreeSet<_> = secrets.iter().map(|secret| &secret.name).collect();
        names
            .iter()
            .filter(|name| !request.optional.contains(name) && !there.contains(name))
            .map(|name| format!("there is no {whose} secret {name}"))
            .collect()
    };
    let mut reasons = absent(&request.workspace, workspace, "workspace");
    reasons.extend(absent(&request.user, user, "user"));
    reasons
}

#[cfg(test)]
mod tests;
