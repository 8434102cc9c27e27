//! Cleanup of a run: checking whether it has ended, and deleting its copies until none is left.

use std::rc::Rc;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::advance::advance;
use super::{conflict_as_contended, retry_contended};
use crate::context::Context;
use crate::copies::RunCopy;
use crate::environment::Target;
use crate::ids::RunId;
use crate::ports::{CleanupSession, CleanupStore, CopyStatus, ObserveJobs, RemoveAt, RemoveCopies};
use crate::run::{Action, Event, JobLocation, Run, State};
use crate::{Error, Result, log};

/// Inspects and cleans up runs.
pub struct Cleaner {
    /// The table.
    pub store: Rc<dyn CleanupStore>,
    /// AWS Batch.
    pub jobs: Rc<dyn ObserveJobs>,
    /// AWS Secrets Manager.
    pub copies: Rc<dyn RemoveCopies>,
    /// Both, in environments.
    pub environments: Rc<dyn RemoveAt>,
}

/// The outcome of an inspection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CleanupOutcome {
    /// The run continues, or had ended before.
    Unchanged,
    /// The run ended with this inspection and is cleaned up.
    Ended,
    /// The run's environment cannot be used. The run stays due.
    Unreachable,
    /// The run's environment could not be used until long after the run's latest end. The run
    /// ended with this inspection, and copies may be left.
    Abandoned,
}

impl Cleaner {
    /// Handles a status change of a job in AWS Batch. The event is only a hint: the inspection asks
    /// DescribeJobs about the recorded head job. Jobs that are not a recorded head job are ignored.
    pub async fn head_job_changed(
        &self,
        job: &JobLocation<'_>,
        context: &Context<'_>,
    ) -> Result<CleanupOutcome> {
        match self.store.run_of_head_job(job).await? {
            Some(run) => self.inspect(&run, context).await,
            None => Ok(CleanupOutcome::Unchanged),
        }
    }

    /// Records the use of a run's secrets, as `lastUsed`.
    pub async fn record_delivery(&self, id: &RunId, now: Timestamp) -> Result<()> {
        let Some(run) = self.store.run(id).await? else {
            return Ok(());
        };
        let at = run.lifecycle.delivered.unwrap_or(now);
        let noted =
            join_all(run.lifecycle.secrets.iter().map(|pin| self.store.record_use(pin.owner, pin.id, at)))
                .await;
        noted.into_iter().collect()
    }

    /// Inspects a run and advances it towards its end as far as possible. Ignores unknown runs.
    pub async fn inspect(&self, id: &RunId, context: &Context<'_>) -> Result<CleanupOutcome> {
        match self.store.run(id).await? {
            Some(run) => self.apply(run, &Event::Inspected, true, context).await,
            None => Ok(CleanupOutcome::Unchanged),
        }
    }

    /// Applies an event to a run that was just read, and advances the run as far as possible: up to
    /// its first action, if the run's environment is not `usable`.
    pub(super) async fn apply(
        &self,
        run: Run,
        event: &Event,
        usable: bool,
        context: &Context<'_>,
    ) -> Result<CleanupOutcome> {
        let id = run.id.clone();
        let mut session = None;
        let mut just_read = Some(run);
        retry_contended(context.backoff, async || {
            let run = match just_read.take() {
                Some(run) => run,
                // Another inspection or a report was faster: decide again from the new state.
                None => self.store.run(&id).await?.ok_or(Error::NotFound)?,
            };
            self.advance_run(run, event.clone(), usable, &mut session, context).await
        })
        .await
    }

    /// Applies the event and its follow-up actions until there is nothing left to do.
    async fn advance_run(
        &self,
        mut run: Run,
        mut event: Event,
        usable: bool,
        session: &mut Option<CleanupSession>,
        context: &Context<'_>,
    ) -> Result<CleanupOutcome> {
        loop {
            let step = advance(&*self.store, &run, event, context).await.map_err(conflict_as_contended)?;
            if let Some(advanced) = step.run {
                run = advanced;
                if run.lifecycle.state == State::Ended {
                    return Ok(CleanupOutcome::Ended);
                }
            }
            let Some(action) = step.action else {
                return Ok(CleanupOutcome::Unchanged);
            };
            if !usable {
                return self.abandon_or_keep(&run, context).await;
            }
            event = match self.act(action, &run, session, context).await {
                Ok(event) => event,
                Err(error) if run.target.is_home() => return Err(error),
                Err(error) => {
                    log::error(&error).run(&run.id).warn("the environment of a run cannot be used");
                    return self.abandon_or_keep(&run, context).await;
                }
            };
        }
    }

