//! Launch: a run gets its secrets (architecture §5).
//!
//! The intent, with the names of all copies and the audit record, is written before a value is opened or a copy made;
//! whatever fails after that ends the run, and cleanup-run removes what the intent names.

use std::collections::BTreeMap;

use futures_util::future::{join, join_all, try_join};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::open_values::{open_values, pin_what_was_read};
use super::preview::{LaunchRequest, LaunchScopes, authorize_launch, read_scopes};
use crate::audit::{AuditAction, AuditRecord};
use crate::copies::{self, Copy, CopyTags, Layout};
use crate::idempotency::{Idempotency, Made, Remembered};
use crate::identity::Actor;
use crate::ids::{RunId, RunPrefix};
use crate::name::SecretName;
use crate::owner::SecretOwner;
use crate::ports::{
    AnnounceRuns, CreateCopies, Created, DecryptDataKey, LaunchRuns, Pace, Randomness, ReadMembership,
    ReadSealedValues, ReadSecrets, RunNotice,
};
use crate::resolve::{Resolved, Selection, resolve};
use crate::run::{Event, Life, Run, RunResult, State, next};
use crate::secret::SealedValue;
use crate::settings::Settings;
use crate::token::TokenKey;
use crate::value::SecretValue;
use crate::{Error, Result};

/// What a launch needs from outside.
pub struct Launcher<'a, Store, Keys, Copies, Bus, Rng, Wait> {
    /// The table.
    pub store: &'a Store,
    /// Data keys.
    pub keys: &'a Keys,
    /// AWS Secrets Manager.
    pub copies: &'a Copies,
    /// The event bus.
    pub bus: &'a Bus,
    /// Randomness.
    pub randomness: &'a Rng,
    /// Time to repeat in.
    pub pace: &'a Wait,
    /// The deployment's choices.
    pub settings: &'a Settings,
    /// How run ids begin.
    pub prefix: &'a RunPrefix,
}

/// A launched run.
pub struct Launched {
    /// The run as it stands.
    pub run: Run,
    /// Its tokens, shown once; `None` where a repeated launch found the run under way.
    pub tokens: Option<RunTokens>,
}

/// The tokens of a run.
pub struct RunTokens {
    /// For reports.
    pub run: Zeroizing<String>,
    /// For the claim, where the platform claims.
    pub claim: Option<Zeroizing<String>>,
}

/// The keys behind a run's tokens.
struct Keyring {
    run: TokenKey,
    claim: Option<TokenKey>,
}

impl Keyring {
    fn make(claims: bool, randomness: &impl Randomness) -> Self {
        Self {
            run: TokenKey::make_random(randomness),
            claim: claims.then(|| TokenKey::make_claim(randomness)),
        }
    }

    fn tokens(&self, run: &RunId) -> RunTokens {
        RunTokens {
            run: self.run.run_token(run),
            claim: self.claim.as_ref().map(|key| Zeroizing::new(key.expose().to_owned())),
        }
    }
}

