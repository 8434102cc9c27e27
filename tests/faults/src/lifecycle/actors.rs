//! Everybody who writes a run: a launch, a repeat of it, reports, a head job with two attempts, cleaners, each reading,
//! then writing only where nobody wrote in between, each dying anywhere.

use domain::run::{Action as Todo, State};

use super::model::{Delivery, Lifecycle, Move};
use super::row::{LEASE, ModelEvent, PENDING, Result, Row, begun, step};

/// Everything at one moment.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct World {
    pub(super) now: u8,
    pub(super) run: Option<Row>,
    pub(super) copies: Vec<bool>,
    pub(super) late: Vec<bool>,
    pub(super) launcher: Launcher,
    pub(super) repeater: Worker,
    pub(super) reporters: Vec<Worker>,
    pub(super) cleaners: Vec<Worker>,
    pub(super) job: Job,
    /// Whether a client holds the tokens.
    pub(super) shown: bool,
    pub(super) endings: u8,
    pub(super) ends: u8,
    pub(super) claims: u8,
    pub(super) wrong: Option<&'static str>,
}

/// How far the launch is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Launcher {
    Begins,
    /// Creates this copy; whether one failed already.
    Creates(u8, bool),
    Saves,
    GivesUp,
    Over,
}

/// Somebody who reads the run and writes it later.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Worker {
    Idle,
    /// Read this, and will apply that; `fresh` until anybody writes.
    Decides {
        seen: Row,
        fresh: bool,
        what: ModelEvent,
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
pub(super) enum Job {
    NotYet,
    FirstAttempt,
    BetweenAttempts,
    SecondAttempt,
    Ended,
    Forgotten,
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

    pub(super) fn delete(&mut self, copy: u8) {
        let running = matches!(self.job, Job::FirstAttempt | Job::BetweenAttempts | Job::SecondAttempt);
        match self.run {
            Some(run) if run.state < State::Ending => self.wrong = Some("a copy of a live run was deleted"),
            Some(run) if run.job && running => {
                self.wrong = Some("a copy was deleted under a running head job");
            }
            _ => {}
        }
        self.copies[usize::from(copy)] = false;
    }

    /// What DescribeJobs says.
    fn sighting(&self) -> ModelEvent {
        match self.job {
            Job::NotYet | Job::Forgotten => ModelEvent::SeenUnknown,
            Job::Ended => ModelEvent::SeenFinal,
            _ => ModelEvent::SeenRunning,
        }
    }
}

impl Lifecycle {
    /// One step of a cleaner: what `use_cases::clean_up` does.
    pub(super) fn clean(&self, world: &mut World, index: usize) {
        world.cleaners[index] = match world.cleaners[index] {
            Worker::Idle => Worker::Idle,
            Worker::Decides { seen, fresh, what } => {
                let (lifecycle, todo) = step(self.kind, seen, what, world.now);
                let seen = lifecycle.unwrap_or(seen);
                let written = lifecycle.is_none_or(|row| world.write(fresh, row).is_some());
                // Its own write leaves what it holds fresh.
                let fresh = if lifecycle.is_some() { true } else { fresh };
                match todo {
                    _ if !written => self.inspect(world),
                    _ if seen.state == State::Ended => Worker::Idle,
                    None => Worker::Idle,
                    Some(Todo::RemoveCopies) => Worker::Describes { seen, fresh, copy: 0 },
                    Some(Todo::ObserveHeadJob) => Worker::Observes { seen, fresh },
                }
            }
            Worker::Describes { seen, fresh, copy } if copy == self.kind.copies => {
                Worker::Decides { seen, fresh, what: ModelEvent::CopiesDeleted }
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
    pub(super) fn inspect(&self, world: &World) -> Worker {
        match world.run {
            Some(seen) => Worker::Decides { seen, fresh: true, what: ModelEvent::Inspected },
            None => Worker::Idle,
        }
    }

    pub(super) fn launch(&self, world: &mut World, moved: Move) {
        world.launcher = match (world.launcher, moved) {
            (Launcher::Begins, Move::Begin) => {
                world.run = Some(begun(world.now));
                if self.kind.copies == 0 { Launcher::Saves } else { Launcher::Creates(0, false) }
            }
            (Launcher::Creates(copy, failed), Move::Create(heard)) => {
                match heard {
                    Delivery::NotYet => world.late[usize::from(copy)] = true,
                    _ => world.copies[usize::from(copy)] = true,
                }
                let failed = failed || heard != Delivery::Yes;
                match (copy + 1 == self.kind.copies, failed) {
                    (false, _) => Launcher::Creates(copy + 1, failed),
                    (true, true) => Launcher::GivesUp,
                    (true, false) => Launcher::Saves,
                }
            }
            (Launcher::Saves, Move::Save { heard }) => {
                // The launch wrote revision 1 and nobody but it moves a run on from there, except to its end.
                let seen = begun(0);
                let seen = world.run.map_or(seen, |run| Row { due: run.due, lease: run.lease, ..seen });
                let fresh = world.run == Some(seen);
                let (lifecycle, _) = step(self.kind, seen, ModelEvent::Provisioned, world.now);
                let written = lifecycle.and_then(|row| world.write(fresh, row)).is_some();
                world.shown |= written && heard;
                if written && heard { Launcher::Over } else { Launcher::GivesUp }
            }
            // Read and write are one step here: in between only writers come that make the write fail.
            (Launcher::GivesUp, Move::GiveUp) => {
                if let Some(seen) = world.run.filter(|seen| seen.token == 1) {
                    let (lifecycle, _) = step(self.kind, seen, ModelEvent::LaunchFailed, world.now);
                    if let Some(row) = lifecycle {
                        let _ = world.write(true, row);
                    }
                }
                Launcher::Over
            }
            _ => Launcher::Over,
        };
    }

    pub(super) fn decide(&self, world: &mut World, worker: Worker) -> bool {
        let Worker::Decides { seen, fresh, what } = worker else {
            return false;
        };
        let (lifecycle, _) = step(self.kind, seen, what, world.now);
        lifecycle.is_some_and(|row| world.write(fresh, row).is_some())
    }

    /// Whether a fair end of the world brings the run to its end: everybody dies, the job ends, what was on its way
    /// lands, and one sweep after the other finds what is due.
    pub(super) fn ends(&self, world: &World) -> bool {
        let mut world = world.clone();
        if world.run.is_none() {
            return world.copies.iter().all(|made| !made);
        }
        world.everybody(|worker| *worker = Worker::Idle);
        world.job = world.job.max(Job::Ended);
        for sweep in 0..4 {
            if world.run.is_some_and(|run| run.due.is_some_and(|due| due <= world.now)) {
                world.cleaners[0] = self.inspect(&world);
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
            world.now += PENDING.max(LEASE);
        }
        let ended = world.run.is_some_and(|run| run.state == State::Ended && run.due.is_none());
        ended && world.wrong.is_none() && world.copies.iter().all(|made| !made)
    }
}
