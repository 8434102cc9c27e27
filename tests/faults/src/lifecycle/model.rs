//! The lifecycle of a run for a model checker: what is checked, what can happen next, and what must be so whatever happened.

use domain::run::State;
use stateright::{Checker as _, Expectation, Model, Property};

use super::actors::{Job, Launcher, Worker, World};
use super::row::{Kind, ModelEvent};
use super::{BATCH, CLAIMS};
use crate::figures::Figures;
use crate::plan::Depth;

/// What is checked, and how far.
#[derive(Clone, Debug)]
pub(super) struct Lifecycle {
    /// What kind of run.
    pub(super) kind: Kind,
    /// Cleaners: events and sweeps.
    pub(super) cleaners: usize,
    /// Clients that report under the run token.
    pub(super) reporters: usize,
    /// Whether the launch is repeated with its idempotency key.
    pub(super) repeats: bool,
    /// Whether there is a head job.
    pub(super) has_job: bool,
    /// The last minute of the clock.
    pub(super) minutes: u8,
}

/// What can happen next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Move {
    Tick,
    JobGoesOn,
    Begin,
    /// A copy is created: heard of; made and not heard of; not heard of and made later.
    Create(Delivery),
    Save {
        heard: bool,
    },
    GiveUp,
    LaunchDies,
    Lands(u8),
    RepeatReads,
    Repeats,
    ReportReads(u8, ModelEvent),
    Reports(u8),
    Looks(u8),
    Cleans(u8),
    CleanerDies(u8),
    SweepsOrphan(u8),
}

/// What becomes of the answer to a creation.
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
            repeater: Worker::Idle,
            reporters: vec![Worker::Idle; self.reporters],
            cleaners: vec![Worker::Idle; self.cleaners],
            job: Job::NotYet,
            shown: false,
            endings: 0,
            ends: 0,
            claims: 0,
            wrong: None,
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
            Launcher::Saves => moves.extend([true, false].map(|heard| Move::Save { heard })),
            Launcher::GivesUp => moves.push(Move::GiveUp),
            Launcher::Over => {}
        }
        if !matches!(world.launcher, Launcher::Begins | Launcher::Over) {
            moves.push(Move::LaunchDies);
        }
        if self.has_job && world.shown && world.job < Job::Forgotten {
            moves.push(Move::JobGoesOn);
        }
        moves.extend((0..self.kind.copies).filter(|copy| world.late[usize::from(*copy)]).map(Move::Lands));
        let Some(run) = world.run else {
            return;
        };
        if self.repeats {
            match world.repeater {
                Worker::Idle if !world.shown && run.state == State::Pending => moves.push(Move::RepeatReads),
                Worker::Idle => {}
                _ => moves.push(Move::Repeats),
            }
        }
        for (index, reporter) in (0..).zip(&world.reporters) {
            match reporter {
                Worker::Idle if world.shown => {
                    moves.extend(self.reports(world).map(|what| Move::ReportReads(index, what)));
                }
                Worker::Idle => {}
                _ => moves.push(Move::Reports(index)),
            }
        }
        for (index, cleaner) in (0..).zip(&world.cleaners) {
            match cleaner {
                // Events come early, late, often; the sweep comes when something is due: both are a look.
                Worker::Idle if run.state != State::Ended => moves.push(Move::Looks(index)),
                Worker::Idle => {}
                _ => moves.extend([Move::Cleans(index), Move::CleanerDies(index)]),
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
            Move::JobGoesOn => {
                world.job = match world.job {
                    Job::NotYet => Job::FirstAttempt,
                    Job::FirstAttempt => Job::BetweenAttempts,
                    Job::BetweenAttempts => Job::SecondAttempt,
                    Job::SecondAttempt => Job::Ended,
                    Job::Ended | Job::Forgotten => Job::Forgotten,
                }
            }
            Move::Begin | Move::Create(_) | Move::Save { .. } | Move::GiveUp => {
                self.launch(&mut world, moved);
            }
            Move::LaunchDies => world.launcher = Launcher::Over,
            Move::Lands(copy) => {
                let copy = usize::from(copy);
                world.copies[copy] |= std::mem::take(&mut world.late[copy]);
            }
            Move::RepeatReads => {
                let seen = world.run?;
                world.repeater = Worker::Decides { seen, fresh: true, what: ModelEvent::TokensRenewed };
            }
            Move::Repeats => {
                let worker = std::mem::replace(&mut world.repeater, Worker::Idle);
                world.shown |= self.decide(&mut world, worker);
            }
            Move::ReportReads(index, what) => {
                let seen = world.run?;
                world.reporters[usize::from(index)] = Worker::Decides { seen, fresh: true, what };
            }
            Move::Reports(index) => {
                let worker = std::mem::replace(&mut world.reporters[usize::from(index)], Worker::Idle);
                self.decide(&mut world, worker);
            }
            Move::Looks(index) => world.cleaners[usize::from(index)] = self.inspect(&world),
            Move::Cleans(index) => self.clean(&mut world, usize::from(index)),
            Move::CleanerDies(index) => world.cleaners[usize::from(index)] = Worker::Idle,
            Move::SweepsOrphan(copy) => world.delete(copy),
        }
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NOTHING_EARLY, |_, world: &World| world.wrong.is_none()),
            Property::always("INV1: no copy without an intent", |_, world: &World| {
                world.run.is_some() || world.copies.iter().chain(&world.late).all(|made| !made)
            }),
            Property::always("INV3: a live run has all of its copies", |_, world: &World| {
                let live = world.run.is_some_and(|run| matches!(run.state, State::Pending | State::Running));
                !live || world.copies.iter().all(|made| *made)
            }),
            Property::always("INV6: one effect", |_, world: &World| {
                world.endings <= 1 && world.ends <= 1 && world.claims <= 1
            }),
            Property::always(
                "INV2: from everywhere a run comes to its end, with nothing left",
                |lifecycle: &Self, world: &World| lifecycle.ends(world),
            ),
            Property::sometimes("a run ends", |_, world: &World| world.ends == 1),
            Property::sometimes("a launch is answered", |_, world: &World| world.shown),
        ]
    }
}

