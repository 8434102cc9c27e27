//! A trial: a story under a fault, repeated as a client would, swept until nothing is due, and checked.

use domain::Error;
use domain::ids::RunId;
use domain::run::State;
use jiff::SignedDuration;

use crate::check;
use crate::gate::Planned;
use crate::ledger::{self, Row};
use crate::operations::CleanupOperation;
use crate::story::{Prepared, SECRETS, Story, Told};
use crate::world::World;

/// What is tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trial {
    /// The story.
    pub story: Story,
    /// What happens to it.
    pub first: Vec<Planned>,
    /// What happens to the client's first repeat of it.
    pub repeat: Vec<Planned>,
    /// What happens to the first sweep after it.
    pub sweep: Vec<Planned>,
    /// Whether the bus delivers what was put on it, twice; else everything is lost.
    pub delivers: bool,
}

/// What came of a trial.
#[derive(Clone, Default, Debug)]
pub struct Verdict {
    /// What was wrong; empty where nothing was.
    pub wrongs: Vec<String>,
    /// Faults that happened.
    pub faults: usize,
    /// Rows and requests that were searched for values.
    pub searched: usize,
    /// The calls of the story, where nothing failed.
    pub calls: Vec<String>,
    /// The calls of the first sweep.
    pub sweep_calls: Vec<String>,
}

/// Runs a trial in a world that is made anew for it.
pub async fn run(world: &World, trial: &Trial) -> Verdict {
    world.reset();
    world.people();
    let story = trial.story;
    let prepared = story.prepare(world).await;
    let mut verdict = Verdict::default();

    world.aws.gate.arm(&trial.first);
    let first = attempt(world, story, &prepared).await;
    verdict.calls = world.aws.gate.met();
    verdict.faults += world.aws.gate.open();

    let told = repeat(world, trial, &prepared, first, &mut verdict).await;
    if let Err(wrong) = expect(world, story, &prepared, told, verdict.faults > 0).await {
        verdict.wrongs.push(wrong);
    }
    if trial.delivers {
        deliver(world).await;
    }
    settle(world, trial, &mut verdict).await;
    let (searched, leaks) = check::leaks(world);
    verdict.searched = searched;
    verdict.wrongs.extend(leaks);
    verdict.wrongs.extend(check::aftermath(world).await);
    verdict
}

/// How one attempt ended.
enum End {
    Answered(Told),
    Failed(Error),
    Died,
}

async fn attempt(world: &World, story: Story, prepared: &Prepared) -> End {
    let limit = std::time::Duration::from_secs(29);
    tokio::select! {
        biased;
        () = world.aws.gate.crashed() => End::Died,
        answer = tokio::time::timeout(limit, story.act(world, prepared)) => match answer {
            Ok(Ok(told)) => End::Answered(told),
            Ok(Err(error)) => End::Failed(error),
            Err(_) => End::Died,
        },
    }
}

/// Repeats as a client does: at once, then every few seconds, then once the sweep went by.
async fn repeat(
    world: &World,
    trial: &Trial,
    prepared: &Prepared,
    first: End,
    verdict: &mut Verdict,
) -> Result<Told, Error> {
    let mut end = first;
    for repeat in 0..6 {
        match end {
            End::Answered(told) => return Ok(told),
            End::Failed(error) if !again(&error) => return Err(error),
            _ => {}
        }
        world.pass(SignedDuration::from_secs(3));
        if repeat == 3 {
            world.pass(SignedDuration::from_mins(5));
            let _ = world.clean(CleanupOperation::Sweep).await;
        }
        if repeat == 0 {
            world.aws.gate.arm(&trial.repeat);
        }
        end = attempt(world, trial.story, prepared).await;
        verdict.faults += world.aws.gate.open();
    }
    match end {
        End::Answered(told) => Ok(told),
        End::Failed(error) => Err(error),
        End::Died => Err(Error::bug("an attempt without faults took longer than a function has")),
    }
}

/// What a client repeats: 409 with `Retry-After`, 429, 503.
fn again(error: &Error) -> bool {
    matches!(error, Error::InProgress | Error::Contended | Error::Unavailable { .. })
}

/// What the client was told in the end, and whether it is so.
async fn expect(
    world: &World,
    story: Story,
    prepared: &Prepared,
    told: Result<Told, Error>,
    faulty: bool,
) -> Result<(), String> {
    let rows = ledger::rows(&world.aws.state().services.database);
    match told {
        Ok(Told::Launched(launched)) => {
            let tokens = launched.tokens.ok_or("a repeated launch showed no tokens")?;
            let run = world.run(&launched.run.id).await;
            if !run.lifecycle.run_token.matches(&crate::operations::key_of(&tokens.run)) {
                return Err("the run token that was shown is dead".into());
            }
            if let Some(claim) = &tokens.claim
                && !run
                    .lifecycle
                    .claim_token
                    .as_ref()
                    .is_some_and(|hash| hash.matches(&crate::operations::key_of(claim)))
            {
                return Err("the claim token that was shown is dead".into());
            }
            if run.lifecycle.state != State::Pending {
                return Err(format!("the run that was shown is {}", run.lifecycle.state.as_str()));
            }
            let live =
                ledger::runs(&rows).into_iter().filter(|(_, run)| run.lifecycle().state.is_live()).count();
            if story.key().is_some() && live != 1 {
                return Err(format!("INV6: {live} runs live under one idempotency key"));
            }
            if !faulty && live != 1 {
                return Err(format!("{live} runs live after one launch"));
            }
            delivered(world, &run.id, &run.lifecycle)
        }
        Ok(Told::Store(store)) if store.contains("of the user") && store.contains("bGluZSAxCg==") => Ok(()),
        Ok(Told::Store(_)) => Err("INV7: the store holds other values".into()),
        // Only whoever lost the answer to its claim may see this.
        Ok(Told::Spent) if faulty => Ok(()),
        Ok(Told::Stored(ids)) => stored(&rows, &ids.iter().map(ToString::to_string).collect::<Vec<_>>()),
        Ok(Told::Version(version)) if story == Story::Update && (version == 2 || faulty) => Ok(()),
        Ok(Told::Version(2)) => Ok(()),
        Ok(Told::Done) => done(&rows, story, prepared),
        Ok(_) => Err("another answer than any that is allowed".into()),
        // What was done and not heard of shows as its own conflict.
        Err(Error::AlreadyExists { .. }) if faulty && story == Story::Create => Ok(()),
        Err(Error::VersionConflict) if faulty && story == Story::UpdateIf => Ok(()),
        Err(Error::NotFound) if faulty && story == Story::Delete => done(&rows, story, prepared),
        Err(error) => Err(format!("the client is left with {error:?}")),
    }
}

