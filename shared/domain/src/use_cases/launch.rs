//! Launches: a run receives its secrets.
//!
//! The intent names all copies. It is written, with the audit record, before a value is opened or a
//! copy created. Any later failure ends the run, and cleanup-run deletes the copies that the intent
//! names. A launch with many copies reserves their creations before that ([`slot`]).

use std::collections::BTreeMap;
use std::rc::Rc;

use futures_util::future::{join, join_all, try_join3};
use zeroize::Zeroizing;

use self::slot::Clock;
use super::advance::advance;
use super::open_values::{open_values, pin_read_versions};
use super::preview::{LaunchRequest, LaunchScopes, authorize_with_target, count_copies, layout, read_scopes};
use super::retry_contended;
use crate::audit::AuditAction;
use crate::context::Context;
use crate::copies::{self, Layout, RunCopy};
use crate::environment::Target;
use crate::idempotency::{Idempotency, IdempotencyRecord, IdempotentResult};
use crate::identity::Actor;
use crate::ids::{RunId, RunPrefix};
use crate::name::SecretName;
use crate::ports::{
    AnnounceRuns, CreateCopies, Created, DecryptDataKey, DeliverTo, LaunchStore, Randomness, RunNotice,
};
use crate::reservation;
use crate::resolve::{Resolved, Selection, resolve};
use crate::run::{Event, Lifecycle, Run, RunResult, State};
use crate::secret::SealedValue;
use crate::token::TokenKey;
use crate::value::SecretValue;
use crate::{Error, Result, log};

/// Launches runs.
pub struct Launcher {
    /// The table.
    pub store: Rc<dyn LaunchStore>,
    /// Data keys.
    pub keys: Rc<dyn DecryptDataKey>,
    /// AWS Secrets Manager.
    pub copies: Rc<dyn CreateCopies>,
    /// AWS Secrets Manager, in environments.
    pub environments: Rc<dyn DeliverTo>,
    /// The event bus.
    pub bus: Rc<dyn AnnounceRuns>,
    /// The prefix of run ids.
    pub prefix: RunPrefix,
}

/// A launched run.
pub struct Launched {
    /// The run.
    pub run: Run,
    /// Its tokens, shown once; `None` if the launch was replayed and the run is already in use.
    pub tokens: Option<RunTokens>,
}

/// The tokens of a run.
pub struct RunTokens {
    /// For reports.
    pub run: Zeroizing<String>,
    /// For the claim, where the platform claims.
    pub claim: Option<Zeroizing<String>>,
}

/// The keys of a run's tokens.
struct TokenKeys {
    run: TokenKey,
    claim: Option<TokenKey>,
}

