//! What a run says of itself under its run token: signs of life, its head job, its end.

use jiff::Timestamp;

use crate::audit::{AuditAction, AuditRecord};
use crate::ids::RunId;
use crate::ports::{AnnounceRuns, HeadJobs, ObserveJobs, Pace, Randomness, RunNotice};
use crate::run::{Action, Event, HeadJob, Life, Outcome, Run, Sighting, State, Step, next};
use crate::settings::Settings;
use crate::token::TokenKey;
use crate::use_cases::settle;
use crate::{Error, Result};

/// What reports need from outside.
pub struct Reporter<'a, Store, Jobs, Bus, Rng, Wait> {
    /// The table.
    pub store: &'a Store,
    /// AWS Batch.
    pub jobs: &'a Jobs,
    /// The event bus.
    pub bus: &'a Bus,
    /// Randomness.
    pub randomness: &'a Rng,
    /// Time to repeat in.
    pub pace: &'a Wait,
    /// The deployment's choices.
    pub settings: &'a Settings,
    /// The region in which head jobs are looked for.
    pub region: &'a str,
}

impl<Store, Jobs, Bus, Rng, Wait> Reporter<'_, Store, Jobs, Bus, Rng, Wait>
where
    Store: HeadJobs,
    Jobs: ObserveJobs,
    Bus: AnnounceRuns,
    Rng: Randomness,
    Wait: Pace,
{
    /// The run, for whoever holds its token: one read. A wrong token and an unknown run are one
    /// [`Error::NotFound`].
    pub async fn authenticate(&self, id: &RunId, key: &TokenKey) -> Result<Run> {
        let run = self.store.run(id).await?.ok_or(Error::NotFound)?;
        if run.life.run_token.matches(key) { Ok(run) } else { Err(Error::NotFound) }
    }

    /// A sign of life: renews the lease where less than half of it is left.
    pub async fn sign_of_life(&self, id: &RunId, key: &TokenKey, now: Timestamp) -> Result<Run> {
        self.apply(id, key, &Event::SignOfLife, now, None).await
    }

    /// The run says that it is over.
    pub async fn end(&self, id: &RunId, key: &TokenKey, outcome: Outcome, now: Timestamp) -> Result<Run> {
        self.apply(id, key, &Event::Reported(outcome), now, Some(AuditAction::RunEnding)).await
    }

    async fn apply(
        &self,
        id: &RunId,
        key: &TokenKey,
        event: &Event,
        now: Timestamp,
        ending: Option<AuditAction>,
    ) -> Result<Run> {
        settle(self.pace, async || {
            let run = self.authenticate(id, key).await?;
            let step = next(&run, event.clone(), now, &self.settings.limits);
            let Step { life: Some(life), action } = step else {
                return Ok(run);
            };
            let life = Life { revision: run.life.revision + 1, ..life };
            let stepped = Run { life, ..run.clone() };
            let audit = ending.filter(|_| !stepped.life.state.is_live()).map(|ending| {
                let action = match stepped.life.state {
                    State::Ended => AuditAction::RunEnded,
                    _ => ending,
                };
                AuditRecord::of_run(&stepped, self.randomness, now, action, None)
            });
            self.store.save_life(&run, &stepped.life, audit.as_ref()).await.map_err(reread)?;
            if let Some(Action::RemoveCopies | Action::ObserveHeadJob) = action {
                self.hint(&stepped.id).await;
            }
            Ok(stepped)
        })
        .await
    }

    /// Records the head job, once. The job must exist in this region and not be final; its queue must be the one named.
    pub async fn record_head_job(
        &self,
        id: &RunId,
        key: &TokenKey,
        job: &HeadJob,
        now: Timestamp,
    ) -> Result<Run> {
        settle(self.pace, async || {
            let run = self.authenticate(id, key).await?;
            if let Some(recorded) = &run.life.head_job {
                return match recorded.job_id == job.job_id && recorded.region == job.region {
                    true => Ok(run),
                    false => {
                        Err(Error::Conflict("Another head job is recorded for this run already.".into()))
                    }
                };
            }
            if !run.life.state.is_live() {
                return Err(Error::Gone("The run is over: launch anew.".into()));
            }
            if run.platform.claims() {
                return Err(Error::Refused(format!(
                    "A run on {} has no AWS Batch job: report its end with POST /runs/{id}/end.",
                    run.platform
                )));
            }
            let job = self.confirm(job).await?;
            let event = Event::HeadJobRecorded(job.clone());
            let Some(life) = next(&run, event, now, &self.settings.limits).life else {
                return Err(Error::InProgress);
            };
            let life = Life { revision: run.life.revision + 1, ..life };
            let recorded = Run { life, ..run.clone() };
            let action = AuditAction::RunHeadJobRecorded;
            let audit = AuditRecord::of_run(&recorded, self.randomness, now, action, None);
            self.store.record_head_job(&run, &recorded.life, &job, &audit).await.map_err(reread)?;
            self.hint(&recorded.id).await;
            Ok(recorded)
        })
        .await
    }

    /// Asks AWS Batch about a job that a client names, and takes the queue from the answer.
    async fn confirm(&self, job: &HeadJob) -> Result<HeadJob> {
        if job.region != self.region {
            return Err(Error::Refused(format!(
                "The head job must run in {}, where this deployment is.",
                self.region
            )));
        }
        let (sighting, queue) = self.jobs.observe_job(&job.job_id).await?;
        let queue = match (sighting, queue) {
            (Sighting::NotFinal, Some(queue)) => queue,
            (Sighting::Final { .. }, _) => {
                return Err(Error::Refused("That AWS Batch job has ended already.".into()));
            }
            _ => return Err(Error::Refused("AWS Batch knows no such job in this region.".into())),
        };
        let named = job.queue == queue || queue.rsplit('/').next() == Some(job.queue.as_str());
        if !named {
            return Err(Error::Refused("That AWS Batch job is in another queue.".into()));
        }
        Ok(HeadJob { queue, ..job.clone() })
    }

    /// Tells cleanup-run to look. What is lost here costs time: the run is due, and the sweep finds it.
    async fn hint(&self, id: &RunId) {
        if let Err(error) = self.bus.announce(id, RunNotice::Look).await {
            tracing::warn!(run.id = %id, error.code = error.code(), "a run was not announced; the sweep will find it");
        }
    }
}

/// Another writer was first: read again and decide anew.
fn reread(error: Error) -> Error {
    match error {
        Error::VersionConflict => Error::Contended,
        other => other,
    }
}

#[cfg(test)]
mod tests;