    /// Takes an action in the account and region of the run. The first one opens the session.
    async fn act(
        &self,
        action: Action,
        run: &Run,
        session: &mut Option<CleanupSession>,
        context: &Context<'_>,
    ) -> Result<Event> {
        let CleanupSession { jobs, copies } = match session {
            Some(session) => session,
            None => session.insert(self.session(run).await?),
        };
        Ok(match action {
            Action::RemoveCopies => {
                remove_copies(&**copies, run, context).await?;
                Event::CopiesDeleted
            }
            Action::ObserveHeadJob => {
                let job = run.lifecycle.head_job.as_ref().ok_or(Error::bug("no head job to observe"))?;
                Event::HeadJobObserved(jobs.observe_job(&job.job_id).await?.status)
            }
        })
    }

    async fn session(&self, run: &Run) -> Result<CleanupSession> {
        match &run.target {
            Target::Home => Ok(self.home()),
            Target::Elsewhere(environment) => self.environments.remove_at(environment, Some(&run.id)).await,
        }
    }

    /// The clients of the deployment's own account and region.
    pub(crate) fn home(&self) -> CleanupSession {
        CleanupSession { jobs: self.jobs.clone(), copies: self.copies.clone() }
    }

    /// Decides what becomes of a run whose environment cannot be used.
    async fn abandon_or_keep(&self, run: &Run, context: &Context<'_>) -> Result<CleanupOutcome> {
        let step = advance(&*self.store, run, Event::Unreachable, context);
        let Some(abandoned) = step.await.map_err(conflict_as_contended)?.run else {
            return Ok(CleanupOutcome::Unreachable);
        };
        tracing::error!(
            run.id = %abandoned.id,
            copies = abandoned.lifecycle.copies_left().len(),
            "a run is abandoned with its environment; its receipt names the copies that are left"
        );
        Ok(CleanupOutcome::Abandoned)
    }
}

/// Deletes every copy concurrently. A failure does not stop the others.
async fn remove_copies(copies: &dyn RemoveCopies, run: &Run, context: &Context<'_>) -> Result<()> {
    let removed =
        join_all(run.lifecycle.copies.iter().map(|copy| remove_copy(copies, run, copy, context))).await;
    removed.into_iter().collect()
}

/// Deletes a copy. A secret that was just deleted has no tags, so IAM denies the call: that
/// counts as success.
pub(crate) async fn delete_copy(copies: &dyn RemoveCopies, name: &str) -> Result<()> {
    let Err(error) = copies.delete_copy(name).await else {
        return Ok(());
    };
    match copies.describe_copy(name).await {
        Ok(CopyStatus::Gone) => Ok(()),
        _ => Err(error),
    }
}

/// Deletes a copy and verifies it. A forced delete succeeds for a missing name too, and IAM
/// denies it for a secret without tags. So describe the copy first, and succeed only once it is
/// not found.
async fn remove_copy(
    copies: &dyn RemoveCopies,
    run: &Run,
    copy: &RunCopy,
    context: &Context<'_>,
) -> Result<()> {
    let mut attempts = 0;
    loop {
        match copies.describe_copy(&copy.name).await? {
            CopyStatus::Gone => return Ok(()),
            CopyStatus::Found { deployment, run: owner }
                if deployment.as_deref() == Some(context.settings.deployment.as_str())
                    && owner.as_deref() == Some(run.id.as_str()) =>
            {
                delete_copy(copies, &copy.name).await?;
            }
            CopyStatus::Found { .. } => {
                tracing::error!(run.id = %run.id, "another secret has the name of a copy; it is not deleted");
                return Ok(());
            }
        }
        attempts += 1;
        if !context.backoff.wait(attempts).await {
            return Err(Error::unavailable(
                "secretsmanager DeleteSecret",
                "a copy still exists after it was deleted",
            ));
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
