//! The life of a run with everybody who writes it, for a model checker: a launch, a repeat of it, reports, a head job
//! with two attempts, two cleaners, each reading, then writing only where nobody wrote in between, each dying anywhere.

use domain::run::{Action as Todo, State};
use stateright::{Model, Property};

use super::row::{Happening, Kind, Result, Row, begun, step};

/// What is checked, and how far.
#[derive(Clone, Debug)]
pub struct Life {
    /// What kind of run.
    pub kind: Kind,
    /// Cleaners: events and sweeps.
    pub cleaners: usize,
    /// Clients that report under the run token.
    pub reporters: usize,
    /// Whether the launch is repeated with its idempotency key.
    pub repeats: bool,
    /// Whether there is a head job.
    pub has_job: bool,
    /// The last minute of the clock.
    pub minutes: u8,
}

/// Everything at one moment.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct World {
    now: u8,
    run: Option<Row>,
    copies: Vec<bool>,
    late: Vec<bool>,
    launcher: Launcher,
    repeater: Worker,
    reporters: Vec<Worker>,
    cleaners: Vec<Worker>,
    job: Job,
    /// Whether a client holds the tokens.
    shown: bool,
    endings: u8,
    ends: u8,
    claims: u8,
    wrong: Option<&'static str>,
}

/// How far the launch is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Launcher {
    Begins,
    /// Creates this copy; whether one failed already.
    Creates(u8, bool),
    Saves,
    GivesUp,
    Over,
}

/// Somebody who reads the run and writes it later.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Worker {
    Idle,
    /// Read this, and will apply that; `fresh` until anybody writes.
    Decides {
        seen: Row,
        fresh: bool,
        what: Happening,
    },
    /// Looks at this copy; then at the next.
    Describes {
        seen: Row,
        fresh: bool,
        copy: u8,
    },
    Deletes {
        seen: Row,
        fresh: bool,
        copy: u8,
    },
    /// Asks AWS Batch.
    Observes {
        seen: Row,
        fresh: bool,
    },
}

/// The truth about the head job.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
enum Job {
    NotYet,
    FirstAttempt,
    BetweenAttempts,
    SecondAttempt,
    Ended,
    Forgotten,
}

/// What can happen next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Move {
    Tick,
    JobGoesOn,
    Begin,
    /// A copy is created: heard of; made and not heard of; not heard of and made later.
    Create(Heard),
    Save {
        heard: bool,
    },
    GiveUp,
    LaunchDies,
    Lands(u8),
    RepeatReads,
    Repeats,
    ReportReads(u8, Happening),
    Reports(u8),
    Looks(u8),
    Cleans(u8),
    CleanerDies(u8),
    SweepsOrphan(u8),
}

/// What becomes of the answer to a creation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Heard {
    Yes,
    No,
    NotYet,
}

impl World {
    /// Writes the row over what was read; `None` where somebody was faster.
    fn write(&mut self, fresh: bool, row: Row) -> Option<()> {
        let before = self.run.filter(|_| fresh)?;
        if row.state < before.state {
            self.wrong = Some("a run went back");
        }
        self.endings += u8::from(row.state >= State::Ending && before.state < State::Ending);
        self.ends += u8::from(row.state == State::Ended && before.state < State::Ended);
        self.claims += u8::from(row.claimed && !before.claimed);
        if row.job != before.job && before.job {
            self.wrong = Some("a head job was forgotten");
        }
        if row.state >= State::Ending
            && before.state < State::Ending
            && self.shown
            && row.result == Some(Result::LaunchFailed)
        {
            self.wrong = Some("a launch that had answered was ended as failed");
        }
        self.run = Some(row);
        self.everybody(|worker| match worker {
            Worker::Idle => {}
            Worker::Decides { fresh, .. }
            | Worker::Describes { fresh, .. }
            | Worker::Deletes { fresh, .. }
            | Worker::Observes { fresh, .. } => *fresh = false,
        });
        Some(())
    }

    fn everybody(&mut self, mut deed: impl FnMut(&mut Worker)) {
        deed(&mut self.repeater);
        self.reporters.iter_mut().chain(&mut self.cleaners).for_each(deed);
    }

