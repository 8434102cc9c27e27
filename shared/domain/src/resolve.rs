//! Resolution of a run's secrets: a user secret overrides the workspace secret of the same name.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::kubernetes::MAX_SECRET_BYTES;
use crate::name::SecretName;
use crate::platform::Platform;
use crate::run::PinnedSecret;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::value::ValueProperties;
use crate::{Error, Result};

/// The maximum number of secrets in a launch.
pub const MAX_IN_LAUNCH: usize = 64;

/// The maximum number of reasons in a refusal: a launch can name thousands of unknown secrets.
const MAX_REASONS: usize = 20;

/// The secrets of a scope that a launch selects.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Selection {
    /// All secrets of the scope.
    #[default]
    All,
    /// Exactly these secrets. An empty list selects none.
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

/// The secrets that a launch selects.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SecretSelection {
    /// Selected workspace secrets.
    pub workspace: Selection,
    /// Selected user secrets.
    pub user: Selection,
    /// Names that may be missing.
    pub optional: BTreeSet<SecretName>,
}

/// The resolved secrets of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resolved {
    /// The resolved secrets, by name.
    pub secrets: Vec<ResolvedSecret>,
}

/// A resolved secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResolvedSecret {
    /// The secret.
    pub secret: Secret,
    /// The workspace secret of the same name that this user secret overrides.
    pub overrides: Option<Secret>,
}

impl Resolved {
    /// Returns the secrets as a run pins them.
    #[must_use]
    pub fn pins(&self) -> Vec<PinnedSecret> {
        self.secrets
            .iter()
            .map(|resolved| PinnedSecret {
                name: resolved.secret.name.clone(),
                owner: resolved.secret.owner,
                id: resolved.secret.id,
                version: resolved.secret.version,
                overrides: resolved.overrides.as_ref().map(|secret| secret.id),
            })
            .collect()
    }

    /// Returns each name with an upper bound of its value's size as a JSON string, in bytes.
    #[must_use]
    pub fn sizes(&self) -> Vec<(SecretName, usize)> {
        self.secrets
            .iter()
            .map(|resolved| (resolved.secret.name.clone(), resolved.secret.properties.json_bytes))
            .collect()
    }
}

/// Resolves a run's secrets, or refuses with up to twenty reasons. An expired user secret refuses
/// the launch: falling back to the workspace secret would silently deliver a different value than
/// the user intended.
pub fn resolve(
    request: &SecretSelection,
    workspace: &[Secret],
    user: &[Secret],
    platform: Platform,
    now: Timestamp,
    settings: &Settings,
) -> Result<Resolved> {
    let mut resolved: BTreeMap<&SecretName, ResolvedSecret> = BTreeMap::new();
    for secret in workspace.iter().filter(|secret| request.workspace.wants(&secret.name)) {
        resolved.insert(&secret.name, ResolvedSecret { secret: secret.clone(), overrides: None });
    }
    for secret in user.iter().filter(|secret| request.user.wants(&secret.name)) {
        let overrides = resolved.remove(&secret.name).map(|overridden| overridden.secret);
        resolved.insert(&secret.name, ResolvedSecret { secret: secret.clone(), overrides });
    }

    let mut reasons = Vec::new();
    if resolved.len() > MAX_IN_LAUNCH {
        reasons.push(format!(
            "{} secrets are selected, and a launch can have at most {MAX_IN_LAUNCH}: list the ones it needs in \
             workspaceSecrets and userSecrets",
            resolved.len()
        ));
    }
    reasons.extend(missing(request, workspace, user));
    for ResolvedSecret { secret, .. } in resolved.values() {
        let whose = secret.owner.kind();
        if secret.name.is_reserved(settings) {
            reasons.push(format!(
                "the name of the {whose} secret {} is reserved for shells and runtimes: store it under another name",
                secret.name
            ));
        } else if secret.properties.lost {
            reasons.push(format!(
                "the value of the {whose} secret {} was lost when the service was restored from a backup: set it again",
                secret.name
            ));
        } else if secret.is_expired(now) {
            reasons.push(format!("the {whose} secret {} has expired", secret.name));
        } else if platform.tasks_read_nextflow_store() && !secret.properties.nextflow_store {
            reasons.push(format!(
                "the value of the {whose} secret {} cannot pass through Nextflow's secrets store unchanged: store it as \
                 base64 without line breaks (base64 -w0) and decode it in the task, or leave it out by listing the \
                 secrets that the launch needs in {whose}Secrets",
                secret.name
            ));
        }
    }
    reasons.extend(too_large(resolved.values(), platform));
    if reasons.is_empty() {
        return Ok(Resolved { secrets: resolved.into_values().collect() });
    }
    let unsaid = reasons.len().saturating_sub(MAX_REASONS);
    if unsaid > 0 {
        reasons.truncate(MAX_REASONS);
        reasons.push(format!("and {unsaid} more"));
    }
    Err(Error::Refused(format!("The launch is refused: {}.", reasons.join("; "))))
}

/// Returns a reason if the values are too large for the Kubernetes Secret of the run. Each value
/// counts with its size class, so that the decision needs no value.
fn too_large<'a>(resolved: impl Iterator<Item = &'a ResolvedSecret>, platform: Platform) -> Option<String> {
    let total: usize = resolved.map(|resolved| resolved.secret.properties.raw_bytes).sum();
    (platform == Platform::Kubernetes && total > MAX_SECRET_BYTES).then(|| {
        format!(
            "the values have {total} bytes, each rounded up to a multiple of {}, and the Kubernetes Secret of a run can \
             have at most {MAX_SECRET_BYTES}: list the secrets that the launch needs in workspaceSecrets and userSecrets",
            ValueProperties::STEP
        )
    })
}

/// Returns a reason for each selected name that does not exist and is not optional.
fn missing(request: &SecretSelection, workspace: &[Secret], user: &[Secret]) -> Vec<String> {
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
