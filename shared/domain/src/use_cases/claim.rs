//! Claim: the head job of an HPC run gets its Nextflow store, once (architecture §5.5).

use std::collections::BTreeMap;

use futures_util::future::try_join3;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::open_values::{open_values, pin_what_was_read};
use super::preview::authorize_platform;
use crate::audit::{AuditAction, AuditRecord};
use crate::identity::Actor;
use crate::ids::RunId;
use crate::name::SecretName;
use crate::nextflow;
use crate::ports::{
    AnnounceRuns, DecryptDataKey, Randomness, ReadMembership, ReadSealedValues, RunNotice, SaveRuns,
};
use crate::run::{Event, Life, PinnedSecret, Run, State, next};
use crate::secret::Secret;
use crate::settings::Settings;
use crate::token::TokenKey;
use crate::value::SecretValue;
use crate::{Error, Result};

/// What a claim needs from outside.
pub struct Claimer<'a, Store, Keys, Bus, Rng> {
    /// The table.
    pub store: &'a Store,
    /// Data keys.
    pub keys: &'a Keys,
    /// The event bus.
    pub bus: &'a Bus,
    /// Randomness.
    pub randomness: &'a Rng,
    /// The deployment's choices.
    pub settings: &'a Settings,
}

/// What became of a claim.
pub enum Claim {
    /// Nextflow's store.
    Store(Zeroizing<String>),
    /// The token was used before: perhaps by a thief. The run goes on; an alarm is due.
    SecondUse,
    /// The run is over.
    Ended,
}