    fn delete(&mut self, copy: u8) {
        let running = matches!(self.job, Job::FirstAttempt | Job::BetweenAttempts | Job::SecondAttempt);
        match self.run {
            Some(run) if run.state < State::Ending => self.wrong = Some("a copy of a live run was deleted"),
            Some(run) if run.job && running => {
                self.wrong = Some("a copy was deleted under a running head job")
            }
            _ => {}
        }
        self.copies[usize::from(copy)] = false;
    }

    /// What DescribeJobs says.
    fn sighting(&self) -> Happening {
        match self.job {
            Job::NotYet | Job::Forgotten => Happening::SeenUnknown,
            Job::Ended => Happening::SeenFinal,
            _ => Happening::SeenRunning,
        }
    }
}

impl Life {
    /// One step of a cleaner: what `use_cases::clean_up` does.
    fn clean(&self, world: &mut World, index: usize) {
        world.cleaners[index] = match world.cleaners[index] {
            Worker::Idle => Worker::Idle,
            Worker::Decides { seen, fresh, what } => {
                let (life, todo) = step(self.kind, seen, what, world.now);
                let seen = life.unwrap_or(seen);
                let written = life.is_none_or(|row| world.write(fresh, row).is_some());
                // Its own write leaves what it holds fresh.
                let fresh = if life.is_some() { true } else { fresh };
                match todo {
                    _ if !written => self.look(world),
                    _ if seen.state == State::Ended => Worker::Idle,
                    None => Worker::Idle,
                    Some(Todo::RemoveCopies) => Worker::Describes { seen, fresh, copy: 0 },
                    Some(Todo::ObserveHeadJob) => Worker::Observes { seen, fresh },
                }
            }
            Worker::Describes { seen, fresh, copy } if copy == self.kind.copies => {
                Worker::Decides { seen, fresh, what: Happening::CopiesGone }
            }
            Worker::Describes { seen, fresh, copy } => match world.copies[usize::from(copy)] {
                true => Worker::Deletes { seen, fresh, copy },
                false => Worker::Describes { seen, fresh, copy: copy + 1 },
            },
            Worker::Deletes { seen, fresh, copy } => {
                world.delete(copy);
                Worker::Describes { seen, fresh, copy }
            }
            Worker::Observes { seen, fresh } => Worker::Decides { seen, fresh, what: world.sighting() },
        };
    }

    #[expect(clippy::unused_self, reason = "reads as the other steps do")]
    fn look(&self, world: &World) -> Worker {
        match world.run {
            Some(seen) => Worker::Decides { seen, fresh: true, what: Happening::Looked },
            None => Worker::Idle,
        }
    }

    fn launch(&self, world: &mut World, moved: Move) {
        world.launcher = match (world.launcher, moved) {
            (Launcher::Begins, Move::Begin) => {
                world.run = Some(begun(self.kind, world.now));
                if self.kind.copies == 0 { Launcher::Saves } else { Launcher::Creates(0, false) }
            }
            (Launcher::Creates(copy, failed), Move::Create(heard)) => {
                match heard {
                    Heard::NotYet => world.late[usize::from(copy)] = true,
                    _ => world.copies[usize::from(copy)] = true,
                }
                let failed = failed || heard != Heard::Yes;
                match (copy + 1 == self.kind.copies, failed) {
                    (false, _) => Launcher::Creates(copy + 1, failed),
                    (true, true) => Launcher::GivesUp,
                    (true, false) => Launcher::Saves,
                }
            }
            (Launcher::Saves, Move::Save { heard }) => {
                // The launch wrote revision 1 and nobody but it moves a run on from there, except to its end.
                let seen = begun(self.kind, 0);
                let seen = world.run.map_or(seen, |run| Row { due: run.due, lease: run.lease, ..seen });
                let fresh = world.run == Some(seen);
                let (life, _) = step(self.kind, seen, Happening::Provisioned, world.now);
                let written = life.and_then(|row| world.write(fresh, row)).is_some();
                world.shown |= written && heard;
                if written && heard { Launcher::Over } else { Launcher::GivesUp }
            }
            // Read and write are one step here: in between only writers come that make the write fail.
            (Launcher::GivesUp, Move::GiveUp) => {
                if let Some(seen) = world.run.filter(|seen| seen.token == 1) {
                    let (life, _) = step(self.kind, seen, Happening::LaunchFailed, world.now);
                    if let Some(row) = life {
                        let _ = world.write(true, row);
                    }
                }
                Launcher::Over
            }
            _ => Launcher::Over,
        };
    }

