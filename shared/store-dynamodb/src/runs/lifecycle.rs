//! Saving the lifecycle of a run.

use async_trait::async_trait;
use domain::audit::AuditRecord;
use domain::ports::SaveRuns;
use domain::run::{Lifecycle, Run};
use domain::{Error, Result};

use super::row::lifecycle_fields;
use crate::Store;
use crate::expression_attributes::Changes;
use crate::keys::Key;
use crate::rows::n;
use crate::transaction::{ExistingItem, Refusal, Transaction};

#[async_trait(?Send)]
impl SaveRuns for Store {
    async fn save_lifecycle(
        &self,
        run: &Run,
        lifecycle: &Lifecycle,
        audit: Option<&AuditRecord>,
    ) -> Result<()> {
        let mut transaction = self.transaction();
        save(self, &mut transaction, Revision, run, lifecycle)?;
        if let Some(audit) = audit {
            transaction.audited(audit)?;
        }
        transaction.send().await?.map_err(|refusal| overtaken(&refusal, &Revision))
    }
}

#[derive(PartialEq)]
struct Revision;

/// Adds to a transaction the write of the lifecycle over the previous revision, limited to the
/// attributes that change. IAM lets `report-run` and `cleanup-run` write only the attributes that
/// their events change.
pub(super) fn save<P: PartialEq>(
    store: &Store,
    transaction: &mut Transaction<'_, P>,
    part: P,
    run: &Run,
    lifecycle: &Lifecycle,
) -> Result<()> {
    let before =
        lifecycle.revision.checked_sub(1).ok_or(Error::bug("a lifecycle saved without a new revision"))?;
    if run.lifecycle.revision != before {
        return Err(Error::bug("a lifecycle saved over a revision other than the one that was read"));
    }
    let mut changes = Changes::default();
    let read = lifecycle_fields(store, run, &run.lifecycle)?;
    let mut fields = lifecycle_fields(store, run, lifecycle)?;
    fields.retain(|name, value| read.get(name) != Some(value));
    let claims = run.lifecycle.claimed.is_none() && lifecycle.claimed.is_some();
    changes.set_or_remove(fields);
    let mut condition = changes.attributes().equals("revision", n(before));
    if claims {
        // Other roles can set the revision back. Even then, a claim must be recorded only once.
        condition = format!("{condition} AND attribute_not_exists({})", changes.attributes().name("claimed"));
    }
    transaction.change_if(part, Key::run(&run.id), changes, &condition);
    Ok(())
}

/// The error for a run that another writer changed or removed first.
pub(super) fn overtaken<P: PartialEq>(refusal: &Refusal<P>, revision: &P) -> Error {
    match refusal.of(revision) {
        Some(ExistingItem::Row(_)) => Error::VersionConflict,
        Some(ExistingItem::Nothing) => Error::NotFound,
        None => Error::Contended,
    }
}

#[cfg(test)]
mod tests {
    use domain::audit::AuditAction;
    use domain::ports::ReadRuns;
    use domain::run::{HeadJob, Outcome as Ending, ReportedBy, RunResult, State};
    use futures_util::future::join_all;
    use support::Fault;

    use super::*;
    use crate::rows::{holds, s};
    use crate::testing::{TestStore, a_run, advanced, later, run_audit};

    async fn begun(test: &TestStore) -> Run {
        let run = a_run("a");
        let audit = run_audit(&run, AuditAction::RunLaunched);
        test.begin_run(&run, None, None, &audit).await.unwrap();
        test.table.faults.forget();
        run
    }

    async fn save(test: &TestStore, before: &Run, run: &Run) -> Result<()> {
        let audit = run_audit(run, AuditAction::RunEnding);
        test.store.save_lifecycle(before, &run.lifecycle, Some(&audit)).await
    }

