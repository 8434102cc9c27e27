//! The model of a run's lifecycle: its bounds, its steps, and the properties that must hold in
//! every state.

use domain::run::State;
use stateright::{Checker as _, Expectation, Model, Property};

use super::actors::{Job, Launcher, Worker, World};
use super::row::{Kind, ModelEvent};
use super::{BATCH, CLAIMS};
use crate::figures::Figures;
use crate::plan::Depth;

/// A model and its bounds.
#[derive(Clone, Debug)]
pub(super) struct Lifecycle {
    pub(super) kind: Kind,
    /// The number of cleaners, which handle events and sweeps.
    pub(super) cleaners: usize,
    /// The number of clients that report with the run token.
    pub(super) reporters: usize,
    /// Whether the launch is retried with its idempotency key.
    pub(super) retries: bool,
    /// Whether there is a head job.
    pub(super) has_job: bool,
    /// The last minute of the clock.
    pub(super) minutes: u8,
}

/// A step of the model.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Move {
    Tick,
    JobAdvances,
    Begin,
    /// A copy is created: the answer arrives; the answer is lost; the answer is lost and the copy
    /// is created later.
    Create(Delivery),
    Save {
        answered: bool,
    },
    Abort,
    LaunchCrashes,
    Lands(u8),
    RetryReads,
    RetryWrites,
    ReportReads(u8, ModelEvent),
    ReportWrites(u8),
    CleanerReads(u8),
    CleanerSteps(u8),
    /// The session for the next call in the run's environment is refused.
    CleanerIsRefused(u8),
    CleanerCrashes(u8),
    SweepsOrphan(u8),
}

/// The outcome of a creation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Delivery {
    Yes,
    No,
    NotYet,
}

impl Model for Lifecycle {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        let copies = usize::from(self.kind.copies);
        vec![World {
            now: 0,
            run: None,
            copies: vec![false; copies],
            late: vec![false; copies],
            launcher: Launcher::Begins,
            retrier: Worker::Idle,
            reporters: vec![Worker::Idle; self.reporters],
            cleaners: vec![Worker::Idle; self.cleaners],
            job: Job::NotYet,
            tokens_sent: false,
            endings: 0,
            ends: 0,
            claims: 0,
            violation: None,
        }]
    }

    fn actions(&self, world: &World, moves: &mut Vec<Move>) {
        if world.now < self.minutes {
            moves.push(Move::Tick);
        }
        match world.launcher {
            Launcher::Begins => moves.push(Move::Begin),
            Launcher::Creates(..) => {
                moves.extend([Delivery::Yes, Delivery::No, Delivery::NotYet].map(Move::Create));
            }
            Launcher::Saves => moves.extend([true, false].map(|answered| Move::Save { answered })),
            Launcher::Aborts => moves.push(Move::Abort),
            Launcher::Over => {}
        }
        if !matches!(world.launcher, Launcher::Begins | Launcher::Over) {
            moves.push(Move::LaunchCrashes);
        }
        if self.has_job && world.tokens_sent && world.job < Job::Forgotten {
            moves.push(Move::JobAdvances);
        }
        moves.extend((0..self.kind.copies).filter(|copy| world.late[usize::from(*copy)]).map(Move::Lands));
        let Some(run) = world.run else {
            return;
        };
        if self.retries {
            match world.retrier {
                Worker::Idle if !world.tokens_sent && run.state == State::Pending => {
                    moves.push(Move::RetryReads);
                }
                Worker::Idle => {}
                _ => moves.push(Move::RetryWrites),
            }
        }
        for (index, reporter) in (0..).zip(&world.reporters) {
            match reporter {
                Worker::Idle if world.tokens_sent => {
                    moves.extend(self.reports(world).map(|what| Move::ReportReads(index, what)));
                }
                Worker::Idle => {}
                _ => moves.push(Move::ReportWrites(index)),
            }
        }
        for (index, cleaner) in (0..).zip(&world.cleaners) {
            match cleaner {
                // Events arrive early, late or repeatedly, and the sweep when something is due.
                // Both read the run.
                Worker::Idle if run.state != State::Ended => moves.push(Move::CleanerReads(index)),
                Worker::Idle => {}
                _ => {
                    moves.extend([Move::CleanerSteps(index), Move::CleanerCrashes(index)]);
                    if cleaner.calls() {
                        moves.push(Move::CleanerIsRefused(index));
                    }
                }
            }
        }
        if run.state == State::Ended {
            let orphans = (0..self.kind.copies).filter(|copy| world.copies[usize::from(*copy)]);
            moves.extend(orphans.map(Move::SweepsOrphan));
        }
    }

    fn next_state(&self, before: &World, moved: Move) -> Option<World> {
        let mut world = before.clone();
        match moved {
            Move::Tick => world.now += 1,
            Move::JobAdvances => {
                world.job = match world.job {
                    Job::NotYet => Job::FirstAttempt,
                    Job::FirstAttempt => Job::BetweenAttempts,
                    Job::BetweenAttempts => Job::SecondAttempt,
                    Job::SecondAttempt => Job::Ended,
                    Job::Ended | Job::Forgotten => Job::Forgotten,
                }
            }
            Move::Begin | Move::Create(_) | Move::Save { .. } | Move::Abort => {
                self.launch(&mut world, moved);
            }
            Move::LaunchCrashes => world.launcher = Launcher::Over,
            Move::Lands(copy) => {
                let copy = usize::from(copy);
                world.copies[copy] |= std::mem::take(&mut world.late[copy]);
            }
            Move::RetryReads => {
                let seen = world.run?;
                world.retrier = Worker::Decides { seen, fresh: true, what: ModelEvent::TokensRenewed };
            }
            Move::RetryWrites => {
                let worker = std::mem::replace(&mut world.retrier, Worker::Idle);
                world.tokens_sent |= self.decide(&mut world, worker);
            }
            Move::ReportReads(index, what) => {
                let seen = world.run?;
                world.reporters[usize::from(index)] = Worker::Decides { seen, fresh: true, what };
            }
            Move::ReportWrites(index) => {
                let worker = std::mem::replace(&mut world.reporters[usize::from(index)], Worker::Idle);
                self.decide(&mut world, worker);
            }
            Move::CleanerReads(index) => world.cleaners[usize::from(index)] = self.inspect(&world),
            Move::CleanerSteps(index) => self.clean(&mut world, usize::from(index)),
            Move::CleanerIsRefused(index) => {
                let cleaner = &mut world.cleaners[usize::from(index)];
                *cleaner = cleaner.refused();
            }
            Move::CleanerCrashes(index) => world.cleaners[usize::from(index)] = Worker::Idle,
            Move::SweepsOrphan(copy) => world.delete(copy),
        }
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NOTHING_EARLY, |_, world: &World| world.violation.is_none()),
            Property::always("INV1: no copy without an intent", |_, world: &World| {
                world.run.is_some() || world.copies.iter().chain(&world.late).all(|exists| !exists)
            }),
            Property::always("INV3: a live run has all of its copies", |_, world: &World| {
                let live = world.run.is_some_and(|run| matches!(run.state, State::Pending | State::Running));
                !live || world.copies.iter().all(|exists| *exists)
            }),
            Property::always("INV6: one effect", |_, world: &World| {
                world.endings <= 1 && world.ends <= 1 && world.claims <= 1
            }),
            Property::always(
                "INV2: from every state a run ends with nothing left",
                |lifecycle: &Self, world: &World| lifecycle.ends(world),
            ),
            Property::sometimes("a run ends", |_, world: &World| world.ends == 1),
            Property::sometimes("a launch is answered", |_, world: &World| world.tokens_sent),
        ]
    }
}

