//! Recording a run's head job: a row of its own, so that an event that names a job finds the run.

use domain::audit::AuditRecord;
use domain::ports::HeadJobs;
use domain::run::{HeadJob, Life, Run};
use domain::{Error, Result};

use super::life::{overtaken, save};
use crate::Store;
use crate::keys::Key;
use crate::rows::{n, s};
use crate::terms::Terms;
use crate::transaction::{ABSENT, Outcome};

#[derive(PartialEq)]
enum Part {
    Revision,
    Job,
}

impl HeadJobs for Store {
    async fn record_head_job(
        &self,
        run: &Run,
        life: &Life,
        job: &HeadJob,
        audit: &AuditRecord,
    ) -> Result<()> {
        let mut transaction = self.transaction();
        save(self, &mut transaction, Part::Revision, run, life)?;
        let mut row = Key::job(&job.region, &job.job_id).attributes();
        row.insert("workflowId".into(), s(run.id.as_str()));
        // A run that outlives even this is found by the sweep.
        row.insert("ttl".into(), n(self.ttl(run.not_after)));
        let mut terms = Terms::default();
        let condition =
            format!("{ABSENT} OR {} = {}", terms.name("workflowId"), terms.value(s(run.id.as_str())));
        transaction.put_if(Part::Job, row, &condition, &terms);
        transaction.audited(audit)?;
        match transaction.send().await? {
            Outcome::Done => Ok(()),
            Outcome::Refused(refusal) if refusal.of(&Part::Job).is_some() => {
                Err(Error::Conflict("This job is recorded as the head job of another run.".into()))
            }
            Outcome::Refused(refusal) => Err(overtaken(&refusal, &Part::Revision)),
        }
    }
}
