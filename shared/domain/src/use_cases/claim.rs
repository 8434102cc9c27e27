//! Claims: the head job of a run on HPC or Kubernetes retrieves its secrets, once.

use std::collections::BTreeMap;
use std::rc::Rc;

use futures_util::future::try_join4;
use zeroize::Zeroizing;

use super::advance::advance;
use super::conflict_as_contended;
use super::open_values::{open_values, pin_read_versions};
use super::preview::authorize_platform;
use crate::context::Context;
use crate::identity::Actor;
use crate::ids::RunId;
use crate::kubernetes::{self, KubernetesSecrets, MAX_SECRET_BYTES};
use crate::name::SecretName;
use crate::nextflow;
use crate::platform::Platform;
use crate::ports::{AnnounceRuns, ClaimStore, DecryptDataKey, RunNotice};
use crate::run::{Event, Run, State};
use crate::secret::Secret;
use crate::token::TokenKey;
use crate::value::SecretValue;
use crate::{Error, Result, log};

/// Handles claims.
pub struct Claimer {
    /// The table.
    pub store: Rc<dyn ClaimStore>,
    /// Data keys.
    pub keys: Rc<dyn DecryptDataKey>,
    /// The event bus.
    pub bus: Rc<dyn AnnounceRuns>,
}

/// The outcome of a claim.
pub enum Claim {
    /// Nextflow's store.
    Store(Zeroizing<String>),
    /// What a head job on Kubernetes needs.
    Kubernetes(KubernetesSecrets),
    /// The token was already used, possibly by an attacker. The run continues, and the caller must
    /// raise an alarm.
    AlreadyUsed,
    /// The run has ended.
    Ended,
}

impl Claimer {
    /// Uses the claim token. The token is marked as used, with pinned versions and an audit record,
    /// before a value is opened. A client that loses the answer must launch a new run. Returns
    /// [`Error::ClaimFailed`] instead of an error that a client may retry once the token was used,
    /// or may have been used.
    pub async fn claim(&self, id: &RunId, key: &TokenKey, context: &Context<'_>) -> Result<Claim> {
        let run = self.store.run(id).await?.ok_or(Error::NotFound)?;
        let token_matches = run.lifecycle.claim_token.as_ref().is_some_and(|hash| hash.matches(key));
        if !token_matches {
            return Err(Error::NotFound);
        }
        if let Some(refusal) = already_used_or_expired(&run, context) {
            return Ok(refusal);
        }
        let pinned: Vec<_> = run.lifecycle.secrets.iter().map(|pin| (pin.owner, pin.id)).collect();
        let current = async {
            match pinned.is_empty() {
                true => Ok(Vec::new()),
                false => self.store.current_secrets(&pinned).await,
            }
        };
        let sealed = async {
            match pinned.is_empty() {
                true => Ok(Vec::new()),
                false => self.store.sealed_values(&pinned).await,
            }
        };
        let (lost_permission, revoked, secrets, values) =
            try_join4(self.lost_permission(&run, context), self.is_revoked(&run), current, sealed).await?;
        if lost_permission {
            let reason = "the user who launched it no longer has permission to launch it".to_owned();
            return self.refuse(&run, reason, context).await;
        }
        if revoked {
            let reason = "the access token with which it was launched was revoked".to_owned();
            return self.refuse(&run, reason, context).await;
        }
        if let Some(reason) = refuse(&run, &secrets, context) {
            return self.refuse(&run, reason, context).await;
        }
        let (pins, _) = match pin_read_versions(&run.lifecycle.secrets, &values) {
            Ok(pins) => pins,
            Err(name) => return self.refuse(&run, deleted(&name), context).await,
        };
        let run = match advance(&*self.store, &run, Event::Claimed(pins), context).await {
            Ok(claimed) => claimed.run,
            Err(Error::VersionConflict) => None,
            Err(Error::Contended) => return Err(Error::Contended), // nothing was written
            Err(error) => return Err(after_use(error)),
        };
        let Some(run) = run else {
            return self.lost_race(id, context).await;
        };
        let values = open_values(&*self.keys, &run.lifecycle.secrets, &values, context.settings)
            .await
            .map_err(after_use)?;
        if let Some(reason) = reason_not_deliverable(run.platform, &values) {
            return self.refuse(&run, reason, context).await.map_err(after_use);
        }
        let claim = match run.platform {
            Platform::Kubernetes => Claim::Kubernetes(KubernetesSecrets::new(&values, context.randomness)),
            _ => Claim::Store(nextflow::store(&values, context.randomness)),
        };
        if let Err(error) = self.bus.announce(&run.id, RunNotice::Delivered).await {
            log::error(&error).run(&run.id).warn("could not announce a delivery; lastUsed stays unchanged");
        }
        Ok(claim)
    }