    fn ended(run: &Run) -> Run {
        advanced(run, |lifecycle| {
            lifecycle.state = State::Ended;
            lifecycle.due = None;
            lifecycle.ending = Some(later(100));
            lifecycle.removed = Some(later(200));
            lifecycle.head_job = Some(HeadJob {
                job_id: "j-1".into(),
                queue: "arn:aws:batch:eu-west-1:1:job-queue/q".into(),
                region: "eu-west-1".into(),
                account: None,
            });
            lifecycle.outcome = Some(Ending {
                result: RunResult::Failed,
                exit_status: Some(-9),
                reported_by: ReportedBy::HeadJob,
                cancelled_by: None,
            });
        })
    }

    #[tokio::test]
    async fn every_part_of_a_lifecycle_is_saved_in_one_call_and_read_back_exactly() {
        let test = TestStore::start().await;
        let first = begun(&test).await;
        let run = ended(&first);
        save(&test, &first, &run).await.unwrap();
        assert_eq!(test.operations(), ["TransactWriteItems"]);
        assert_eq!(test.store.run(&run.id).await.unwrap(), Some(run.clone()));
        let reopened = advanced(&run, |lifecycle| {
            lifecycle.head_job = None;
            lifecycle.outcome = None;
            lifecycle.due = Some(later(1));
        });
        save(&test, &run, &reopened).await.unwrap();
        assert_eq!(test.store.run(&run.id).await.unwrap(), Some(reopened));
    }

