//! Cleaning up a run: finding out whether it is over, and removing its copies until none is left.

use std::rc::Rc;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::advance::advance;
use super::{as_contended, retry_contended};
use crate::context::Context;
use crate::copies::RunCopy;
use crate::ids::RunId;
use crate::ports::{CopyStatus, FindDueRuns, ObserveJobs, RemoveCopies};
use crate::run::{Action, Event, Run, State};
use crate::{Error, Result};

/// Cleans up runs.
pub struct Cleaner {
    /// The table.
    pub store: Rc<dyn FindDueRuns>,
    /// AWS Batch.
    pub jobs: Rc<dyn ObserveJobs>,
    /// AWS Secrets Manager.
    pub copies: Rc<dyn RemoveCopies>,
}

/// How a look at a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CleanupOutcome {
    /// It goes on, or it was over before.
    Unchanged,
    /// It ended with this look; nothing of it is left.
    Ended,
}

impl Cleaner {
    /// AWS Batch says that something became of a job. An event names a job, it does not prove one: the run is looked
    /// at, which asks DescribeJobs about the head job that is on record. Jobs that are nobody's head job are nothing.
    pub async fn head_job_changed(
        &self,
        region: &str,
        job_id: &str,
        context: &Context<'_>,
    ) -> Result<CleanupOutcome> {
        match self.store.run_of_head_job(region, job_id).await? {
            Some(run) => self.inspect(&run, context).await,
            None => Ok(CleanupOutcome::Unchanged),
        }
    }

    /// Notes the use of a run's secrets: their `lastUsed`.
    pub async fn note_delivery(&self, id: &RunId, now: Timestamp) -> Result<()> {
        let Some(run) = self.store.run(id).await? else {
            return Ok(());
        };
        let at = run.lifecycle.delivered.unwrap_or(now);
        let noted =
            join_all(run.lifecycle.secrets.iter().map(|pin| self.store.note_use(pin.owner, pin.id, at)))
                .await;
        noted.into_iter().collect()
    }

    /// Looks at a run and takes it as far towards its end as it can go now. Unknown runs are nothing.
    pub async fn inspect(&self, id: &RunId, context: &Context<'_>) -> Result<CleanupOutcome> {
        match self.store.run(id).await? {
            Some(run) => self.inspect_run(run, context).await,
            None => Ok(CleanupOutcome::Unchanged),
        }
    }

    /// Looks at a run that was just read.
    pub(crate) async fn inspect_run(&self, run: Run, context: &Context<'_>) -> Result<CleanupOutcome> {
        let id = run.id.clone();
        let mut just_read = Some(run);
        retry_contended(context.backoff, async || {
            let run = match just_read.take() {
                Some(run) => run,
                // Another look or a report was first: decide again from what it wrote.
                None => self.store.run(&id).await?.ok_or(Error::NotFound)?,
            };
            self.take_further(run, context).await
        })
        .await
    }

    /// Applies what a look leads to, step by step, until there is nothing left to do.
    async fn take_further(&self, mut run: Run, context: &Context<'_>) -> Result<CleanupOutcome> {
        let mut event = Event::Inspected;
        loop {
            let step = advance(&*self.store, &run, event, context).await.map_err(as_contended)?;
            if let Some(advanced) = step.run {
                run = advanced;
                if run.lifecycle.state == State::Ended {
                    return Ok(CleanupOutcome::Ended);
                }
            }
            event = match step.action {
                None => return Ok(CleanupOutcome::Unchanged),
                Some(Action::RemoveCopies) => {
                    self.remove_copies(&run, context).await?;
                    Event::CopiesDeleted
                }
                Some(Action::ObserveHeadJob) => {
                    let job = run.lifecycle.head_job.as_ref().ok_or(Error::bug("no head job to observe"))?;
                    Event::HeadJobObserved(self.jobs.observe_job(&job.job_id).await?.0)
                }
            };
        }
    }

    /// Removes every copy, side by side; all are tried even where one fails.
    async fn remove_copies(&self, run: &Run, context: &Context<'_>) -> Result<()> {
        let removed =
            join_all(run.lifecycle.copies.iter().map(|copy| self.remove_copy(run, copy, context))).await;
        removed.into_iter().collect()
    }

    /// Deletes a copy. A secret that somebody else has just deleted has no tags, so that IAM refuses the delete: that is
    /// success.
    pub(crate) async fn delete_copy(&self, name: &str) -> Result<()> {
        let Err(error) = self.copies.delete_copy(name).await else {
            return Ok(());
        };
        match self.copies.describe_copy(name).await {
            Ok(CopyStatus::Gone) => Ok(()),
            _ => Err(error),
        }
    }

    /// A forced delete of a missing name proves nothing, and IAM refuses one that carries no tags: hence look first,
    /// and done only when a look finds nothing.
    async fn remove_copy(&self, run: &Run, copy: &RunCopy, context: &Context<'_>) -> Result<()> {
        let mut looks = 0;
        loop {
            match self.copies.describe_copy(&copy.name).await? {
                CopyStatus::Gone => return Ok(()),
                CopyStatus::Found { deployment, run: owner }
                    if deployment.as_deref() == Some(context.settings.deployment.as_str())
                        && owner.as_deref() == Some(run.id.as_str()) =>
                {
                    self.delete_copy(&copy.name).await?;
                }
                CopyStatus::Found { .. } => {
                    tracing::error!(run.id = %run.id, "another secret has the name of a copy; it is not deleted");
                    return Ok(());
                }
            }
            looks += 1;
            if !context.backoff.wait(looks).await {
                return Err(Error::unavailable(
                    "secretsmanager DeleteSecret",
                    "a copy still exists after it was deleted",
                ));
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