    /// Whether the launcher could no longer launch this run. A claim may come a day after its
    /// launch and delivers the current values, so a user who has lost the role must not get them,
    /// least of all values updated since then.
    async fn lost_permission(&self, run: &Run, context: &Context<'_>) -> Result<bool> {
        let Some(workspace) = run.workspace else {
            return Ok(!self.store.is_enabled(run.user).await?);
        };
        let launcher = Actor::without_token(run.user);
        match authorize_platform(&*self.store, context.settings, &launcher, workspace, run.platform).await {
            Ok(_) => Ok(false),
            Err(Error::NotFound | Error::Forbidden { .. } | Error::Refused(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Whether the token of the launch was revoked since then. Someone who stole it, launched with
    /// it and has the run's claim token must not get the values. If the token has only expired, its
    /// owner still trusts it, and the run goes on.
    async fn is_revoked(&self, run: &Run) -> Result<bool> {
        match run.launched_with {
            Some(token) => self.store.is_revoked(run.user, token).await,
            None => Ok(false),
        }
    }

    /// Handles a claim after another request changed the run: a claim, an end, or a heartbeat.
    async fn lost_race(&self, id: &RunId, context: &Context<'_>) -> Result<Claim> {
        let run = self.store.run(id).await?.ok_or(Error::NotFound)?;
        already_used_or_expired(&run, context).ok_or(Error::Contended)
    }

    /// Ends a run that cannot get its secrets, and returns the reason.
    async fn refuse(&self, run: &Run, reason: String, context: &Context<'_>) -> Result<Claim> {
        // After a concurrent heartbeat, end or claim, a repeated claim gets the answer.
        advance(&*self.store, run, Event::ClaimRefused, context).await.map_err(conflict_as_contended)?;
        Err(Error::Refused(format!("The run was ended: {reason}.")))
    }
}

/// Replaces an error that a client may retry, because a repeated claim would count as a second use.
fn after_use(error: Error) -> Error {
    if error.retryable() { Error::ClaimFailed { source: Box::new(error) } } else { error }
}

/// Whether the claim token can no longer be used. It expires relative to the launch time, because
/// other functions can write the state and the due time.
fn already_used_or_expired(run: &Run, context: &Context<'_>) -> Option<Claim> {
    let limits = &context.settings.limits;
    let too_late = context.now.duration_since(run.created) >= limits.provisioning + limits.pending;
    match run.lifecycle.state {
        State::Ending | State::Ended => Some(Claim::Ended),
        _ if run.lifecycle.claimed.is_some() => Some(Claim::AlreadyUsed),
        _ if too_late => Some(Claim::Ended),
        _ => None,
    }
}

fn refuse(run: &Run, secrets: &[Secret], context: &Context<'_>) -> Option<String> {
    let in_store = run.platform.tasks_read_nextflow_store();
    run.lifecycle.secrets.iter().find_map(|pin| {
        let secret = secrets.iter().find(|secret| secret.id == pin.id && secret.owner == pin.owner);
        match secret {
            None => Some(deleted(&pin.name)),
            Some(secret) if secret.properties.lost => {
                Some(format!("the value of the secret {} was lost: set it again", pin.name))
            }
            Some(secret) if secret.name.is_reserved(context.settings) || pin.name.is_reserved(context.settings) => {
                Some(format!("the name of the secret {} is reserved for shells and runtimes", pin.name))
            }
            Some(secret) if secret.is_expired(context.now) => Some(format!("the secret {} has expired", pin.name)),
            Some(secret) if in_store && !secret.properties.nextflow_store => Some(format!(
                "the new value of the secret {} cannot pass through Nextflow's secrets store: store it as base64",
                pin.name
            )),
            Some(_) => None,
        }
    })
}

fn deleted(name: &SecretName) -> String {
    format!("the secret {name} was deleted")
}

/// Returns why the opened values cannot be delivered. These checks need the values themselves.
fn reason_not_deliverable(platform: Platform, values: &BTreeMap<SecretName, SecretValue>) -> Option<String> {
    if !platform.tasks_read_nextflow_store() {
        return kubernetes::exceeds_secret(values).then(|| {
            format!("its values have more than {MAX_SECRET_BYTES} bytes, the limit of a Kubernetes Secret")
        });
    }
    if let Some((name, value)) =
        values.iter().find(|(_, value)| !nextflow::nextflow_store_preserves(value.expose()))
    {
        return Some(match line_break(value.expose()) {
            Some(place) => format!(
                "the value of the secret {name} has a line break {place}, which Nextflow's secrets store cannot carry: \
                 store it without line breaks (base64 -w0)"
            ),
            None => format!(
                "the value of the secret {name} cannot pass through Nextflow's secrets store: store it as base64"
            ),
        });
    }
    nextflow::store_collision(values).map(|(holder, name)| {
        format!("the value of the secret {holder} contains {name}=, which Nextflow would read as the secret {name}: store it as base64")
    })
}

/// Where a value has a line break. `base64` without `-w0` writes one after 76 characters and at the
/// end.
fn line_break(value: &str) -> Option<&'static str> {
    let trimmed = value.trim_end_matches(['\r', '\n']);
    match (trimmed.contains('\n'), value.contains('\n')) {
        (true, _) => Some("inside"),
        (false, true) => Some("at its end"),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests;