    /// The names of attributes that the last write of a run sets or removes.
    fn written(test: &TestStore) -> Vec<String> {
        let call = test.calls().pop().unwrap();
        let items = call.body["TransactItems"].as_array().unwrap().clone();
        let update = items.into_iter().find_map(|item| item.get("Update").cloned()).unwrap();
        let names = update["ExpressionAttributeNames"].as_object().unwrap();
        names.values().map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn a_write_names_only_the_attributes_that_change() {
        let test = TestStore::start().await;
        let first = begun(&test).await;
        let second = advanced(&first, |lifecycle| lifecycle.state = State::Pending);
        save(&test, &first, &second).await.unwrap();
        assert_eq!(written(&test), ["revision", "state"]);
        let third = advanced(&second, |lifecycle| lifecycle.due = Some(later(9)));
        save(&test, &second, &third).await.unwrap();
        assert_eq!(written(&test), ["due", "dueAt", "revision"]);
        save(&test, &third, &ended(&third)).await.unwrap();
        let mut names = written(&test);
        names.sort();
        assert_eq!(
            names,
            [
                "due", "dueAt", "dueShard", "ending", "headJob", "outcome", "removed", "revision", "state",
                "ttl"
            ]
        );
    }

    #[tokio::test]
    async fn a_claim_is_recorded_once_even_if_the_revision_is_set_back() {
        let test = TestStore::start().await;
        let first = begun(&test).await;
        let claimed = advanced(&first, |lifecycle| lifecycle.claimed = Some(later(1)));
        save(&test, &first, &claimed).await.unwrap();
        test.set(Key::run(&first.id), "revision", n(first.lifecycle.revision)).await;
        let error = save(&test, &first, &claimed).await.unwrap_err();
        assert!(matches!(error, Error::VersionConflict), "{error}");
        // Other changes to a claimed run have no such condition.
        test.set(Key::run(&first.id), "revision", n(claimed.lifecycle.revision)).await;
        let ending = advanced(&claimed, |lifecycle| lifecycle.state = State::Ending);
        save(&test, &claimed, &ending).await.unwrap();
    }

    #[tokio::test]
    async fn a_lifecycle_is_saved_only_over_the_revision_that_was_read() {
        let test = TestStore::start().await;
        let first = begun(&test).await;
        let second = advanced(&first, |lifecycle| lifecycle.state = State::Pending);
        for (read, lifecycle) in [
            (&second, &second.lifecycle),
            (&first, &advanced(&second, |_| ()).lifecycle),
            (&second, &first.lifecycle),
        ] {
            let error = test.store.save_lifecycle(read, lifecycle, None).await.unwrap_err();
            assert!(matches!(error, Error::Bug { .. }), "{error}");
        }
        assert_eq!(test.operations(), [] as [&str; 0]);
    }

    #[tokio::test]
    async fn a_lifecycle_over_another_revision_is_a_conflict_and_changes_nothing() {
        let test = TestStore::start().await;
        let first = begun(&test).await;
        let second = advanced(&first, |lifecycle| lifecycle.state = State::Pending);
        save(&test, &first, &second).await.unwrap();
        let before = test.table.rows().await;
        let third = ended(&second);
        for (read, late) in
            [(&first, second.clone()), (&first, ended(&first)), (&third, advanced(&third, |_| ()))]
        {
            let error = save(&test, read, &late).await.unwrap_err();
            assert!(matches!(error, Error::VersionConflict), "{error}");
        }
        assert_eq!(test.table.rows().await, before);
    }

    #[tokio::test]
    async fn one_of_several_parallel_writers_of_a_revision_succeeds() {
        let test = TestStore::start().await;
        let first = begun(&test).await;
        let run = advanced(&first, |lifecycle| lifecycle.state = State::Pending);
        let saved = join_all((0..8).map(|_| save(&test, &first, &run))).await;
        assert_eq!(saved.iter().filter(|saved| saved.is_ok()).count(), 1);
        assert!(saved.iter().all(|saved| matches!(saved, Ok(()) | Err(Error::VersionConflict))));
    }

    #[tokio::test]
    async fn a_deleted_run_is_not_found_and_not_recreated() {
        let test = TestStore::start().await;
        let first = a_run("a");
        let run = ended(&first);
        let error = save(&test, &first, &run).await.unwrap_err();
        assert!(matches!(error, Error::NotFound), "{error}");
        assert_eq!(test.keys_beginning("RUN").await, 0);
    }

    #[tokio::test]
    async fn attributes_of_another_version_survive() {
        let test = TestStore::start().await;
        let run = begun(&test).await;
        test.set(Key::run(&run.id), "later", s("kept")).await;
        save(&test, &run, &ended(&run)).await.unwrap();
        assert!(holds(&test.row(Key::run(&run.id)).await.unwrap(), "later", &s("kept")));
    }

    #[tokio::test]
    async fn only_an_ended_run_expires_after_its_retention() {
        let test = TestStore::start().await;
        let run = begun(&test).await;
        let ttl = async || test.row(Key::run(&run.id)).await.unwrap().some_field::<i64>("ttl").unwrap();
        assert_eq!(ttl().await, None);
        let ended = ended(&run);
        let thirty_days = test.store.clone().with_retention_days(30);
        thirty_days.save_lifecycle(&run, &ended.lifecycle, None).await.unwrap();
        assert_eq!(ttl().await, Some(later(200 + 30 * 86_400).as_second()));
    }

    #[tokio::test]
    async fn a_lost_answer_is_retried_and_has_one_effect() {
        let test = TestStore::start().await;
        let first = begun(&test).await;
        let run = advanced(&first, |lifecycle| lifecycle.state = State::Pending);
        test.table.faults.fail_next(Fault::LostReply);
        save(&test, &first, &run).await.unwrap();
        assert_eq!((test.operations().len(), test.audits().await), (2, 2));
        let next = advanced(&run, |lifecycle| lifecycle.state = State::Running);
        test.table.faults.fail_next(Fault::LostReply);
        test.store.save_lifecycle(&run, &next.lifecycle, None).await.unwrap();
    }

    #[tokio::test]
    async fn a_transaction_conflict_is_contended() {
        let test = TestStore::start().await;
        let first = begun(&test).await;
        let run = advanced(&first, |lifecycle| lifecycle.state = State::Pending);
        test.table.faults.fail_next(Fault::Cancelled(&["TransactionConflict", "None"]));
        let error = save(&test, &first, &run).await.unwrap_err();
        assert!(matches!(error, Error::Contended), "{error}");
    }
}
