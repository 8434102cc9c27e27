//! A trial: runs a story with faults, retries it like a client, sweeps until nothing is due, and
//! checks the result.

use domain::Error;
use domain::ids::RunId;
use domain::run::State;
use jiff::SignedDuration;

use crate::check;
use crate::gate::Planned;
use crate::ledger::{self, Row};
use crate::operations::CleanupOperation;
use crate::story::{Answer, Prepared, SECRETS, Story};
use crate::world::World;

/// A story with its faults.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trial {
    /// The story.
    pub story: Story,
    /// The faults of its first run.
    pub first: Vec<Planned>,
    /// The faults of the client's first retry.
    pub retry: Vec<Planned>,
    /// The faults of the first sweep after it.
    pub sweep: Vec<Planned>,
    /// Whether the bus delivers every event twice. Otherwise all events are lost.
    pub delivers_events: bool,
}

/// The result of a trial.
#[derive(Clone, Default, Debug)]
pub struct Verdict {
    /// The violations.
    pub violations: Vec<String>,
    /// The number of faults that occurred.
    pub faults: usize,
    /// The number of rows and requests that were searched for values.
    pub searched: usize,
    /// The calls of the story's first run.
    pub calls: Vec<String>,
    /// The calls of the first sweep.
    pub sweep_calls: Vec<String>,
}

/// Resets the world and runs a trial in it.
pub async fn run(world: &World, trial: &Trial) -> Verdict {
    world.reset();
    world.add_members();
    let story = trial.story;
    let prepared = story.prepare(world).await;
    let mut verdict = Verdict::default();

    world.aws.gate.arm(&trial.first);
    let first = attempt(world, story, &prepared).await;
    verdict.calls = world.aws.gate.calls();
    verdict.faults += world.aws.gate.open();

    let answer = retry(world, trial, &prepared, first, &mut verdict).await;
    if let Err(violation) = expect(world, story, &prepared, answer, verdict.faults > 0).await {
        verdict.violations.push(violation);
    }
    if trial.delivers_events {
        deliver(world).await;
    }
    sweep_until_ended(world, trial, &mut verdict).await;
    let (searched, leaks) = check::leaks(world);
    verdict.searched = searched;
    verdict.violations.extend(leaks);
    verdict.violations.extend(check::final_violations(world).await);
    verdict
}

/// The result of one attempt.
enum End {
    Answered(Answer),
    Failed(Error),
    Crashed,
}

async fn attempt(world: &World, story: Story, prepared: &Prepared) -> End {
    let limit = std::time::Duration::from_secs(29);
    tokio::select! {
        biased;
        () = world.aws.gate.crashed() => End::Crashed,
        answer = tokio::time::timeout(limit, story.act(world, prepared)) => match answer {
            Ok(Ok(answer)) => End::Answered(answer),
            Ok(Err(error)) => End::Failed(error),
            Err(_) => End::Crashed,
        },
    }
}

/// Retries like a client: at once, then every few seconds, then after a sweep.
async fn retry(
    world: &World,
    trial: &Trial,
    prepared: &Prepared,
    first: End,
    verdict: &mut Verdict,
) -> Result<Answer, Error> {
    let mut end = first;
    for number in 0..6 {
        match end {
            End::Answered(answer) => return Ok(answer),
            End::Failed(error) if !is_retried(&error) => return Err(error),
            _ => {}
        }
        world.pass(SignedDuration::from_secs(3));
        if number == 3 {
            world.pass(SignedDuration::from_mins(5));
            let _ = world.clean(CleanupOperation::Sweep).await;
        }
        if number == 0 {
            world.aws.gate.arm(&trial.retry);
        }
        end = attempt(world, trial.story, prepared).await;
        verdict.faults += world.aws.gate.open();
    }
    match end {
        End::Answered(answer) => Ok(answer),
        End::Failed(error) => Err(error),
        End::Crashed => Err(Error::bug("an attempt without faults exceeded the function's timeout")),
    }
}

/// Whether a client retries: 409 with `Retry-After`, 429, 503.
fn is_retried(error: &Error) -> bool {
    matches!(
        error,
        Error::InProgress | Error::Contended | Error::QuotaReached { .. } | Error::Unavailable { .. }
    )
}

/// Checks the final answer to the client against the state.
async fn expect(
    world: &World,
    story: Story,
    prepared: &Prepared,
    answer: Result<Answer, Error>,
    faulty: bool,
) -> Result<(), String> {
    let rows = ledger::rows(&world.aws.state().services.database);
    match answer {
        Ok(Answer::Launched(launched)) => {
            let tokens = launched.tokens.ok_or("a repeated launch returned no tokens")?;
            let run = world.run(&launched.run.id).await;
            if !run.lifecycle.run_token.matches(&crate::operations::key_of(&tokens.run)) {
                return Err("the returned run token does not work".into());
            }
            if let Some(claim) = &tokens.claim
                && !run
                    .lifecycle
                    .claim_token
                    .as_ref()
                    .is_some_and(|hash| hash.matches(&crate::operations::key_of(claim)))
            {
                return Err("the returned claim token does not work".into());
            }
            if run.lifecycle.state != State::Pending {
                return Err(format!("the returned run is {}", run.lifecycle.state.as_str()));
            }
            let live =
                ledger::runs(&rows).into_iter().filter(|(_, run)| run.lifecycle().state.is_live()).count();
            if story.key().is_some() && live != 1 {
                return Err(format!("INV6: one idempotency key has {live} live runs"));
            }
            if !faulty && live != 1 {
                return Err(format!("{live} runs are live after one launch"));
            }
            delivered(world, story, &run.id, &run.lifecycle)
        }
        Ok(Answer::Store(store)) if store.contains("of the user") && store.contains("bGluZSAxCg==") => Ok(()),
        Ok(Answer::Store(_)) => Err("INV7: the store contains wrong values".into()),
        // Possible only if the answer to the first claim was lost.
        Ok(Answer::Spent) if faulty => Ok(()),
        Ok(Answer::Stored(ids)) => stored(&rows, &ids.iter().map(ToString::to_string).collect::<Vec<_>>()),
        Ok(Answer::Version(version)) if story == Story::Update && (version == 2 || faulty) => Ok(()),
        Ok(Answer::Version(2)) => Ok(()),
        Ok(Answer::Done) => done(&rows, story, prepared),
        Ok(_) => Err("an unexpected answer".into()),
        // After a lost answer, the retry conflicts with the first attempt.
        Err(Error::AlreadyExists { .. }) if faulty && story == Story::Create => Ok(()),
        Err(Error::VersionConflict) if faulty && story == Story::UpdateIf => Ok(()),
        Err(Error::NotFound) if faulty && story == Story::Delete => done(&rows, story, prepared),
        Err(error) => Err(format!("the client gets {error:?}")),
    }
}