    fn decide(&self, world: &mut World, worker: Worker) -> bool {
        let Worker::Decides { seen, fresh, what } = worker else {
            return false;
        };
        let (life, _) = step(self.kind, seen, what, world.now);
        life.is_some_and(|row| world.write(fresh, row).is_some())
    }

    /// Whether a fair end of the world brings the run to its end: everybody dies, the job ends, what was on its way
    /// lands, and one sweep after the other finds what is due.
    fn ends(&self, world: &World) -> bool {
        let mut world = world.clone();
        if world.run.is_none() {
            return world.copies.iter().all(|made| !made);
        }
        world.everybody(|worker| *worker = Worker::Idle);
        world.job = world.job.max(Job::Ended);
        for sweep in 0..4 {
            if world.run.is_some_and(|run| run.due.is_some_and(|due| due <= world.now)) {
                world.cleaners[0] = self.look(&world);
                for _ in 0..24 {
                    self.clean(&mut world, 0);
                }
            }
            if sweep == 2 {
                for copy in 0..usize::from(self.kind.copies) {
                    world.copies[copy] |= std::mem::take(&mut world.late[copy]);
                }
            }
            if world.run.is_some_and(|run| run.state == State::Ended) {
                (0..self.kind.copies).for_each(|copy| world.delete(copy));
            }
            world.now += super::row::PENDING.max(super::row::LEASE);
        }
        let ended = world.run.is_some_and(|run| run.state == State::Ended && run.due.is_none());
        ended && world.wrong.is_none() && world.copies.iter().all(|made| !made)
    }
}

impl Model for Life {
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
            Launcher::Creates(..) => moves.extend([Heard::Yes, Heard::No, Heard::NotYet].map(Move::Create)),
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
                    moves.extend(self.reports(world).map(|what| Move::ReportReads(index, what)))
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
                self.launch(&mut world, moved)
            }
            Move::LaunchDies => world.launcher = Launcher::Over,
            Move::Lands(copy) => {
                let copy = usize::from(copy);
                world.copies[copy] |= std::mem::take(&mut world.late[copy]);
            }
            Move::RepeatReads => {
                let seen = world.run?;
                world.repeater = Worker::Decides { seen, fresh: true, what: Happening::TokensRenewed };
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
            Move::Looks(index) => world.cleaners[usize::from(index)] = self.look(&world),
            Move::Cleans(index) => self.clean(&mut world, usize::from(index)),
            Move::CleanerDies(index) => world.cleaners[usize::from(index)] = Worker::Idle,
            Move::SweepsOrphan(copy) => world.delete(copy),
        }
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no early deletion, no way back, no launch undone", |_, world: &World| {
                world.wrong.is_none()
            }),
            Property::always("no copy without an intent", |_, world: &World| {
                world.run.is_some() || world.copies.iter().chain(&world.late).all(|made| !made)
            }),
            Property::always("a live run has all of its copies", |_, world: &World| {
                let live = world.run.is_some_and(|run| matches!(run.state, State::Pending | State::Running));
                !live || world.copies.iter().all(|made| *made)
            }),
            Property::always("one effect", |_, world: &World| {
                world.endings <= 1 && world.ends <= 1 && world.claims <= 1
            }),
            Property::always(
                "from everywhere a run comes to its end, with nothing left",
                |life: &Self, world: &World| life.ends(world),
            ),
            Property::sometimes("a run ends", |_, world: &World| world.ends == 1),
            Property::sometimes("a launch is answered", |_, world: &World| world.shown),
        ]
    }
}

impl Life {
    /// What a client may report now. A head job is recorded only where AWS Batch says that it is not final.
    fn reports(&self, world: &World) -> impl Iterator<Item = Happening> + use<> {
        let running = matches!(world.job, Job::FirstAttempt | Job::BetweenAttempts | Job::SecondAttempt);
        let batch = self.has_job && running;
        let claims = self.kind.claims;
        [
            Happening::SignOfLife,
            Happening::Reported,
            Happening::HeadJobRecorded,
            Happening::Claimed,
            Happening::ClaimRefused,
        ]
        .into_iter()
        .filter(move |what| match what {
            Happening::HeadJobRecorded => batch,
            Happening::Claimed => claims,
            Happening::ClaimRefused => false,
            _ => true,
        })
    }
}
