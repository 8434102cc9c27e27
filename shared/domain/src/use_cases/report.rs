//! Reports that a run makes with its run token: heartbeats, its head job, its end.

use std::rc::Rc;

use super::advance::{Advance, advance};
use super::{conflict_as_contended, retry_contended};
use crate::context::Context;
use crate::head_job;
use crate::ids::RunId;
use crate::ports::{AnnounceRuns, HeadJobs, ObserveAt, ObserveJobs, RunNotice};
use crate::run::{Event, HeadJob, Outcome, Run};
use crate::token::TokenKey;
use crate::{Error, Result, log};

/// Handles reports.
pub struct Reporter {
    /// The table.
    pub store: Rc<dyn HeadJobs>,
    /// AWS Batch.
    pub jobs: Rc<dyn ObserveJobs>,
    /// The event bus.
    pub bus: Rc<dyn AnnounceRuns>,
    /// AWS Batch, in environments.
    pub environments: Rc<dyn ObserveAt>,
    /// The account of the deployment.
    pub account: String,
    /// The region of the deployment.
    pub region: String,
}

impl Reporter {
    /// Returns the run to the holder of its token, with one read. A wrong token and an unknown run
    /// are the same [`Error::NotFound`].
    pub async fn authenticate(&self, id: &RunId, key: &TokenKey) -> Result<Run> {
        let run = self.store.run(id).await?.ok_or(Error::NotFound)?;
        if run.lifecycle.run_token.matches(key) { Ok(run) } else { Err(Error::NotFound) }
    }

    /// Handles a heartbeat: renews the lease if less than half of it is left.
    pub async fn heartbeat(&self, id: &RunId, key: &TokenKey, context: &Context<'_>) -> Result<Run> {
        self.apply(id, key, &Event::Heartbeat, context).await
    }

    /// Handles the report that the run has ended.
    pub async fn end(
        &self,
        id: &RunId,
        key: &TokenKey,
        outcome: Outcome,
        context: &Context<'_>,
    ) -> Result<Run> {
        self.apply(id, key, &Event::Reported(outcome), context).await
    }

    async fn apply(&self, id: &RunId, key: &TokenKey, event: &Event, context: &Context<'_>) -> Result<Run> {
        retry_contended(context.backoff, async || {
            let run = self.authenticate(id, key).await?;
            let step =
                advance(&*self.store, &run, event.clone(), context).await.map_err(conflict_as_contended)?;
            if step.run.is_some() && step.action.is_some() {
                request_inspection(&*self.bus, id).await;
            }
            Ok(step.run.unwrap_or(run))
        })
        .await
    }

    /// Records the head job, once. The job must exist in this region, name this run, and not be
    /// final, and its queue must be the named one.
    pub async fn record_head_job(
        &self,
        id: &RunId,
        key: &TokenKey,
        job: &HeadJob,
        context: &Context<'_>,
    ) -> Result<Run> {
        retry_contended(context.backoff, async || {
            let run = self.authenticate(id, key).await?;
            if let Some(recorded) = &run.lifecycle.head_job {
                return match recorded.job_id == job.job_id && recorded.region == job.region {
                    true => Ok(run),
                    false => {
                        Err(Error::Conflict("Another head job is already recorded for this run.".into()))
                    }
                };
            }
            if !run.lifecycle.state.is_live() {
                return Err(Error::Gone("The run has ended. Launch it again.".into()));
            }
            if run.platform.claims() {
                return Err(Error::Refused(format!(
                    "A run on {} has no AWS Batch job: report its end with POST /runs/{id}/end.",
                    run.platform
                )));
            }
            let job = self.confirm(&run, job).await?;
            let step = Advance::of(&run, Event::HeadJobRecorded(job.clone()), context);
            let (Some(recorded), Some(audit)) = (step.run, step.audit) else {
                return Err(Error::InProgress);
            };
            self.store
                .record_head_job(&run, &recorded.lifecycle, &job, &audit)
                .await
                .map_err(conflict_as_contended)?;
            request_inspection(&*self.bus, id).await;
            Ok(recorded)
        })
        .await
    }

    /// Looks up a job in AWS Batch, and returns it with the queue's ARN.
    async fn confirm(&self, run: &Run, job: &HeadJob) -> Result<HeadJob> {
        let (region, whose) = match run.target.environment() {
            None => (self.region.as_str(), "this deployment"),
            Some(environment) => (environment.region.as_str(), "the run's compute environment"),
        };
        if job.region != region {
            return Err(Error::Refused(format!("The head job must run in {region}, the region of {whose}.")));
        }
        let account = run.target.environment().map(|environment| environment.role.account());
        // The row of a job in the deployment's own account and region has no account, even if an
        // environment is there.
        let account = account.filter(|account| *account != self.account || region != self.region);
        let account = account.map(str::to_owned);
        let jobs = jobs_of(run, &self.jobs, &*self.environments).await?;
        let job = HeadJob { account, ..job.clone() };
        head_job::confirm(&run.id, &job, jobs.observe_job(&job.job_id).await?)
    }
}

/// Returns what observes the head job of the run.
pub(super) async fn jobs_of(
    run: &Run,
    home: &Rc<dyn ObserveJobs>,
    environments: &dyn ObserveAt,
) -> Result<Rc<dyn ObserveJobs>> {
    match run.target.environment() {
        None => Ok(home.clone()),
        Some(environment) => environments.observe_at(environment, &run.id).await,
    }
}

/// Asks cleanup-run to inspect the run. A lost event only causes a delay: the run is due, and the
/// sweep finds it.
pub(super) async fn request_inspection(bus: &dyn AnnounceRuns, id: &RunId) {
    if let Err(error) = bus.announce(id, RunNotice::Look).await {
        log::error(&error).run(id).warn("could not announce a run; the sweep will find it");
    }
}

#[cfg(test)]
mod tests;
