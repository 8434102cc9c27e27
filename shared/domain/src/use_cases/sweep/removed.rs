//! Ending the runs of deleted workspaces and removed users.

use futures_util::future::ready;
use futures_util::stream::{self, StreamExt as _};

use super::{BATCH, CONCURRENCY, SweepSummary, Unreachable};
use crate::context::Context;
use crate::ports::LiveRuns;
use crate::run::{Event, Run};
use crate::use_cases::clean_up::{Cleaner, CleanupOutcome};
use crate::{Result, log};

/// The runs of a deleted workspace that a sweep looks at: more than the highest limit of live runs
/// allows.
const MOST_LISTED: u32 = 20_000;

impl Cleaner {
    /// Ends the live runs of deleted workspaces, a batch of each. A failure does not stop the rest
    /// of the sweep, and the next sweep repeats it.
    pub(super) async fn sweep_removed(
        &self,
        swept: &mut SweepSummary,
        unreachable: &Unreachable,
        context: &Context<'_>,
    ) {
        let ended = async {
            let mut outcomes = Vec::new();
            for removed in self.store.removed().await? {
                let listed = self.store.live_runs(removed.scope, LiveRuns::All, MOST_LISTED).await?;
                // The index also lists runs that have ended and wait for their environment. They
                // must not hide the others.
                let live = stream::iter(listed)
                    .map(async |listed| (self.store.run(&listed.id).await, listed.id))
                    .buffer_unordered(CONCURRENCY)
                    .filter(|(run, _)| ready(!has_ended(run)))
                    .take(BATCH as usize)
                    .collect::<Vec<_>>()
                    .await;
                let ends = stream::iter(live)
                    .map(async |(run, id)| (self.end_of_removed(run, unreachable, context).await, id));
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
                Ok(CleanupOutcome::Abandoned) => swept.abandoned += 1,
                Ok(CleanupOutcome::Unchanged | CleanupOutcome::Unreachable) => {}
                Err(error) => {
                    swept.failed += 1;
                    log::error(&error).run(&id).error("could not end a run of a deleted workspace");
                }
            }
        }
    }

    async fn end_of_removed(
        &self,
        run: Result<Option<Run>>,
        unreachable: &Unreachable,
        context: &Context<'_>,
    ) -> Result<CleanupOutcome> {
        match run? {
            Some(run) => self.try_to_apply(run, &Event::OwnerRemoved, unreachable, context).await,
            None => Ok(CleanupOutcome::Unchanged),
        }
    }
}

/// Whether there is nothing to end. A run that could not be read may be live.
fn has_ended(run: &Result<Option<Run>>) -> bool {
    match run {
        Ok(run) => !run.as_ref().is_some_and(|run| run.lifecycle.state.is_live()),
        Err(_) => false,
    }
}