impl<Store, Keys, Bus, Rng> Claimer<'_, Store, Keys, Bus, Rng>
where
    Store: SaveRuns + ReadMembership + ReadSealedValues,
    Keys: DecryptDataKey,
    Bus: AnnounceRuns,
    Rng: Randomness,
{
    /// Uses the claim token. The token is marked used, with the versions pinned and audited, before a value is opened;
    /// whoever loses the answer after that launches anew.
    pub async fn claim(&self, id: &RunId, key: &TokenKey, now: Timestamp) -> Result<Claim> {
        let run = self.store.run(id).await?.ok_or(Error::NotFound)?;
        let genuine = run.life.claim_token.as_ref().is_some_and(|hash| hash.matches(key));
        if !genuine {
            return Err(Error::NotFound);
        }
        if let Some(refusal) = spent(&run) {
            return Ok(refusal);
        }
        let pinned: Vec<_> = run.life.secrets.iter().map(|pin| (pin.owner, pin.id)).collect();
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
        let (barred, secrets, values) = try_join3(self.is_barred(&run), current, sealed).await?;
        if barred {
            let reason = "whoever launched it may launch it no more".to_owned();
            return self.refuse(&run, reason, now).await;
        }
        if let Some(reason) = refuse(&run.life.secrets, &secrets, now) {
            return self.refuse(&run, reason, now).await;
        }
        let (pins, _) = match pin_what_was_read(&run.life.secrets, &values) {
            Ok(pins) => pins,
            Err(name) => return self.refuse(&run, deleted(&name), now).await,
        };
        let Some(run) = self.mark_claimed(run, pins, now).await? else {
            return self.lost_race(id).await;
        };
        let values = open_values(self.keys, self.settings, &run.life.secrets, &values).await?;
        if let Some(reason) = not_carried(&values) {
            return self.refuse(&run, reason, now).await;
        }
        let store = nextflow::store(&values);
        if let Err(error) = self.bus.announce(&run.id, RunNotice::Delivered).await {
            tracing::warn!(run.id = %run.id, error.code = error.code(), "a delivery was not announced");
        }
        Ok(Claim::Store(store))
    }

    /// Whether the launcher could not launch this run today. A claim may come a day after its launch, and hands over the
    /// values of that day: whoever lost the role meanwhile must not get them, those least that were replaced since.
    async fn is_barred(&self, run: &Run) -> Result<bool> {
        let Some(workspace) = run.workspace else {
            return Ok(false);
        };
        let launcher = Actor { user: run.user, token: None };
        match authorize_platform(self.store, self.settings, &launcher, workspace, run.platform).await {
            Ok(_) => Ok(false),
            Err(Error::NotFound | Error::Forbidden { .. } | Error::Refused(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The run as claimed; `None` where another request was first.
    async fn mark_claimed(&self, run: Run, pins: Vec<PinnedSecret>, now: Timestamp) -> Result<Option<Run>> {
        let Some(life) = next(&run, Event::Claimed(pins), now, &self.settings.limits).life else {
            return Ok(None);
        };
        let life = Life { revision: run.life.revision + 1, ..life };
        let claimed = Run { life, ..run.clone() };
        let audit =
            AuditRecord::of_run(&claimed, self.randomness, now, AuditAction::RunClaimed, Some(run.user));
        match self.store.save_life(&run, &claimed.life, Some(&audit)).await {
            Ok(()) => Ok(Some(claimed)),
            Err(Error::VersionConflict) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Another request wrote the run first: a claim, an end, or a heartbeat.
    async fn lost_race(&self, id: &RunId) -> Result<Claim> {
        let run = self.store.run(id).await?.ok_or(Error::NotFound)?;
        spent(&run).ok_or(Error::Contended)
    }

    /// Ends a run that cannot get what it was promised, and says why.
    async fn refuse(&self, run: &Run, reason: String, now: Timestamp) -> Result<Claim> {
        let refused = Error::Refused(format!("The run is ended: {reason}."));
        if let Some(life) = next(run, Event::ClaimRefused, now, &self.settings.limits).life {
            let life = Life { revision: run.life.revision + 1, ..life };
            let ended = Run { life, ..run.clone() };
            let audit = AuditRecord {
                detail: Some("claim refused".into()),
                ..AuditRecord::of_run(&ended, self.randomness, now, AuditAction::RunEnded, None)
            };
            self.store.save_life(run, &ended.life, Some(&audit)).await.map_err(|error| match error {
                // A sign of life, an end, or another claim was first: the same claim again finds out.
                Error::VersionConflict => Error::Contended,
                other => other,
            })?;
        }
        Err(refused)
    }
}

fn spent(run: &Run) -> Option<Claim> {
    match run.life.state {
        State::Ending | State::Ended => Some(Claim::Ended),
        _ if run.life.claimed.is_some() => Some(Claim::SecondUse),
        _ => None,
    }
}

fn refuse(pins: &[PinnedSecret], secrets: &[Secret], now: Timestamp) -> Option<String> {
    pins.iter().find_map(|pin| {
        let secret = secrets.iter().find(|secret| secret.id == pin.id && secret.owner == pin.owner);
        match secret {
            None => Some(deleted(&pin.name)),
            Some(secret) if secret.traits.lost => {
                Some(format!("the value of the secret {} was lost: write it again", pin.name))
            }
            Some(secret) if secret.is_expired(now) => Some(format!("the secret {} has expired", pin.name)),
            Some(secret) if !secret.traits.nextflow_store => Some(format!(
                "the secret {} now has a value that cannot pass through Nextflow's secrets store; store it as base64",
                pin.name
            )),
            Some(_) => None,
        }
    })
}

fn deleted(name: &SecretName) -> String {
    format!("the secret {name} was deleted")
}

/// What only the values themselves tell.
fn not_carried(values: &BTreeMap<SecretName, SecretValue>) -> Option<String> {
    if let Some((name, _)) = values.iter().find(|(_, value)| !nextflow::store_carries(value.expose())) {
        return Some(format!(
            "the secret {name} has a value that cannot pass through Nextflow's secrets store; store it as base64"
        ));
    }
    nextflow::store_collision(values).map(|(holder, name)| {
        format!("the value of the secret {holder} reads like an entry of {name} to Nextflow's store; store it as base64")
    })
}

#[cfg(test)]
mod tests;