impl Lifecycle {
    /// What a client may report now. A head job is recorded only where AWS Batch says that it is not final.
    fn reports(&self, world: &World) -> impl Iterator<Item = ModelEvent> + use<> {
        let running = matches!(world.job, Job::FirstAttempt | Job::BetweenAttempts | Job::SecondAttempt);
        let batch = self.has_job && running;
        let claims = self.kind.claims;
        [
            ModelEvent::Heartbeat,
            ModelEvent::Reported,
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

/// No early deletion, no way back, no launch undone.
const NOTHING_EARLY: &str = "INV3: nothing early";

/// The bounds: every state within them is visited.
pub(super) fn bounds(depth: Depth) -> Vec<Lifecycle> {
    let full = depth == Depth::Full;
    let minutes = if full { 8 } else { 6 };
    let batch = Kind { copies: if full { 2 } else { 1 }, ..BATCH };
    let lifecycle =
        Lifecycle { kind: batch, cleaners: 1, reporters: 0, repeats: false, has_job: false, minutes };
    vec![
        // Late copies and two cleaners.
        Lifecycle { kind: BATCH, cleaners: 2, ..lifecycle.clone() },
        Lifecycle { kind: batch, ..lifecycle.clone() },
        // A repeated launch never loses the run that it answered with.
        Lifecycle { repeats: true, ..lifecycle.clone() },
        Lifecycle { kind: CLAIMS, reporters: 1, repeats: true, ..lifecycle.clone() },
        // A head job with two attempts keeps its copies until it is over.
        Lifecycle { kind: BATCH, reporters: 1, has_job: true, minutes: minutes - 1, ..lifecycle.clone() },
        // Of two claims one counts.
        Lifecycle { kind: CLAIMS, reporters: 2, ..lifecycle },
    ]
}

impl Lifecycle {
    /// Visits every state within the bounds.
    pub(super) fn check(self) -> Figures {
        let what = format!("{self:?}");
        let checker = self.checker().threads(2).spawn_bfs().join();
        let found = checker.discoveries();
        let mut wrongs = Vec::new();
        for property in checker.model().properties() {
            let discovery = found.get(property.name);
            match property.expectation {
                Expectation::Sometimes if discovery.is_none() => {
                    wrongs.push(format!("{what}: never {}", property.name));
                }
                Expectation::Sometimes => {}
                _ => wrongs.extend(
                    discovery
                        .map(|path| format!("{}: {what}: {:?}", property.name, path.clone().into_actions())),
                ),
            }
        }
        Figures { model_states: checker.unique_state_count(), wrongs, ..Figures::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_within_the_bounds_keeps_the_invariants() {
        for lifecycle in bounds(Depth::Quick) {
            let figures = lifecycle.check();
            assert_eq!(figures.wrongs, Vec::<String>::new());
            assert!(figures.model_states > 1_000);
        }
    }
}
