//! The writers of a run: a launch, its retry, reports, a head job with two attempts, cleaners. Each
//! reads the run, and its write succeeds only if no other write came in between. Each can crash at
//! any step.

use domain::run::{Action as Todo, State};

use super::model::{Delivery, Lifecycle, Move};
use super::row::{LEASE, ModelEvent, PENDING, Result, Row, launched_row, step};

/// The state of the model.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct World {
    pub(super) now: u8,
    pub(super) run: Option<Row>,
    pub(super) copies: Vec<bool>,
    pub(super) late: Vec<bool>,
    pub(super) launcher: Launcher,
    pub(super) retrier: Worker,
    pub(super) reporters: Vec<Worker>,
    pub(super) cleaners: Vec<Worker>,
    pub(super) job: Job,
    /// Whether a client has received the tokens.
    pub(super) tokens_sent: bool,
    pub(super) endings: u8,
    pub(super) ends: u8,
    pub(super) claims: u8,
    pub(super) violation: Option<&'static str>,
}

/// The progress of the launch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Launcher {
    Begins,
    /// Creates this copy. The flag is set if an earlier one failed.
    Creates(u8, bool),
    Saves,
    Aborts,
    Over,
}

/// A writer that has read the run and writes it later.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Worker {
    Idle,
    /// Has read `seen` and will apply `what`. `fresh` is false after another write.
    Decides {
        seen: Row,
        fresh: bool,
        what: ModelEvent,
    },
    /// Checks whether this copy exists, then the next.
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
    /// Calls DescribeJobs.
    Observes {
        seen: Row,
        fresh: bool,
    },
}

impl Worker {
    /// Whether its next step is a call in the run's target.
    pub(super) fn calls(self) -> bool {
        self.refused() != Worker::Idle
    }

    /// After such a call was refused, it decides what to do about that.
    pub(super) fn refused(self) -> Self {
        match self {
            Self::Describes { seen, fresh, .. }
            | Self::Deletes { seen, fresh, .. }
            | Self::Observes { seen, fresh } => Self::Decides { seen, fresh, what: ModelEvent::Unreachable },
            Self::Idle | Self::Decides { .. } => Self::Idle,
        }
    }
}

/// The actual state of the head job.
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
    /// Writes the row; `None` if another writer was faster.
    fn write(&mut self, fresh: bool, row: Row) -> Option<()> {
        let before = self.run.filter(|_| fresh)?;
        if row.state < before.state {
            self.violation = Some("a run's state moved backwards");
        }
        self.endings += u8::from(row.state >= State::Ending && before.state < State::Ending);
        self.ends += u8::from(row.state == State::Ended && before.state < State::Ended);
        self.claims += u8::from(row.claimed && !before.claimed);
        if row.job != before.job && before.job {
            self.violation = Some("a head job was lost");
        }
        if row.state >= State::Ending
            && before.state < State::Ending
            && self.tokens_sent
            && row.result == Some(Result::LaunchFailed)
        {
            self.violation = Some("a launch that had been answered was ended as failed");
        }
        self.run = Some(row);
        self.for_each_worker(|worker| match worker {
            Worker::Idle => {}
            Worker::Decides { fresh, .. }
            | Worker::Describes { fresh, .. }
            | Worker::Deletes { fresh, .. }
            | Worker::Observes { fresh, .. } => *fresh = false,
        });
        Some(())
    }

    fn for_each_worker(&mut self, mut action: impl FnMut(&mut Worker)) {
        action(&mut self.retrier);
        self.reporters.iter_mut().chain(&mut self.cleaners).for_each(action);
    }

    pub(super) fn delete(&mut self, copy: u8) {
        let running = matches!(self.job, Job::FirstAttempt | Job::BetweenAttempts | Job::SecondAttempt);
        match self.run {
            Some(run) if run.state < State::Ending => {
                self.violation = Some("a copy of a live run was deleted");
            }
            Some(run) if run.job && running => {
                self.violation = Some("a copy was deleted while its head job was running");
            }
            _ => {}
        }
        self.copies[usize::from(copy)] = false;
    }

    /// The answer of DescribeJobs.
    fn job_status(&self) -> ModelEvent {
        match self.job {
            Job::NotYet | Job::Forgotten => ModelEvent::JobUnknown,
            Job::Ended => ModelEvent::JobFinal,
            _ => ModelEvent::JobRunning,
        }
    }
}

impl Lifecycle {
    /// One step of a cleaner, like `use_cases::clean_up`.
    pub(super) fn clean(&self, world: &mut World, index: usize) {
        world.cleaners[index] = match world.cleaners[index] {
            Worker::Idle => Worker::Idle,
            Worker::Decides { seen, fresh, what } => {
                let (lifecycle, todo) = step(self.kind, seen, what, world.now);
                let seen = lifecycle.unwrap_or(seen);
                let written = lifecycle.is_none_or(|row| world.write(fresh, row).is_some());
                // Its own write keeps its row fresh.
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
            Worker::Observes { seen, fresh } => Worker::Decides { seen, fresh, what: world.job_status() },
        };
    }

    #[expect(clippy::unused_self, reason = "has the same form as the other steps")]
    pub(super) fn inspect(&self, world: &World) -> Worker {
        match world.run {
            Some(seen) => Worker::Decides { seen, fresh: true, what: ModelEvent::Inspected },
            None => Worker::Idle,
        }
    }

    pub(super) fn launch(&self, world: &mut World, moved: Move) {
        world.launcher = match (world.launcher, moved) {
            (Launcher::Begins, Move::Begin) => {
                world.run = Some(launched_row(world.now));
                if self.kind.copies == 0 { Launcher::Saves } else { Launcher::Creates(0, false) }
            }
            (Launcher::Creates(copy, failed), Move::Create(delivery)) => {
                match delivery {
                    Delivery::NotYet => world.late[usize::from(copy)] = true,
                    _ => world.copies[usize::from(copy)] = true,
                }
                let failed = failed || delivery != Delivery::Yes;
                match (copy + 1 == self.kind.copies, failed) {
                    (false, _) => Launcher::Creates(copy + 1, failed),
                    (true, true) => Launcher::Aborts,
                    (true, false) => Launcher::Saves,
                }
            }
            (Launcher::Saves, Move::Save { answered }) => {
                // The launch wrote revision 1. From there, other writers can only end the run.
                let seen = launched_row(0);
                let seen = world.run.map_or(seen, |run| Row { due: run.due, lease: run.lease, ..seen });
                let fresh = world.run == Some(seen);
                let (lifecycle, _) = step(self.kind, seen, ModelEvent::Provisioned, world.now);
                let written = lifecycle.and_then(|row| world.write(fresh, row)).is_some();
                world.tokens_sent |= written && answered;
                if written && answered { Launcher::Over } else { Launcher::Aborts }
            }
            // Read and write are one step here: any write in between would only make this one fail.
            (Launcher::Aborts, Move::Abort) => {
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

    /// Whether the run ends after every worker has crashed, the job has ended, late copies have
    /// landed, and sweeps find what is due.
    pub(super) fn ends(&self, world: &World) -> bool {
        let mut world = world.clone();
        if world.run.is_none() {
            return world.copies.iter().all(|exists| !exists);
        }
        world.for_each_worker(|worker| *worker = Worker::Idle);
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
        ended && world.violation.is_none() && world.copies.iter().all(|exists| !exists)
    }
}
