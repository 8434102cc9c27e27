//! The sweep ends runs that no event has ended.

mod removed;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use jiff::SignedDuration;

use super::clean_up::{Cleaner, CleanupOutcome, delete_copy};
use crate::context::Context;
use crate::environment::{Environment, ExternalId, ListedEnvironment, Region, RoleArn, Target};
use crate::ids::RunId;
use crate::owner::SecretOwner;
use crate::ports::{CopyStatus, FoundCopy, RemoveCopies};
use crate::run::{Event, Run, State};
use crate::{Result, log};

/// The result of a sweep. Every field becomes a metric.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SweepSummary {
    /// Runs that were due.
    pub due: u32,
    /// Runs that ended with this sweep.
    pub ended: u32,
    /// Runs that could not be inspected. They are put off.
    pub failed: u32,
    /// Copies of ended runs that still existed when they were described.
    pub orphans: u32,
    /// Orphans that could not be deleted.
    pub orphans_failed: u32,
    /// Copies of unknown runs, kept until their latest end.
    pub unknown: u32,
    /// Environments that could not be used. Their runs are put off.
    pub unreachable: u32,
    /// Runs that ended with this sweep although copies may be left in their environment.
    pub abandoned: u32,
    /// Runs with copies that a head job keeps live past their latest end.
    pub overdue_head_jobs: u32,
    /// How long the longest due run had been due when this sweep inspected it, in seconds; 0 if
    /// none was due. Runs whose environments cannot be used do not count.
    pub longest_due_seconds: i64,
}

/// The number of runs in a batch. The sweep reads the next batch after it.
const BATCH: u32 = 100;
/// The minimum remaining time for another batch: enough for one batch of slow calls.
const LAST_BATCH: Duration = Duration::from_secs(90);
/// Runs and copies inspected concurrently.
const CONCURRENCY: usize = 8;
/// A run that could not be inspected is put off by the time that it has been due, so the delay
/// doubles, within these bounds. If its row could not be read, it is put off by the longest delay.
const SHORTEST_DELAY: SignedDuration = SignedDuration::from_mins(1);
const LONGEST_DELAY: SignedDuration = SignedDuration::from_mins(30);

/// Each sweep looks for orphans in one of this many parts of the environments. With a sweep every
/// five minutes, it looks in each once an hour.
const TURNS: i64 = 12;
const SECONDS_BETWEEN_SWEEPS: i64 = 300;

/// The environments that failed in this sweep. Their other runs are put off without a call: 600
/// calls that time out would fill the sweep. The growing delay of each run keeps one that always
/// fails from holding up the others.
#[derive(Default)]
struct Unreachable(RefCell<BTreeSet<(RoleArn, Region, ExternalId)>>);

impl Unreachable {
    fn contains(&self, environment: &Environment) -> bool {
        self.0.borrow().contains(&Self::key(environment))
    }

    fn add(&self, environment: &Environment) {
        self.0.borrow_mut().insert(Self::key(environment));
    }

    /// A role can refuse an old external id and accept a new one.
    fn key(Environment { role, region, external_id, .. }: &Environment) -> (RoleArn, Region, ExternalId) {
        (role.clone(), region.clone(), external_id.clone())
    }

    fn count(&self) -> u32 {
        u32::try_from(self.0.borrow().len()).unwrap_or(u32::MAX)
    }
}

impl Cleaner {
    /// Inspects every run that is due, then every copy with our tag. Runs that fail are put off, so
    /// they do not block later ones.
    pub async fn sweep(&self, context: &Context<'_>) -> Result<SweepSummary> {
        let mut swept = SweepSummary::default();
        let unreachable = Unreachable::default();
        self.sweep_removed(&mut swept, &unreachable, context).await;
        self.sweep_runs(&mut swept, &unreachable, context).await?;
        let home = self.home();
        self.sweep_orphans(&*home.copies, None, &unreachable, &mut swept, context).await?;
        self.sweep_environments(&unreachable, &mut swept, context).await?;
        swept.unreachable = unreachable.count();
        Ok(swept)
    }

