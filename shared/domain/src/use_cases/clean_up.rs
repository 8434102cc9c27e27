//! Cleaning up a run: finding out whether it is over, and removing its copies until none is left (architecture §5.7).

use futures_util::future::join_all;
use jiff::Timestamp;

use crate::audit::{AuditAction, AuditRecord};
use crate::copies::Copy;
use crate::ids::RunId;
use crate::ports::{CopySighting, FindDueRuns, ObserveJobs, Pace, Randomness, RemoveCopies};
use crate::run::{Action, Event, Life, Run, State, next};
use crate::settings::Settings;
use crate::{Error, Result};

/// What cleaning up needs from outside.
pub struct Cleaner<'a, Store, Jobs, Copies, Rng, Wait> {
    /// The table.
    pub store: &'a Store,
    /// AWS Batch.
    pub jobs: &'a Jobs,
    /// AWS Secrets Manager.
    pub copies: &'a Copies,
    /// Randomness.
    pub randomness: &'a Rng,
    /// Time to repeat in.
    pub pace: &'a Wait,
    /// The deployment's choices.
    pub settings: &'a Settings,
}

/// How a look at a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Looked {
    /// It goes on, or it was over before.
    Nothing,
    /// It ended with this look; nothing of it is left.
    Ended,
}

impl<Store, Jobs, Copies, Rng, Wait> Cleaner<'_, Store, Jobs, Copies, Rng, Wait>
where
    Store: FindDueRuns,
    Jobs: ObserveJobs,
    Copies: RemoveCopies,
    Rng: Randomness,
    Wait: Pace,
{
    /// AWS Batch says that something became of a job. An event names a job, it does not prove one: the run is looked
    /// at, which asks DescribeJobs about the head job that is on record. Jobs that are nobody's head job are nothing.
    pub async fn head_job_changed(&self, region: &str, job_id: &str, now: Timestamp) -> Result<Looked> {
        match self.store.run_of_head_job(region, job_id).await? {
            Some(run) => self.look(&run, now).await,
            None => Ok(Looked::Nothing),
        }
    }

    /// Notes the use of a run's secrets: their `lastUsed`.
    pub async fn note_delivery(&self, id: &RunId, now: Timestamp) -> Result<()> {
        let Some(run) = self.store.run(id).await? else {
            return Ok(());
        };
        let at = run.life.delivered.unwrap_or(now);
        let noted =
            join_all(run.life.secrets.iter().map(|pin| self.store.note_use(pin.owner, pin.id, at))).await;
        noted.into_iter().collect()
    }

    /// Looks at a run and takes it as far towards its end as it can go now. Unknown runs are nothing.
    pub async fn look(&self, id: &RunId, now: Timestamp) -> Result<Looked> {
        match self.store.run(id).await? {
            Some(run) => self.look_at(run, now).await,
            None => Ok(Looked::Nothing),
        }
    }

    /// Looks at a run that was just read.
    pub(crate) async fn look_at(&self, mut run: Run, now: Timestamp) -> Result<Looked> {
        let mut event = Event::Looked;
        let mut conflicts = 0;
        loop {
            let step = next(&run, event, now, &self.settings.limits);
            if let Some(life) = step.life {
                match self.save(&run, life, now).await {
                    Ok(saved) => run = saved,
                    // Another look or a report was first: decide anew from what it wrote.
                    Err(Error::VersionConflict | Error::Contended) => {
                        conflicts += 1;
                        if !self.pace.pause(conflicts).await {
                            return Err(Error::Contended);
                        }
                        run = self.store.run(&run.id).await?.ok_or(Error::NotFound)?;
                        event = Event::Looked;
                        continue;
                    }
                    Err(error) => return Err(error),
                }
                if run.life.state == State::Ended {
                    return Ok(Looked::Ended);
                }
            }
            event = match step.action {
                None => return Ok(Looked::Nothing),
                Some(Action::RemoveCopies) => {
                    self.remove_copies(&run).await?;
                    Event::CopiesGone
                }
                Some(Action::ObserveHeadJob) => {
                    let job = run.life.head_job.as_ref().ok_or(Error::bug("no head job to observe"))?;
                    Event::HeadJobSeen(self.jobs.observe_job(&job.job_id).await?.0)
                }
            };
        }
    }

    pub(super) async fn save(&self, run: &Run, life: Life, now: Timestamp) -> Result<Run> {
        let life = Life { revision: run.life.revision + 1, ..life };
        let stepped = Run { life, ..run.clone() };
        let action = match (run.life.state, stepped.life.state) {
            (State::Ended, _) => None,
            (_, State::Ended) => Some(AuditAction::RunEnded),
            (before, State::Ending) if before.is_live() => Some(AuditAction::RunEnding),
            _ => None,
        };
        let audit = action.map(|action| AuditRecord::of_run(&stepped, self.randomness, now, action, None));
        self.store.save_life(run, &stepped.life, audit.as_ref()).await?;
        Ok(stepped)
    }

    /// Removes every copy, side by side; all are tried even where one fails.
    async fn remove_copies(&self, run: &Run) -> Result<()> {
        let removed = join_all(run.life.copies.iter().map(|copy| self.remove_copy(run, copy))).await;
        removed.into_iter().collect()
    }

    /// A forced delete of a missing name proves nothing, and IAM refuses one that carries no tags: hence look first,
    /// and done only when a look finds nothing.
    async fn remove_copy(&self, run: &Run, copy: &Copy) -> Result<()> {
        let mut looks = 0;
        loop {
            match self.copies.describe_copy(&copy.name).await? {
                CopySighting::Gone => return Ok(()),
                CopySighting::Found { deployment, run: owner }
                    if deployment.as_deref() == Some(self.settings.deployment.as_str())
                        && owner.as_deref() == Some(run.id.as_str()) =>
                {
                    self.copies.delete_copy(&copy.name).await?;
                }
                CopySighting::Found { .. } => {
                    tracing::error!(run.id = %run.id, "a foreign secret stands under the name of a copy; it is left alone");
                    return Ok(());
                }
            }
            looks += 1;
            if !self.pace.pause(looks).await {
                return Err(Error::unavailable(
                    "secretsmanager DeleteSecret",
                    "a copy is still there after its delete",
                ));
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
