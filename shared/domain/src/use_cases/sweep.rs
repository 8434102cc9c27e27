//! The sweep: what no event brought to an end.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _};

use super::clean_up::{Cleaner, CleanupOutcome};
use crate::context::Context;
use crate::ids::RunId;
use crate::ports::{CopyStatus, FoundCopy};
use crate::run::State;
use crate::{Result, log};

/// What a sweep saw and did: every field becomes a metric.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SweepSummary {
    /// Runs that were due.
    pub due: u32,
    /// Runs that ended with this sweep.
    pub ended: u32,
    /// Runs that could not be looked at, and stay due.
    pub failed: u32,
    /// Copies of ended runs that were still there when they were described.
    pub orphans: u32,
    /// Orphans that could not be removed.
    pub orphans_failed: u32,
    /// Copies of runs that nobody knows, left alone until their latest end.
    pub unknown: u32,
    /// How long the longest due run had been due when this sweep came to it, in seconds; 0 where none was.
    pub longest_due_seconds: i64,
}

/// Runs taken up by one sweep. The next sweep takes up the rest.
const MAX_RUNS: u32 = 500;
/// Runs and copies looked at side by side.
const AT_ONCE: usize = 8;

impl Cleaner {
    /// Looks at every run that is due, then at every copy that carries our tag. What fails stays for the next sweep.
    pub async fn sweep(&self, context: &Context<'_>) -> Result<SweepSummary> {
        let mut swept = SweepSummary::default();
        let due = self.store.due_runs(context.now, MAX_RUNS).await?;
        let looks: Vec<_> = stream::iter(due)
            .map(async |id| (self.inspect_and_time(&id, context).await, id))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for ((overdue, look), id) in looks {
            swept.due += 1;
            swept.longest_due_seconds = swept.longest_due_seconds.max(overdue);
            match look {
                Ok(CleanupOutcome::Ended) => swept.ended += 1,
                Ok(CleanupOutcome::Unchanged) => {}
                Err(error) => {
                    swept.failed += 1;
                    log::error(&error).run(&id).error("a run could not be cleaned up");
                }
            }
        }
        self.sweep_orphans(&mut swept, context).await?;
        Ok(swept)
    }

    /// A look, and for how many seconds the run had been due before it, by its own row: the index may nominate one that
    /// has been renewed since.
    async fn inspect_and_time(&self, id: &RunId, context: &Context<'_>) -> (i64, Result<CleanupOutcome>) {
        match self.store.run(id).await {
            Ok(Some(run)) => {
                let overdue = run.lifecycle.due.map_or(0, |due| context.now.duration_since(due).as_secs());
                (overdue.max(0), self.inspect_run(run, context).await)
            }
            Ok(None) => (0, Ok(CleanupOutcome::Unchanged)),
            Err(error) => (0, Err(error)),
        }
    }

    /// Copies whose run is over are orphans. A copy of an unknown run may belong to a table that was restored: it is
    /// left alone until its own latest end. The list may be five minutes old, so that each orphan is described before it
    /// counts.
    async fn sweep_orphans(&self, swept: &mut SweepSummary, context: &Context<'_>) -> Result<()> {
        let mut by_run: BTreeMap<Option<String>, Vec<FoundCopy>> = BTreeMap::new();
        for copy in self.copies.list_copies(&context.settings.deployment).await? {
            by_run.entry(copy.run.clone()).or_default().push(copy);
        }
        for (run, copies) in by_run {
            let is_over = |copy: &FoundCopy| copy.not_after.is_some_and(|latest| latest <= context.now);
            let known = match run.as_deref().map(RunId::new) {
                Some(Ok(id)) => self.state_of(&id, copies.iter().any(is_over), context).await,
                _ => Ok(None),
            };
            for copy in copies {
                match &known {
                    Ok(Some(State::Ended)) => {}
                    Ok(Some(_)) => continue,
                    Ok(None) if is_over(&copy) => {}
                    Ok(None) => {
                        swept.unknown += 1;
                        continue;
                    }
                    // One row that cannot be read keeps its own copies, and no other run's.
                    Err(error) => {
                        swept.orphans_failed += 1;
                        log::error(error).error("the run of a copy could not be read");
                        continue;
                    }
                }
                let deleted = match self.is_still_there(&copy, context).await {
                    Ok(false) => continue,
                    Ok(true) => {
                        swept.orphans += 1;
                        self.delete_copy(&copy.name).await
                    }
                    Err(error) => Err(error),
                };
                if let Err(error) = deleted {
                    swept.orphans_failed += 1;
                    log::error(&error).error("an orphan could not be removed");
                }
            }
        }
        Ok(())
    }

    /// How a run stands. One that lives past the latest end of its copies is looked at first: nothing may have nominated
    /// it, for other functions write when it is due.
    async fn state_of(&self, id: &RunId, over: bool, context: &Context<'_>) -> Result<Option<State>> {
        let run = self.store.run(id).await?;
        match run {
            Some(run) if over && run.lifecycle.state != State::Ended => {
                self.inspect_run(run, context).await?;
                Ok(self.store.run(id).await?.map(|run| run.lifecycle.state))
            }
            run => Ok(run.map(|run| run.lifecycle.state)),
        }
    }

    /// Whether a copy that was listed is there now, with the same tags.
    async fn is_still_there(&self, copy: &FoundCopy, context: &Context<'_>) -> Result<bool> {
        let found = self.copies.describe_copy(&copy.name).await?;
        Ok(matches!(found, CopyStatus::Found { deployment, run }
            if deployment.as_deref() == Some(context.settings.deployment.as_str()) && run == copy.run))
    }
}

#[cfg(test)]
mod tests;