impl Lifecycle {
    /// The possible reports of a client. A head job is recorded only if DescribeJobs shows that it
    /// is not final.
    fn reports(&self, world: &World) -> impl Iterator<Item = ModelEvent> + use<> {
        let running = matches!(world.job, Job::FirstAttempt | Job::BetweenAttempts | Job::SecondAttempt);
        let batch = self.has_job && running;
        let claims = self.kind.claims;
        [
            ModelEvent::Heartbeat,
            ModelEvent::Reported,
            ModelEvent::Cancelled,
            ModelEvent::HeadJobRecorded,
            ModelEvent::Claimed,
            ModelEvent::ClaimRefused,
        ]
        .into_iter()
        .filter(move |what| match what {
            ModelEvent::HeadJobRecorded => batch,
            ModelEvent::Claimed => claims,
            ModelEvent::ClaimRefused => false,
            _ => true,
        })
    }
}

/// No copy is deleted early, no state moves backwards, no answered launch is undone.
const NOTHING_EARLY: &str = "INV3: nothing early";

/// The bounds of the models. The checker visits every state within them.
pub(super) fn bounds(depth: Depth) -> Vec<Lifecycle> {
    let full = depth == Depth::Full;
    let minutes = if full { 8 } else { 6 };
    let batch = Kind { copies: if full { 2 } else { 1 }, ..BATCH };
    let lifecycle =
        Lifecycle { kind: batch, cleaners: 1, reporters: 0, retries: false, has_job: false, minutes };
    vec![
        // Late copies and two cleaners.
        Lifecycle { kind: BATCH, cleaners: 2, ..lifecycle.clone() },
        Lifecycle { kind: batch, ..lifecycle.clone() },
        // A retried launch never loses the run in its answer.
        Lifecycle { retries: true, ..lifecycle.clone() },
        Lifecycle { kind: CLAIMS, reporters: 1, retries: true, ..lifecycle.clone() },
        // A head job with two attempts keeps its copies until it has ended.
        Lifecycle { kind: BATCH, reporters: 1, has_job: true, minutes: minutes - 1, ..lifecycle.clone() },
        // Only one of two claims succeeds.
        Lifecycle { kind: CLAIMS, reporters: 2, ..lifecycle },
    ]
}

impl Lifecycle {
    /// Visits every state within the bounds.
    pub(super) fn check(self) -> Figures {
        let what = format!("{self:?}");
        let checker = self.checker().threads(2).spawn_bfs().join();
        let found = checker.discoveries();
        let mut violations = Vec::new();
        for property in checker.model().properties() {
            let discovery = found.get(property.name);
            match property.expectation {
                Expectation::Sometimes if discovery.is_none() => {
                    violations.push(format!("{what}: never {}", property.name));
                }
                Expectation::Sometimes => {}
                _ => violations.extend(
                    discovery
                        .map(|path| format!("{}: {what}: {:?}", property.name, path.clone().into_actions())),
                ),
            }
        }
        Figures { model_states: checker.unique_state_count(), violations, ..Figures::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_within_the_bounds_keeps_the_invariants() {
        for lifecycle in bounds(Depth::Quick) {
            let figures = lifecycle.check();
            assert_eq!(figures.violations, Vec::<String>::new());
            assert!(figures.model_states > 1_000);
        }
    }
}
