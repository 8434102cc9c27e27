//! The sweep ends runs that no event has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use jiff::SignedDuration;

use super::clean_up::{Cleaner, CleanupOutcome};
use crate::context::Context;
use crate::ids::RunId;
use crate::ports::{CopyStatus, FoundCopy};
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
    /// Runs with copies that a head job keeps live past their latest end.
    pub overdue_head_jobs: u32,
    /// How long the longest due run had been due when this sweep inspected it, in seconds; 0 if
    /// none was due.
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

impl Cleaner {
    /// Inspects every run that is due, then every copy with our tag. Runs that fail are put off, so
    /// they do not block later ones.
    pub async fn sweep(&self, context: &Context<'_>) -> Result<SweepSummary> {
        let mut swept = SweepSummary::default();
        self.sweep_removed(&mut swept, context).await;
        self.sweep_runs(&mut swept, context).await?;
        self.sweep_orphans(&mut swept, context).await?;
        Ok(swept)
    }

    /// Ends the live runs of deleted workspaces. A failure does not stop the rest of the sweep, and
    /// the next sweep repeats it.
    async fn sweep_removed(&self, swept: &mut SweepSummary, context: &Context<'_>) {
        let ended = async {
            let mut outcomes = Vec::new();
            for removed in self.store.removed().await? {
                let live = self.store.live_runs(removed.scope, BATCH).await?;
                let ends = stream::iter(live)
                    .map(async |live| (self.end_of_removed(&live.id, context).await, live.id));
                outcomes.extend(ends.buffer_unordered(CONCURRENCY).collect::<Vec<_>>().await);
            }
            Ok(outcomes)
        };
        let outcomes = ended.await.unwrap_or_else(|error| {
            swept.failed += 1;
            log::error(&error).error("could not find the runs of a deleted workspace");
            Vec::new()
        });
        for (outcome, id) in outcomes {
            match outcome {
                Ok(CleanupOutcome::Ended) => swept.ended += 1,
                Ok(CleanupOutcome::Unchanged) => {}
                Err(error) => {
                    swept.failed += 1;
                    log::error(&error).run(&id).error("could not end a run of a deleted workspace");
                }
            }
        }
    }

    async fn end_of_removed(&self, id: &RunId, context: &Context<'_>) -> Result<CleanupOutcome> {
        match self.store.run(id).await? {
            Some(run) => self.apply(run, &Event::OwnerRemoved, context).await,
            None => Ok(CleanupOutcome::Unchanged),
        }
    }

    /// Inspects runs that are due, longest due first, until none is left or the time is up.
    async fn sweep_runs(&self, swept: &mut SweepSummary, context: &Context<'_>) -> Result<()> {
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
                .map(async |id| (self.inspect_or_postpone(&id, context).await, id))
                .buffer_unordered(CONCURRENCY)
                .collect()
                .await;
            for ((overdue, outcome), id) in outcomes {
                swept.due += 1;
                swept.longest_due_seconds = swept.longest_due_seconds.max(overdue);
                match outcome {
                    Ok(CleanupOutcome::Ended) => swept.ended += 1,
                    Ok(CleanupOutcome::Unchanged) => {}
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
    async fn inspect_or_postpone(&self, id: &RunId, context: &Context<'_>) -> (i64, Result<CleanupOutcome>) {
        let (overdue, outcome) = match self.store.run(id).await {
            Ok(Some(run)) => {
                let overdue =
                    run.lifecycle.due.map_or(SignedDuration::ZERO, |due| context.now.duration_since(due));
                (Some(overdue.max(SignedDuration::ZERO)), self.inspect_run(run, context).await)
            }
            Ok(None) => (Some(SignedDuration::ZERO), Ok(CleanupOutcome::Unchanged)),
            Err(error) => (None, Err(error)),
        };
        if outcome.is_err() {
            let delay = overdue.unwrap_or(LONGEST_DELAY).clamp(SHORTEST_DELAY, LONGEST_DELAY);
            if let Err(error) = self.store.postpone_inspection(id, context.now, context.now + delay).await {
                log::error(&error).run(id).error("could not put off a run that could not be cleaned up");
            }
        }
        (overdue.map_or(0, |overdue| overdue.as_secs()), outcome)
    }

    /// Deletes orphans: copies whose run has ended. A copy of an unknown run is kept until its
    /// latest end, because it may belong to a restored table. The list of copies can be five
    /// minutes old, so each orphan is described before it is counted.
    async fn sweep_orphans(&self, swept: &mut SweepSummary, context: &Context<'_>) -> Result<()> {
        let mut by_run: BTreeMap<Option<String>, Vec<FoundCopy>> = BTreeMap::new();
        for copy in self.copies.list_copies(&context.settings.deployment).await? {
            by_run.entry(copy.run.clone()).or_default().push(copy);
        }
        for (run, copies) in by_run {
            let is_over = |copy: &FoundCopy| copy.not_after.is_some_and(|latest| latest <= context.now);
            let known = match run.as_deref().map(RunId::new) {
                Some(Ok(id)) => self.run_of_copies(&id, copies.iter().any(is_over), context).await,
                _ => Ok(None),
            };
            if matches!(&known, Ok(Some(run)) if run.is_overdue_by_head_job(context.now)) {
                swept.overdue_head_jobs += 1;
            }
            let known = known.map(|run| run.map(|run| run.lifecycle.state));
            for copy in copies {
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
                let deleted = match self.still_exists(&copy, context).await {
                    Ok(false) => continue,
                    Ok(true) => {
                        swept.orphans += 1;
                        self.delete_copy(&copy.name).await
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
    async fn run_of_copies(&self, id: &RunId, over: bool, context: &Context<'_>) -> Result<Option<Run>> {
        let run = self.store.run(id).await?;
        match run {
            Some(run) if over && run.lifecycle.state != State::Ended => {
                self.inspect_run(run, context).await?;
                self.store.run(id).await
            }
            run => Ok(run),
        }
    }

    /// Whether a listed copy still exists, with the same tags.
    async fn still_exists(&self, copy: &FoundCopy, context: &Context<'_>) -> Result<bool> {
        let found = self.copies.describe_copy(&copy.name).await?;
        Ok(matches!(found, CopyStatus::Found { deployment, run }
            if deployment.as_deref() == Some(context.settings.deployment.as_str()) && run == copy.run))
    }
}

#[cfg(test)]
mod tests;