impl TokenKeys {
    fn make_random(claims: bool, randomness: &dyn Randomness) -> Self {
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

/// What to do with a launch whose idempotency key is known.
enum Replay {
    /// Answer with the run of the first request.
    Answer(Box<Launched>),
    /// Replace the run of the first request, which never received its secrets.
    Replace(RunId),
}

/// The outcome of one attempt at a launch.
enum Attempt {
    Launched(Box<Launched>),
    /// An id or the name of a copy was already used, or the sweep was faster. A new attempt may
    /// succeed. It replaces the run that this attempt created, if any.
    Retry {
        began: Option<RunId>,
    },
}

/// The id of the next run, and a session for its copies. A session in an environment has the run's
/// name.
struct Delivery {
    run: RunId,
    copies: Rc<dyn CreateCopies>,
}

struct Intent<'a> {
    actor: &'a Actor,
    request: &'a LaunchRequest,
    target: &'a Target,
    resolved: &'a Resolved,
    scopes: &'a LaunchScopes,
    idempotency: Option<&'a Idempotency>,
}

impl Launcher {
    /// Launches a run, or replays a launch.
    pub async fn launch(
        &self,
        actor: &Actor,
        request: &LaunchRequest,
        idempotency_key: Option<&str>,
        context: &Context<'_>,
    ) -> Result<Launched> {
        let clock = Clock::start(context);
        let (scopes, target) = authorize_with_target(&*self.store, actor, request, context).await?;
        let idempotency = idempotency_key.map(|key| bind(key, actor, request)).transpose()?;
        let find_idempotency_record = async {
            match &idempotency {
                Some(idempotency) => self.store.find_idempotency_record(idempotency, context.now).await,
                None => Ok(None),
            }
        };
        let live = limits::read_live_runs(&*self.store, &scopes, &target, context);
        let reads = try_join3(find_idempotency_record, read_scopes(&*self.store, &scopes), live);
        let (reads, delivery) = join(reads, self.prepare(&target, context)).await;
        let (record, (workspace, user), live) = reads?;
        let mut replaces = None;
        if let (Some(idempotency), Some(record)) = (&idempotency, &record) {
            match self.replay(actor, request, idempotency, record, context).await? {
                Replay::Answer(launched) => return Ok(*launched),
                Replay::Replace(failed) => replaces = Some(failed),
            }
        }
        // Not before the replay: a run whose launch succeeded needs no session.
        let mut delivery = Some(delivery?);
        let resolved =
            resolve(&request.secrets, &workspace, &user, request.platform, context.now, context.settings)?;
        limits::check(&live, &scopes, count_copies(request, &resolved, context), context)?;
        let idempotency = idempotency.as_ref();
        let intent =
            Intent { actor, request, target: &target, resolved: &resolved, scopes: &scopes, idempotency };
        let mut reserved = false;
        retry_contended(context.backoff, async || {
            if !reserved {
                self.reserve(&intent, &clock, context).await?;
                reserved = true;
            }
            let prepared = match delivery.take() {
                Some(delivery) => Ok(delivery),
                None => self.prepare(&target, context).await,
            };
            let attempt = async { self.attempt(&intent, prepared?, replaces.as_ref(), context).await };
            match attempt.await {
                Ok(Attempt::Launched(launched)) => Ok(Ok(*launched)),
                Ok(Attempt::Retry { began }) => {
                    // A run that began has used its slot.
                    reserved = began.is_none();
                    replaces = began.or(replaces.take());
                    Err(Error::Contended)
                }
                // Also for a throttled service: a whole new launch would only add load.
                Err(error) => Ok(Err(error)),
            }
        })
        .await?
    }

    /// Chooses the id of a run, and opens a session for its copies.
    async fn prepare(&self, target: &Target, context: &Context<'_>) -> Result<Delivery> {
        let run = RunId::make_random(&self.prefix, context.randomness);
        let copies = match target {
            Target::Home => self.copies.clone(),
            Target::Elsewhere(environment) => self.environments.deliver_to(environment, &run).await?,
        };
        Ok(Delivery { run, copies })
    }

    /// Writes the intent while reading the sealed values, then provisions the run.
    async fn attempt(
        &self,
        intent: &Intent<'_>,
        delivery: Delivery,
        replaces: Option<&RunId>,
        context: &Context<'_>,
    ) -> Result<Attempt> {
        let keyring = TokenKeys::make_random(intent.request.platform.claims(), context.randomness);
        let run = plan(intent, delivery.run, &keyring, context);
        let audit = run.audit_record(AuditAction::RunLaunched, context);
        let pinned: Vec<_> = run.lifecycle.secrets.iter().map(|pin| (pin.owner, pin.id)).collect();
        let values = async {
            // A claim reads its values later.
            match run.platform.claims() || pinned.is_empty() {
                true => Ok(Vec::new()),
                false => self.store.sealed_values(&pinned).await,
            }
        };
        let begun = self.store.begin_run(intent.scopes.of_run(), &run, intent.idempotency, replaces, &audit);
        let (created, values) = join(begun, values).await;
        match created {
            Ok(Created::Created) => {}
            Ok(Created::Replayed(record)) => {
                // A concurrent request with this key was faster.
                intent.idempotency.map_or(Ok(()), |idempotency| idempotency.check(&record))?;
                return Err(Error::InProgress);
            }
            Err(Error::Contended) => return Ok(Attempt::Retry { began: None }),
            Err(error) => {
                // The intent may have been written although the answer was lost. Ending the run now
                // frees its idempotency key.
                if matches!(error, Error::Unavailable { .. }) {
                    self.abort_launch(&run, context).await;
                }
                return Err(error);
            }
        }
        match self.provision(&run, &*delivery.copies, values, context).await {
            Ok(run) => {
                let tokens = Some(keyring.tokens(&run.id));
                Ok(Attempt::Launched(Box::new(Launched { run, tokens })))
            }
            Err(error) => {
                self.abort_launch(&run, context).await;
                match error {
                    Error::Conflict(_) | Error::VersionConflict => Ok(Attempt::Retry { began: Some(run.id) }),
                    error => Err(error),
                }
            }
        }
    }