/// INV7: every copy of a launch exists with its values. User secrets override workspace secrets.
fn delivered(
    world: &World,
    story: Story,
    id: &RunId,
    lifecycle: &domain::run::Lifecycle,
) -> Result<(), String> {
    let state = world.aws.state();
    let target = match story.is_elsewhere() {
        true => &state.services.elsewhere.target,
        false => &state.services.target,
    };
    let (name, of_user) = SECRETS[2];
    let mut wrong = false;
    for copy in &lifecycle.copies {
        let copy_stored =
            target.secrets.get(&copy.name).ok_or(format!("run {id} has no copy {}", copy.name))?;
        let (holds, text) = (copy.holds.iter().any(|held| held.as_str() == name), &copy_stored.text);
        wrong |= text.contains(of_user) != holds || text.contains(SECRETS[1].1);
    }
    match wrong {
        false => Ok(()),
        true => Err("INV7: the copies contain wrong values".into()),
    }
}

fn stored(rows: &[Row], ids: &[String]) -> Result<(), String> {
    let existing = rows.iter().filter_map(|row| row.text("sk").strip_prefix("SECRET#")).collect::<Vec<_>>();
    match ids.iter().all(|id| existing.contains(&id.as_str())) && existing.len() == ids.len() {
        true => Ok(()),
        false => Err(format!("the answer has {ids:?}; stored are {existing:?}")),
    }
}

fn done(rows: &[Row], story: Story, prepared: &Prepared) -> Result<(), String> {
    let run = prepared.run.as_ref().and_then(|run| ledger::run(rows, run.as_str())).map(Row::lifecycle);
    let state = run.as_ref().map(|lifecycle| lifecycle.state);
    let job = run.as_ref().and_then(|lifecycle| lifecycle.head_job.as_ref());
    let secrets = rows.iter().filter(|row| row.text("sk").starts_with("SECRET#")).count();
    let good = match story {
        Story::End | Story::Cancel => matches!(state, Some(State::Ending | State::Ended)),
        Story::EndHpc
        | Story::JobEnded
        | Story::JobEndedElsewhere
        | Story::Look
        | Story::Sweep
        | Story::SweepElsewhere => state == Some(State::Ended),
        Story::EndOfAttempt | Story::JobChanged => state == Some(State::Running) && job.is_some(),
        Story::Heartbeat => state == Some(State::Running),
        Story::RecordJob | Story::RecordJobElsewhere => {
            let rows = rows.iter().filter(|row| row.text("sk") == "JOB").count();
            job.is_some() && state == Some(State::Running) && rows == 1
        }
        Story::Delete => secrets == 2,
        Story::Reconcile => secrets == 1,
        _ => false,
    };
    match good {
        true => Ok(()),
        false => Err(format!("{story:?} was answered with success, but the run is {state:?}")),
    }
}

/// Delivers every event twice, as EventBridge may.
async fn deliver(world: &World) {
    let notices = std::mem::take(&mut world.aws.state().services.notices);
    for notice in notices.iter().chain(&notices) {
        let Ok(run) = RunId::new(&notice.run) else {
            continue;
        };
        let operation = if notice.kind == "Run Look" {
            CleanupOperation::Look(&run)
        } else {
            CleanupOperation::Delivered(&run)
        };
        let _ = world.clean(operation).await;
    }
}

/// Sweeps and lets time pass until every run has ended: after about a day without a head job. The
/// head job keeps running at first and then ends.
async fn sweep_until_ended(world: &World, trial: &Trial, verdict: &mut Verdict) {
    world.aws.gate.arm(&trial.sweep);
    world.pass(SignedDuration::from_mins(5));
    tokio::select! {
        biased;
        () = world.aws.gate.crashed() => {}
        _ = world.clean(CleanupOperation::Sweep) => {}
    }
    verdict.sweep_calls = world.aws.gate.calls();
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
    // Late requests take effect after everything has ended.
    world.aws.land();
    world.pass(SignedDuration::from_mins(5));
    if trial.story.is_elsewhere() {
        world.wait_for_turn();
    }
    sweep(world, verdict).await;
}

async fn sweep(world: &World, verdict: &mut Verdict) {
    match world.clean(CleanupOperation::Sweep).await {
        Ok(swept) if swept.failed + swept.orphans_failed + swept.unreachable == 0 => {}
        Ok(swept) => verdict.violations.push(format!("a sweep without faults failed: {swept:?}")),
        Err(error) => verdict.violations.push(format!("a sweep without faults failed: {error:?}")),
    }
}
