//! While a table that was restored is not reconciled yet: nothing is removed, and no run is let go.

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;

use super::advance::advance;
use super::clean_up::Cleaner;
use crate::context::Context;
use crate::ids::RunId;
use crate::run::Event;
use crate::{Error, Result, log};

/// What holding saw and did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExtendedLeases {
    /// Runs that the restored table takes for live.
    pub live: u32,
    /// Runs that could not be held with this attempt.
    pub failed: u32,
}

/// Runs taken up at once by one pass: all that are live, in practice.
const MAX_RUNS: u32 = 100_000;
/// Runs written side by side.
const AT_ONCE: usize = 8;

impl Cleaner {
    /// Makes every live run of a restored table outlast the time that the table has forgotten (see
    /// [`Event::Restored`]). Idempotent; what fails is done by the next pass.
    pub async fn extend_leases(&self, context: &Context<'_>) -> Result<ExtendedLeases> {
        // Whatever something will ever be due for: every run that has not ended.
        let live = self.store.due_runs(Timestamp::MAX, MAX_RUNS).await?;
        let mut held = ExtendedLeases { live: u32::try_from(live.len()).unwrap_or(u32::MAX), failed: 0 };
        let done: Vec<_> = stream::iter(live)
            .map(async |id| (self.extend_lease(&id, context).await, id))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (outcome, id) in done {
            if let Err(error) = outcome {
                held.failed += 1;
                log::error(&error).run(&id).error("could not extend the lease of a run");
            }
        }
        Ok(held)
    }

    async fn extend_lease(&self, id: &RunId, context: &Context<'_>) -> Result<()> {
        let Some(run) = self.store.run(id).await? else {
            return Ok(());
        };
        match advance(&*self.store, &run, Event::Restored, context).await {
            // Written meanwhile: the next pass decides again.
            Ok(_) | Err(Error::VersionConflict) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