    /// Looks for orphans in the environments whose turn it is, while there is time. One that cannot
    /// be used does not stop the others. A deleted one does not count as unreachable: its owner can
    /// delete the role at any time, and the runs that are still there count themselves.
    async fn sweep_environments(
        &self,
        unreachable: &Unreachable,
        swept: &mut SweepSummary,
        context: &Context<'_>,
    ) -> Result<()> {
        let mut seen = BTreeSet::new();
        let turn = context.now.as_second().div_euclid(SECONDS_BETWEEN_SWEEPS).rem_euclid(TURNS);
        for listed in self.store.targets().await? {
            let is_over = listed.is_over(context.now);
            let ListedEnvironment { environment, workspace, kept_until } = listed;
            let letters: i64 = environment.id.as_str().bytes().map(i64::from).sum();
            if letters % TURNS != turn || is_over || unreachable.contains(&environment) {
                continue;
            }
            // A deleted environment stays listed, and its credentials can be used again.
            if !seen.insert((workspace, Unreachable::key(&environment))) {
                continue;
            }
            if context.backoff.remaining() < LAST_BATCH {
                return Ok(());
            }
            let swept_here = match self.environments.remove_at(&environment, None).await {
                Ok(session) => {
                    let scope = Some(SecretOwner::Workspace(workspace));
                    self.sweep_orphans(&*session.copies, scope, unreachable, swept, context).await
                }
                Err(error) => Err(error),
            };
            match swept_here {
                Err(error) if kept_until.is_some() => {
                    log::error(&error).info("could not look for orphans in a deleted environment");
                }
                Err(error) => {
                    unreachable.add(&environment);
                    log::error(&error).warn("could not look for orphans in an environment");
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Inspects runs that are due, longest due first, until none is left or the time is up.
    async fn sweep_runs(
        &self,
        swept: &mut SweepSummary,
        unreachable: &Unreachable,
        context: &Context<'_>,
    ) -> Result<()> {
        let mut inspected = BTreeSet::new();
        loop {
            // The index is eventually consistent: it may still list runs that were just inspected.
            let limit = BATCH.saturating_add(u32::try_from(inspected.len()).unwrap_or(u32::MAX));
            let mut due = self.store.due_runs(context.now, limit).await?;
            due.retain(|id| !inspected.contains(id));
            due.truncate(BATCH as usize);
            if due.is_empty() {
                return Ok(());
            }
            let outcomes: Vec<_> = stream::iter(due)
                .map(async |id| (self.inspect_or_postpone(&id, unreachable, context).await, id))
                .buffer_unordered(CONCURRENCY)
                .collect()
                .await;
            for ((overdue, outcome), id) in outcomes {
                swept.due += 1;
                // A run that waits for its environment has its own metric.
                if !matches!(outcome, Ok(CleanupOutcome::Unreachable | CleanupOutcome::Abandoned)) {
                    swept.longest_due_seconds = swept.longest_due_seconds.max(overdue);
                }
                match outcome {
                    Ok(CleanupOutcome::Ended) => swept.ended += 1,
                    Ok(CleanupOutcome::Abandoned) => swept.abandoned += 1,
                    Ok(CleanupOutcome::Unchanged | CleanupOutcome::Unreachable) => {}
                    Err(error) => {
                        swept.failed += 1;
                        log::error(&error).run(&id).error("could not clean up a run");
                    }
                }
                inspected.insert(id);
            }
            if context.backoff.remaining() < LAST_BATCH {
                return Ok(());
            }
        }
    }

    /// Inspects a run, and puts it off if that fails. Also returns for how many seconds it had been
    /// due, from its row: the index may still list a run whose lease was renewed.
    async fn inspect_or_postpone(
        &self,
        id: &RunId,
        unreachable: &Unreachable,
        context: &Context<'_>,
    ) -> (i64, Result<CleanupOutcome>) {
        let (overdue, outcome) = match self.store.run(id).await {
            Ok(Some(run)) => {
                let overdue =
                    run.lifecycle.due.map_or(SignedDuration::ZERO, |due| context.now.duration_since(due));
                (
                    Some(overdue.max(SignedDuration::ZERO)),
                    self.try_to_apply(run, &Event::Inspected, unreachable, context).await,
                )
            }
            Ok(None) => (Some(SignedDuration::ZERO), Ok(CleanupOutcome::Unchanged)),
            Err(error) => (None, Err(error)),
        };
        if matches!(outcome, Err(_) | Ok(CleanupOutcome::Unreachable)) {
            let delay = overdue.unwrap_or(LONGEST_DELAY).clamp(SHORTEST_DELAY, LONGEST_DELAY);
            if let Err(error) = self.store.postpone_inspection(id, context.now, context.now + delay).await {
                log::error(&error).run(id).error("could not put off a run that could not be cleaned up");
            }
        }
        (overdue.map_or(0, |overdue| overdue.as_secs()), outcome)
    }

    /// Applies an event to a run, without a call to its environment if that has already failed in
    /// this sweep.
    async fn try_to_apply(
        &self,
        run: Run,
        event: &Event,
        unreachable: &Unreachable,
        context: &Context<'_>,
    ) -> Result<CleanupOutcome> {
        let Target::Elsewhere(environment) = run.target.clone() else {
            return self.apply(run, event, true, context).await;
        };
        let usable = !unreachable.contains(&environment);
        let outcome = self.apply(run, event, usable, context).await;
        if matches!(outcome, Ok(CleanupOutcome::Unreachable | CleanupOutcome::Abandoned)) {
            unreachable.add(&environment);
        }
        outcome
    }

    /// Deletes orphans: copies whose run has ended. A copy of an unknown run is kept until its
    /// latest end, because it may belong to a restored table. The list of copies can be five
    /// minutes old, so each orphan is described before it is counted. In an environment, only the
    /// copies of its workspace count: the account may be that of other environments, too.
    async fn sweep_orphans(
        &self,
        target: &dyn RemoveCopies,
        scope: Option<SecretOwner>,
        unreachable: &Unreachable,
        swept: &mut SweepSummary,
        context: &Context<'_>,
    ) -> Result<()> {
        let mut by_run: BTreeMap<Option<String>, Vec<FoundCopy>> = BTreeMap::new();
        for copy in target.list_copies(&context.settings.deployment).await? {
            if scope.is_none() || copy.scope == scope {
                by_run.entry(copy.run.clone()).or_default().push(copy);
            }
        }
        // The owner of an environment's account could make copies that fill the sweep.
        let is_late = || scope.is_some() && context.backoff.remaining() < LAST_BATCH;
        for (run, copies) in by_run {
            let is_over = |copy: &FoundCopy| copy.not_after.is_some_and(|latest| latest <= context.now);
            let known = match run.as_deref().map(RunId::new) {
                Some(Ok(id)) => {
                    self.run_of_copies(&id, copies.iter().any(is_over), unreachable, context).await
                }
                _ => Ok(None),
            };
            if matches!(&known, Ok(Some(run)) if run.is_overdue_by_head_job(context.now)) {
                swept.overdue_head_jobs += 1;
            }
            let known = known.map(|run| run.map(|run| run.lifecycle.state));
            for copy in copies {
                if is_late() {
                    return Ok(());
                }
                match &known {
                    Ok(Some(State::Ended)) => {}
                    Ok(Some(_)) => continue,
                    Ok(None) if is_over(&copy) => {}
                    Ok(None) => {
                        swept.unknown += 1;
                        continue;
                    }
                    // A row that cannot be read affects only the copies of its own run.
                    Err(error) => {
                        swept.orphans_failed += 1;
                        log::error(error).error("could not read the run of a copy");
                        continue;
                    }
                }
                let deleted = match still_exists(target, &copy, context).await {
                    Ok(false) => continue,
                    Ok(true) => {
                        swept.orphans += 1;
                        delete_copy(target, &copy.name).await
                    }
                    Err(error) => Err(error),
                };
                if let Err(error) = deleted {
                    swept.orphans_failed += 1;
                    log::error(&error).error("could not remove an orphan");
                }
            }
        }
        Ok(())
    }

    /// Returns the run of copies. A run that is past its latest end is inspected first: the index
    /// may not list it, because other functions write its due time.
    async fn run_of_copies(
        &self,
        id: &RunId,
        over: bool,
        unreachable: &Unreachable,
        context: &Context<'_>,
    ) -> Result<Option<Run>> {
        let run = self.store.run(id).await?;
        match run {
            Some(run) if over && run.lifecycle.state != State::Ended => {
                self.try_to_apply(run, &Event::Inspected, unreachable, context).await?;
                self.store.run(id).await
            }
            run => Ok(run),
        }
    }
}

/// Whether a listed copy still exists, with the same tags.
async fn still_exists(target: &dyn RemoveCopies, copy: &FoundCopy, context: &Context<'_>) -> Result<bool> {
    let found = target.describe_copy(&copy.name).await?;
    Ok(matches!(found, CopyStatus::Found { deployment, run }
        if deployment.as_deref() == Some(context.settings.deployment.as_str()) && run == copy.run))
}

#[cfg(test)]
mod tests;
