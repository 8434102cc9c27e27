//! Extends the leases of live runs after a restore. Until the table is reconciled, no copy is
//! deleted and no run ends.

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;

use super::advance::advance;
use super::clean_up::Cleaner;
use crate::context::Context;
use crate::ids::RunId;
use crate::run::Event;
use crate::{Error, Result, log};

/// The result of one pass.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExtendedLeases {
    /// Live runs in the restored table.
    pub live: u32,
    /// Runs whose lease could not be extended.
    pub failed: u32,
}

/// The maximum number of runs in one pass: in practice, all live runs.
const MAX_RUNS: u32 = 100_000;
/// Runs written concurrently.
const CONCURRENCY: usize = 8;

impl Cleaner {
    /// Extends every live run of a restored table past the period that the restore lost (see
    /// [`Event::Restored`]). Idempotent. The next pass retries failures.
    pub async fn extend_leases(&self, context: &Context<'_>) -> Result<ExtendedLeases> {
        // Every run that has not ended is due at some time.
        let live = self.store.due_runs(Timestamp::MAX, MAX_RUNS).await?;
        let mut extended = ExtendedLeases { live: u32::try_from(live.len()).unwrap_or(u32::MAX), failed: 0 };
        let done: Vec<_> = stream::iter(live)
            .map(async |id| (self.extend_lease(&id, context).await, id))
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;
        for (outcome, id) in done {
            if let Err(error) = outcome {
                extended.failed += 1;
                log::error(&error).run(&id).error("could not extend the lease of a run");
            }
        }
        Ok(extended)
    }

    async fn extend_lease(&self, id: &RunId, context: &Context<'_>) -> Result<()> {
        let Some(run) = self.store.run(id).await? else {
            return Ok(());
        };
        match advance(&*self.store, &run, Event::Restored, context).await {
            // Changed concurrently: the next pass decides again.
            Ok(_) | Err(Error::VersionConflict) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
