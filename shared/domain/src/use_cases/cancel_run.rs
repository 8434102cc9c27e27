//! Cancellation of a run by a user.

use std::rc::Rc;

use super::advance::advance;
use super::report::{jobs_of, request_inspection};
use super::{authorize, conflict_as_contended, retry_contended};
use crate::context::Context;
use crate::identity::Actor;
use crate::ids::{RunId, WorkspaceId};
use crate::ports::{AnnounceRuns, CancelStore, ObserveAt, ObserveJobs};
use crate::role::Permission;
use crate::run::{Event, HeadJob, Run, State};
use crate::{Error, Result};

/// Cancels runs.
pub struct Canceller {
    /// The table.
    pub store: Rc<dyn CancelStore>,
    /// AWS Batch.
    pub jobs: Rc<dyn ObserveJobs>,
    /// AWS Batch, in environments.
    pub environments: Rc<dyn ObserveAt>,
    /// The event bus.
    pub bus: Rc<dyn AnnounceRuns>,
}

impl Canceller {
    /// Ends a run, as if it had reported its end. Succeeds without effect for a run that has ended.
    /// Returns [`Error::Conflict`] while the run is being launched, and while its recorded head job
    /// may run, unless the caller forces the cancellation. Stops no job.
    pub async fn cancel(
        &self,
        actor: &Actor,
        workspace: Option<WorkspaceId>,
        id: &RunId,
        forced: bool,
        context: &Context<'_>,
    ) -> Result<()> {
        retry_contended(context.backoff, async || {
            let run = self.authorized_run(actor, workspace, id, context).await?;
            if !run.lifecycle.state.is_live() {
                return Ok(());
            }
            let head_job = match &run.lifecycle.head_job {
                Some(job) if !forced => {
                    let jobs = jobs_of(&run, &self.jobs, &*self.environments).await?;
                    Some(jobs.observe_job(&job.job_id).await?.status)
                }
                _ => None,
            };
            let event = Event::Cancelled { by: actor.user, head_job, forced };
            // Without a second check of the role in this transaction: who had the permission a
            // moment ago can end a run, and it grants nothing.
            let step = advance(&*self.store, &run, event, context).await.map_err(conflict_as_contended)?;
            if step.run.is_none() {
                return Err(refusal(&run));
            }
            if step.action.is_some() {
                request_inspection(&*self.bus, id).await;
            }
            Ok(())
        })
        .await
    }

    /// Returns a run of exactly this workspace or, without one, a run that the caller launched
    /// outside a workspace. A run that the caller may not see costs the same calls as an unknown
    /// one.
    async fn authorized_run(
        &self,
        actor: &Actor,
        workspace: Option<WorkspaceId>,
        id: &RunId,
        context: &Context<'_>,
    ) -> Result<Run> {
        actor.check_workspace(workspace)?;
        let run = self.store.run(id).await?.filter(|run| run.workspace == workspace);
        let launched = run.as_ref().is_some_and(|run| run.user == actor.user);
        // Every participant can read runs, so a launcher needs no other role to end a run.
        let permission = if launched { Permission::ReadRuns } else { Permission::CancelRuns };
        let scope = authorize(&*self.store, context.settings, actor, workspace, permission).await;
        match run {
            Some(run) if launched || workspace.is_some() => scope.map(|_| run),
            _ => Err(match scope {
                Err(error @ Error::Unavailable { .. }) => error,
                _ => Error::NotFound,
            }),
        }
    }
}

/// Why a live run is not ended.
fn refusal(run: &Run) -> Error {
    Error::Conflict(match &run.lifecycle.head_job {
        Some(HeadJob { job_id, .. }) if run.lifecycle.state != State::Provisioning => format!(
            "The head job {job_id} of this run has not ended in AWS Batch. Terminate the job: the run ends with it. To \
             end the run first, which deletes the copies that its jobs read, repeat the request with force=true."
        ),
        _ => "This run is still being launched. Repeat the request in two minutes.".to_owned(),
    })
}

#[cfg(test)]
mod tests;