/// INV7 and the content of the copies of a launch: exactly what was pinned, the user's own value before the
/// workspace's.
fn delivered(world: &World, id: &RunId, lifecycle: &domain::run::Lifecycle) -> Result<(), String> {
    let state = world.aws.state();
    let mut texts = String::new();
    for copy in &lifecycle.copies {
        let made = state
            .services
            .target
            .secrets
            .get(&copy.name)
            .ok_or(format!("run {id} lacks its copy {}", copy.name))?;
        texts.push_str(&made.text);
    }
    if lifecycle.copies.is_empty() {
        return Ok(());
    }
    match texts.contains(SECRETS[2].1) && !texts.contains(SECRETS[1].1) {
        true => Ok(()),
        false => Err("INV7: the copies hold other values".into()),
    }
}

fn stored(rows: &[Row], ids: &[String]) -> Result<(), String> {
    let there = rows.iter().filter_map(|row| row.text("sk").strip_prefix("SECRET#")).collect::<Vec<_>>();
    match ids.iter().all(|id| there.contains(&id.as_str())) && there.len() == ids.len() {
        true => Ok(()),
        false => Err(format!("told that {ids:?} are stored, and there are {there:?}")),
    }
}

fn done(rows: &[Row], story: Story, prepared: &Prepared) -> Result<(), String> {
    let run = prepared.run.as_ref().and_then(|run| ledger::run(rows, run.as_str())).map(Row::lifecycle);
    let state = run.as_ref().map(|lifecycle| lifecycle.state);
    let job = run.as_ref().and_then(|lifecycle| lifecycle.head_job.as_ref());
    let secrets = rows.iter().filter(|row| row.text("sk").starts_with("SECRET#")).count();
    let good = match story {
        Story::End => matches!(state, Some(State::Ending | State::Ended)),
        Story::EndHpc | Story::JobEnded | Story::Look | Story::Sweep => state == Some(State::Ended),
        Story::EndOfAttempt | Story::JobChanged => state == Some(State::Running) && job.is_some(),
        Story::Heartbeat => state == Some(State::Running),
        Story::RecordJob => {
            let rows = rows.iter().filter(|row| row.text("sk") == "JOB").count();
            job.is_some() && state == Some(State::Running) && rows == 1
        }
        Story::Delete => secrets == 2,
        Story::Reconcile => secrets == 1,
        _ => false,
    };
    match good {
        true => Ok(()),
        false => Err(format!("told that {story:?} is done, and the run is {state:?}")),
    }
}

/// Delivers every event twice, as EventBridge may.
async fn deliver(world: &World) {
    let notices = std::mem::take(&mut world.aws.state().services.notices);
    for notice in notices.iter().chain(&notices) {
        let Ok(run) = RunId::new(&notice.run) else {
            continue;
        };
        let deed = if notice.kind == "Run Look" {
            CleanupOperation::Look(&run)
        } else {
            CleanupOperation::Delivered(&run)
        };
        let _ = world.clean(deed).await;
    }
}

/// Sweeps, and lets time pass, until every run is over: by a day and some hours where there is no head job. A head job
/// that runs keeps its run; then it ends.
async fn settle(world: &World, trial: &Trial, verdict: &mut Verdict) {
    world.aws.gate.arm(&trial.sweep);
    world.pass(SignedDuration::from_mins(5));
    tokio::select! {
        biased;
        () = world.aws.gate.crashed() => {}
        _ = world.clean(CleanupOperation::Sweep) => {}
    }
    verdict.sweep_calls = world.aws.gate.met();
    verdict.faults += world.aws.gate.open();
    if ledger::runs(&ledger::rows(&world.aws.state().services.database)).is_empty() {
        return;
    }
    world.pass(SignedDuration::from_mins(35));
    sweep(world, verdict).await;
    world.set_job("SUCCEEDED");
    for minutes in [35, 24 * 60] {
        world.pass(SignedDuration::from_mins(minutes));
        sweep(world, verdict).await;
    }
    // What was on its way all the time arrives when all is over.
    world.aws.land();
    world.pass(SignedDuration::from_mins(5));
    sweep(world, verdict).await;
}

async fn sweep(world: &World, verdict: &mut Verdict) {
    match world.clean(CleanupOperation::Sweep).await {
        Ok(swept) if swept.failed + swept.orphans_failed == 0 => {}
        Ok(swept) => verdict.wrongs.push(format!("a sweep without faults failed: {swept:?}")),
        Err(error) => verdict.wrongs.push(format!("a sweep without faults failed: {error:?}")),
    }
}
