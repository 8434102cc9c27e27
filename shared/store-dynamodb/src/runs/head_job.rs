//! Recording a run's head job in a separate row, so that an event that names a job finds the run.

use async_trait::async_trait;
use domain::audit::AuditRecord;
use domain::ports::HeadJobs;
use domain::run::{HeadJob, Lifecycle, Run};
use domain::{Error, Result};

use super::lifecycle::{overtaken, save};
use crate::Store;
use crate::expression_attributes::ExpressionAttributes;
use crate::keys::Key;
use crate::rows::{n, s};
use crate::transaction::ABSENT;

#[derive(PartialEq)]
enum Part {
    Revision,
    Job,
}

#[async_trait(?Send)]
impl HeadJobs for Store {
    async fn record_head_job(
        &self,
        run: &Run,
        lifecycle: &Lifecycle,
        job: &HeadJob,
        audit: &AuditRecord,
    ) -> Result<()> {
        let mut transaction = self.transaction();
        save(self, &mut transaction, Part::Revision, run, lifecycle)?;
        let id = s(run.id.as_str());
        // The sweep finds a run that outlives this row.
        let ttl = n(self.ttl(run.not_after));
        let row = Key::job(&job.location()).with([("workflowId", id.clone()), ("ttl", ttl)]);
        let mut attributes = ExpressionAttributes::default();
        let condition = format!("{ABSENT} OR {}", attributes.equals("workflowId", id));
        transaction.put_if(Part::Job, row, &condition, attributes);
        transaction.audited(audit)?;
        match transaction.send().await? {
            Ok(()) => Ok(()),
            Err(refusal) if refusal.of(&Part::Job).is_some() => Err(Error::Conflict(
                "This job is already the head job of another run. Send the ID of this run's head job.".into(),
            )),
            Err(refusal) => Err(overtaken(&refusal, &Part::Revision)),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::audit::AuditAction;
    use domain::ports::{FindDueRuns, ReadRuns};
    use domain::run::JobLocation;
    use support::Fault;

    use super::*;
    use crate::testing::{TestStore, a_run, advanced, run_audit};

    async fn begun(test: &TestStore, id: &str) -> Run {
        let run = a_run(id);
        let audit = run_audit(&run, AuditAction::RunLaunched);
        test.begin_run(&run, None, None, &audit).await.unwrap();
        test.table.faults.forget();
        run
    }

    async fn record(test: &TestStore, run: &Run) -> Result<Run> {
        let job = HeadJob {
            job_id: "j-1".into(),
            queue: "arn:aws:batch:eu-west-1:1:job-queue/q".into(),
            region: "eu-west-1".into(),
            account: None,
        };
        let recorded = advanced(run, |lifecycle| lifecycle.head_job = Some(job.clone()));
        let audit = run_audit(&recorded, AuditAction::RunHeadJobRecorded);
        test.store.record_head_job(run, &recorded.lifecycle, &job, &audit).await?;
        Ok(recorded)
    }

    #[tokio::test]
    async fn a_run_is_found_only_by_its_head_job() {
        let test = TestStore::start().await;
        let run = begun(&test, "a").await;
        let recorded = record(&test, &run).await.unwrap();
        assert_eq!(test.operations(), ["TransactWriteItems"]);
        assert_eq!(test.store.run(&run.id).await.unwrap(), Some(recorded));
        let find = async |account, region, job_id| {
            test.store.run_of_head_job(&JobLocation { account, region, job_id }).await.unwrap()
        };
        assert_eq!(find(None, "eu-west-1", "j-1").await, Some(run.id));
        assert_eq!(test.calls()[2].body["ConsistentRead"], true);
        assert_eq!(find(None, "eu-west-2", "j-1").await, None);
        assert_eq!(find(None, "eu-west-1", "j-2").await, None);
        assert_eq!(find(Some("210987654321"), "eu-west-1", "j-1").await, None);
    }

    #[tokio::test]
    async fn a_job_of_another_run_is_a_conflict_and_changes_nothing() {
        let test = TestStore::start().await;
        let (first, second) = (begun(&test, "a").await, begun(&test, "b").await);
        record(&test, &first).await.unwrap();
        let error = record(&test, &second).await.unwrap_err();
        assert!(matches!(error, Error::Conflict(_)), "{error}");
        assert_eq!(test.store.run(&second.id).await.unwrap(), Some(second));
    }

    #[tokio::test]
    async fn another_writer_of_the_run_is_a_version_conflict() {
        let test = TestStore::start().await;
        let run = begun(&test, "a").await;
        record(&test, &run).await.unwrap();
        let error = record(&test, &run).await.unwrap_err();
        assert!(matches!(error, Error::VersionConflict), "{error}");
        let error = record(&test, &a_run("gone")).await.unwrap_err();
        assert!(matches!(error, Error::Conflict(_) | Error::NotFound), "{error}");
    }

    #[tokio::test]
    async fn a_lost_answer_is_retried_and_has_one_effect() {
        let test = TestStore::start().await;
        let run = begun(&test, "a").await;
        test.table.faults.fail_next(Fault::LostReply);
        record(&test, &run).await.unwrap();
        assert_eq!((test.operations().len(), test.audits().await), (2, 2));
    }
}