impl<Store, Keys, Copies, Bus, Rng, Wait> Launcher<'_, Store, Keys, Copies, Bus, Rng, Wait>
where
    Store: ReadMembership + ReadSecrets + ReadSealedValues + LaunchRuns,
    Keys: DecryptDataKey,
    Copies: CreateCopies,
    Bus: AnnounceRuns,
    Rng: Randomness,
    Wait: Pace,
{
    /// Launches a run, or answers a repeated launch.
    pub async fn launch(
        &self,
        actor: &Actor,
        request: &LaunchRequest,
        idempotency_key: Option<&str>,
        now: Timestamp,
    ) -> Result<Launched> {
        let scopes = authorize_launch(self.store, self.settings, actor, request).await?;
        let idempotency = idempotency_key.map(|key| bind(key, actor, request)).transpose()?;
        let recall = async {
            match &idempotency {
                Some(idempotency) => self.store.recall(idempotency, now).await,
                None => Ok(None),
            }
        };
        let (remembered, (workspace, user)) = try_join(recall, read_scopes(self.store, &scopes)).await?;
        let mut replaces = None;
        if let (Some(idempotency), Some(remembered)) = (&idempotency, &remembered) {
            match self.again(idempotency, remembered, now).await? {
                Again::Answer(launched) => return Ok(*launched),
                Again::Anew(failed) => replaces = Some(failed),
            }
        }
        let resolved = resolve(&request.secrets, &workspace, &user, request.platform, now)?;
        let intent = Intent { request, resolved: &resolved, scopes: &scopes };
        let mut repeats = 0;
        loop {
            let keyring = Keyring::make(request.platform.claims(), self.randomness);
            let run = self.plan(&intent, &keyring, now);
            if let Some(launched) = self.begin(run, keyring, idempotency.as_ref(), &mut replaces, now).await?
            {
                return Ok(launched);
            }
            repeats += 1;
            if !self.pace.pause(repeats).await {
                return Err(Error::Contended);
            }
        }
    }

    /// The run as the intent names it.
    fn plan(&self, intent: &Intent<'_>, keyring: &Keyring, now: Timestamp) -> Run {
        let limits = &self.settings.limits;
        let request = intent.request;
        let id = RunId::make_random(self.prefix, self.randomness);
        let layout = request.layout.unwrap_or(self.settings.default_layout);
        let copies = match request.platform.claims() {
            true => Vec::new(),
            false => copies::plan(&id, layout, &intent.resolved.sizes()),
        };
        let due = now + limits.provisioning;
        Run {
            id,
            workspace: request.workspace,
            user: intent.scopes.user.actor(),
            platform: request.platform,
            layout,
            created: now,
            not_after: now + limits.longest_run,
            life: Life {
                revision: 1,
                state: State::Provisioning,
                due: Some(due),
                lease_until: due,
                secrets: intent.resolved.pins(),
                copies,
                run_token: keyring.run.hash(),
                claim_token: keyring.claim.as_ref().map(TokenKey::hash),
                claimed: None,
                delivered: None,
                head_job: None,
                outcome: None,
                ending: None,
                removed: None,
            },
        }
    }

    /// Writes the intent while the sealed values are read, and provisions the run. `None` where a repeat under another id
    /// may succeed: the id or a copy's name was taken, or the sweep was faster. A target that is throttled is not asked
    /// again by a whole new launch.
    async fn begin(
        &self,
        run: Run,
        keyring: Keyring,
        idempotency: Option<&Idempotency>,
        replaces: &mut Option<RunId>,
        now: Timestamp,
    ) -> Result<Option<Launched>> {
        let audit = AuditRecord::of_run(&run, self.randomness, now, AuditAction::RunLaunched, Some(run.user));
        let pinned: Vec<(SecretOwner, _)> = run.life.secrets.iter().map(|pin| (pin.owner, pin.id)).collect();
        let values = async {
            // A claim reads its values itself, when it comes.
            match run.platform.claims() || pinned.is_empty() {
                true => Ok(Vec::new()),
                false => self.store.sealed_values(&pinned).await,
            }
        };
        let (created, values) =
            join(self.store.begin_run(&run, idempotency, replaces.as_ref(), &audit), values).await;
        match created {
            Ok(Created::Done) => {}
            Ok(Created::Known(remembered)) => {
                // Another request with this key was first, by less than a round.
                idempotency.map_or(Ok(()), |idempotency| idempotency.check(&remembered))?;
                return Err(Error::InProgress);
            }
            Err(Error::Contended) => return Ok(None),
            Err(error) => {
                // The intent may be written and only its answer lost: ended now, its idempotency key is free at once.
                if matches!(error, Error::Unavailable { .. }) {
                    self.give_up(&run, now).await;
                }
                return Err(error);
            }
        }
        match self.provision(&run, values, now).await {
            Ok(run) => Ok(Some(Launched { tokens: Some(keyring.tokens(&run.id)), run })),
            Err(error) => {
                self.give_up(&run, now).await;
                *replaces = Some(run.id);
                match error {
                    Error::Conflict(_) | Error::VersionConflict => Ok(None),
                    error => Err(error),
                }
            }
        }
    }

    async fn provision(&self, run: &Run, values: Result<Vec<SealedValue>>, now: Timestamp) -> Result<Run> {
        let mut run = run.clone();
        if run.platform.claims() {
            return self.delivered(run, Vec::new(), now).await;
        }
        let values = values?;
        let (pins, changed) = pin_what_was_read(&run.life.secrets, &values).map_err(|name| {
            Error::Refused(format!("The launch is refused: the secret {name} was deleted meanwhile."))
        })?;
        if changed {
            run = self.advance(run, Event::Repinned(pins), now, Some(AuditAction::RunRepinned)).await?;
        }
        let values = open_values(self.keys, self.settings, &run.life.secrets, &values).await?;
        let copies = self.create_copies(&run, &values).await?;
        drop(values);
        self.delivered(run, copies, now).await
    }

    /// Creates every copy side by side, and waits for all of them even where one fails: none may appear after the
    /// cleanup has looked.
    async fn create_copies(
        &self,
        run: &Run,
        values: &BTreeMap<SecretName, SecretValue>,
    ) -> Result<Vec<Copy>> {
        let tags = CopyTags::of(run, &self.settings.deployment);
        let created = join_all(run.life.copies.iter().map(async |copy| {
            let body = copies::body(run.layout, copy, values)?;
            let arn = self.copies.create_copy(copy, body, &tags).await?;
            Ok(Copy { arn: Some(arn), ..copy.clone() })
        }))
        .await;
        created.into_iter().collect()
    }

    /// Writes that everything is in place, which is also the check that nobody ended the run meanwhile.
    async fn delivered(&self, run: Run, copies: Vec<Copy>, now: Timestamp) -> Result<Run> {
        let announced = async {
            // A hint for `lastUsed`; a lost one leaves that date as it was.
            if run.platform.claims() {
                return;
            }
            if let Err(error) = self.bus.announce(&run.id, RunNotice::Delivered).await {
                tracing::warn!(run.id = %run.id, error.code = error.code(), "a delivery was not announced");
            }
        };
        let advanced = self.advance(run.clone(), Event::Provisioned(copies), now, None);
        let (run, ()) = join(advanced, announced).await;
        run
    }

    /// Applies an event that must still be possible.
    async fn advance(
        &self,
        run: Run,
        event: Event,
        now: Timestamp,
        audit: Option<AuditAction>,
    ) -> Result<Run> {
        let step = next(&run, event, now, &self.settings.limits);
        let life = step.life.ok_or(Error::VersionConflict)?;
        let life = Life { revision: run.life.revision + 1, ..life };
        let advanced = Run { life, ..run.clone() };
        let audit =
            audit.map(|action| AuditRecord::of_run(&advanced, self.randomness, now, action, Some(run.user)));
        self.store.save_life(&run, &advanced.life, audit.as_ref()).await?;
        Ok(advanced)
    }

    /// Ends a launch that failed, as far as possible: where this fails too, the due time does it. A run whose tokens a
    /// repeated launch has renewed is another caller's by now.
    async fn give_up(&self, begun: &Run, now: Timestamp) {
        let ended = async {
            let Some(run) = self.store.run(&begun.id).await? else {
                return Ok(());
            };
            if run.life.run_token != begun.life.run_token {
                return Ok(());
            }
            let step = next(&run, Event::LaunchFailed, now, &self.settings.limits);
            let Some(life) = step.life else {
                return Ok(());
            };
            let life = Life { revision: run.life.revision + 1, ..life };
            let ending = Run { life, ..run.clone() };
            let action = match ending.life.state {
                State::Ended => AuditAction::RunEnded,
                _ => AuditAction::RunEnding,
            };
            let audit = AuditRecord::of_run(&ending, self.randomness, now, action, None);
            self.store.save_life(&run, &ending.life, Some(&audit)).await?;
            self.bus.announce(&run.id, RunNotice::Look).await
        };
        let outcome: Result<()> = ended.await;
        if let Err(error) = outcome {
            tracing::warn!(run.id = %begun.id, error.code = error.code(), "a failed launch is left to the sweep");
        }
    }

    /// Answers a launch whose idempotency key is known.
    async fn again(
        &self,
        idempotency: &Idempotency,
        remembered: &Remembered,
        now: Timestamp,
    ) -> Result<Again> {
        idempotency.check(remembered)?;
        let Made::Run(id) = &remembered.made else {
            return Err(Error::IdempotencyMismatch);
        };
        let run = self.store.run(id).await?.ok_or(Error::NotFound)?;
        let failed = |run: &Run| {
            run.life.outcome.as_ref().is_some_and(|outcome| outcome.result == RunResult::LaunchFailed)
        };
        match run.life.state {
            _ if failed(&run) => return Ok(Again::Anew(run.id)),
            State::Provisioning => return Err(Error::InProgress),
            _ => {}
        }
        let keyring = Keyring::make(run.platform.claims(), self.randomness);
        let renewal = Event::TokensRenewed {
            run_token: keyring.run.hash(),
            claim_token: keyring.claim.as_ref().map(TokenKey::hash),
        };
        if next(&run, renewal.clone(), now, &self.settings.limits).life.is_none() {
            return Ok(Again::Answer(Box::new(Launched { run, tokens: None })));
        }
        match self.advance(run.clone(), renewal, now, Some(AuditAction::RunTokensRenewed)).await {
            Ok(run) => {
                let tokens = Some(keyring.tokens(&run.id));
                Ok(Again::Answer(Box::new(Launched { run, tokens })))
            }
            // It came alive in this instant: an answer without tokens, as a moment later.
            Err(Error::VersionConflict) => Ok(Again::Answer(Box::new(Launched { run, tokens: None }))),
            Err(error) => Err(error),
        }
    }
}

enum Again {
    Answer(Box<Launched>),
    Anew(RunId),
}

struct Intent<'a> {
    request: &'a LaunchRequest,
    resolved: &'a Resolved,
    scopes: &'a LaunchScopes,
}

fn bind(key: &str, actor: &Actor, request: &LaunchRequest) -> Result<Idempotency> {
    let selection = |selection: &Selection| match selection {
        Selection::All => "*".to_owned(),
        Selection::These(names) => {
            let names: Vec<_> = names.iter().map(SecretName::as_str).collect();
            names.join(",")
        }
    };
    let optional: Vec<_> = request.secrets.optional.iter().map(SecretName::as_str).collect();
    let workspace = request.workspace.map(|id| id.to_string()).unwrap_or_default();
    let parts = [
        "launch",
        &workspace,
        request.platform.as_str(),
        request.layout.map_or("", Layout::as_str),
        &selection(&request.secrets.workspace),
        &selection(&request.secrets.user),
        &optional.join(","),
    ];
    Idempotency::new(actor.user, key, &parts.map(str::as_bytes))
}

#[cfg(test)]
mod tests;