    async fn provision(
        &self,
        run: &Run,
        target: &dyn CreateCopies,
        values: Result<Vec<SealedValue>>,
        context: &Context<'_>,
    ) -> Result<Run> {
        if run.platform.claims() {
            return self.advance(run, Event::Provisioned(Vec::new()), context).await;
        }
        let values = values?;
        let (pins, changed) = pin_read_versions(&run.lifecycle.secrets, &values).map_err(|name| {
            Error::Refused(format!("The launch is refused: the secret {name} was deleted during the launch."))
        })?;
        let run = match changed {
            true => self.advance(run, Event::Repinned(pins), context).await?,
            false => run.clone(),
        };
        let values = open_values(&*self.keys, &run.lifecycle.secrets, &values, context.settings).await?;
        let copies = create_copies(target, &run, &values, context).await?;
        drop(values);
        // This write also verifies that the run was not ended in the meantime.
        let provisioned = self.advance(&run, Event::Provisioned(copies), context);
        let announced = async {
            // The event updates `lastUsed`. If it is lost, that date stays unchanged.
            if let Err(error) = self.bus.announce(&run.id, RunNotice::Delivered).await {
                log::error(&error)
                    .run(&run.id)
                    .warn("could not announce a delivery; lastUsed stays unchanged");
            }
        };
        join(provisioned, announced).await.0
    }

    /// Applies an event that must still be possible. Otherwise returns [`Error::VersionConflict`].
    async fn advance(&self, run: &Run, event: Event, context: &Context<'_>) -> Result<Run> {
        advance(&*self.store, run, event, context).await?.run.ok_or(Error::VersionConflict)
    }

    /// Ends a failed launch, on a best-effort basis: if this fails too, the run ends when it is
    /// due. If a replay has renewed the tokens, the run belongs to another client and continues.
    async fn abort_launch(&self, begun: &Run, context: &Context<'_>) {
        let aborted = async {
            let Some(run) = self.store.run(&begun.id).await? else {
                return Ok(());
            };
            if run.lifecycle.run_token != begun.lifecycle.run_token {
                return Ok(());
            }
            match advance(&*self.store, &run, Event::LaunchFailed, context).await?.run {
                Some(_) => self.bus.announce(&run.id, RunNotice::Look).await,
                None => Ok(()),
            }
        };
        let outcome: Result<()> = aborted.await;
        if let Err(error) = outcome {
            log::error(&error).run(&begun.id).warn("could not end a failed launch; the sweep will end it");
        }
    }

    /// Handles a launch whose idempotency key is known.
    async fn replay(
        &self,
        actor: &Actor,
        request: &LaunchRequest,
        idempotency: &Idempotency,
        record: &IdempotencyRecord,
        context: &Context<'_>,
    ) -> Result<Replay> {
        idempotency.check(record)?;
        let IdempotentResult::Run(id) = &record.result else {
            return Err(Error::IdempotencyMismatch);
        };
        let run = self.store.run(id).await?.ok_or(Error::NotFound)?;
        // A replay returns new tokens of the run, and a claim token gives access to its values.
        if (run.user, run.workspace, run.platform) != (actor.user, request.workspace, request.platform) {
            return Err(Error::bug("the idempotency record of a launch names another caller's run"));
        }
        // The claim of a run depends on the token of its launch, which could be revoked meanwhile.
        if run.launched_with != actor.token {
            return Err(Error::IdempotencyMismatch);
        }
        if run.lifecycle.outcome.as_ref().is_some_and(|outcome| outcome.result == RunResult::LaunchFailed) {
            return Ok(Replay::Replace(run.id));
        }
        if run.lifecycle.state == State::Provisioning {
            return Err(Error::InProgress);
        }
        let keyring = TokenKeys::make_random(run.platform.claims(), context.randomness);
        let renewal = Event::TokensRenewed {
            run_token: keyring.run.hash(),
            claim_token: keyring.claim.as_ref().map(TokenKey::hash),
        };
        match self.advance(&run, renewal, context).await {
            Ok(run) => {
                let tokens = Some(keyring.tokens(&run.id));
                Ok(Replay::Answer(Box::new(Launched { run, tokens })))
            }
            // The run is already in use: answer without tokens.
            Err(Error::VersionConflict) => Ok(Replay::Answer(Box::new(Launched { run, tokens: None }))),
            Err(error) => Err(error),
        }
    }
}

/// Plans the run of the intent.
fn plan(intent: &Intent<'_>, id: RunId, keyring: &TokenKeys, context: &Context<'_>) -> Run {
    let (now, limits) = (context.now, &context.settings.limits);
    let request = intent.request;
    let layout = layout(request, context);
    let copies = match request.platform.claims() {
        true => Vec::new(),
        false => copies::plan(&id, layout, &intent.resolved.sizes()),
    };
    let due = now + limits.provisioning;
    Run {
        id,
        workspace: request.workspace,
        user: intent.scopes.user.actor(),
        launched_with: intent.actor.token,
        platform: request.platform,
        layout,
        created: now,
        not_after: now + limits.longest_run,
        target: intent.target.clone(),
        lifecycle: Lifecycle {
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

/// Creates every copy concurrently, many copies one after the other as they are reserved, and
/// waits for all of them even if one fails. No copy may appear after the cleanup has checked.
async fn create_copies(
    target: &dyn CreateCopies,
    run: &Run,
    values: &BTreeMap<SecretName, SecretValue>,
    context: &Context<'_>,
) -> Result<Vec<RunCopy>> {
    let tags = run.copy_tags(&context.settings.deployment);
    let copies = &run.lifecycle.copies;
    let spread = reservation::is_needed(copies.len());
    let created = join_all(copies.iter().enumerate().map(async |(index, copy)| {
        if spread {
            context.backoff.pause(reservation::offset(index)).await;
        }
        let body = copies::body(run.layout, copies, index, values, context.randomness)?;
        let arn = target.create_copy(copy, body, &tags).await?;
        Ok(RunCopy { arn: Some(arn), ..copy.clone() })
    }))
    .await;
    created.into_iter().collect()
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
    let optional = optional.join(",");
    let workspace = request.workspace.map(|id| id.to_string()).unwrap_or_default();
    let (from_workspace, from_user) =
        (selection(&request.secrets.workspace), selection(&request.secrets.user));
    let mut parts = vec![
        "launch",
        &*workspace,
        request.platform.as_str(),
        request.layout.map_or("", Layout::as_str),
        &*from_workspace,
        &*from_user,
        &*optional,
    ];
    // Only if present: the records of launches without an environment keep their meaning.
    if let Some(id) = &request.compute_env {
        parts.extend(["computeEnvId", id.as_str()]);
    }
    Idempotency::new(actor.user, key, parts.into_iter().map(str::as_bytes))
}

mod limits;
mod slot;
#[cfg(test)]
mod tests;
