//! Finding runs to check: those that are due, and the run of a head job.

use async_trait::async_trait;
use domain::ids::{RunId, SecretId};
use domain::owner::SecretOwner;
use domain::ports::FindDueRuns;
use domain::run::JobLocation;
use domain::{Result, Timestamp};

use super::row::run_id;
use crate::Store;
use crate::expression_attributes::{Changes, ExpressionAttributes};
use crate::keys::{DUE_INDEX, DUE_SHARDS, Key};
use crate::read::readable;
use crate::rows::{n, s};

#[async_trait(?Send)]
impl FindDueRuns for Store {
    async fn due_runs(&self, now: Timestamp, limit: u32) -> Result<Vec<RunId>> {
        let [a, b, c, d] = DUE_SHARDS.map(|shard| Box::pin(self.due_in(shard, now, limit)));
        let (a, b, c, d) = tokio::try_join!(a, b, c, d)?;
        let mut due = [a, b, c, d].concat();
        due.sort();
        due.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(due.into_iter().map(|(_, run)| run).collect())
    }

    async fn postpone_inspection(&self, id: &RunId, now: Timestamp, until: Timestamp) -> Result<()> {
        let mut changes = Changes::default();
        changes.set("due", n(until.as_millisecond()));
        let now = changes.attributes().value(n(now.as_millisecond()));
        let condition = format!("{} <= {now}", changes.attributes().name("due"));
        self.update_if(Key::run(id), changes, condition).await
    }

    async fn run_of_head_job(&self, job: &JobLocation<'_>) -> Result<Option<RunId>> {
        let row = self.get(Key::job(job)).await?;
        row.map(|row| row.field("workflowId")).transpose()
    }

    async fn record_use(&self, owner: SecretOwner, secret: SecretId, at: Timestamp) -> Result<()> {
        self.record_last_used(Key::secret(owner, secret), at).await
    }
}

impl Store {
    /// A shard's due runs with their due times, earliest first.
    async fn due_in(&self, shard: &str, now: Timestamp, limit: u32) -> Result<Vec<(i64, RunId)>> {
        let mut attributes = ExpressionAttributes::default();
        let condition = format!(
            "{} AND {} <= {}",
            attributes.equals("dueShard", s(shard)),
            attributes.name("due"),
            attributes.value(n(now.as_millisecond())),
        );
        let rows =
            self.first_in_index(DUE_INDEX, "dynamodb Query due", condition, None, attributes, limit).await?;
        Ok(readable(rows, |row| Ok((row.field("due")?, run_id(&row)?))))
    }
}

#[cfg(test)]
mod tests {
    use domain::audit::AuditAction;
    use domain::ports::{ReadRuns, SaveRuns};
    use domain::role::Permission;
    use domain::run::{Run, State};

    use super::*;
    use crate::secrets::row::secret_row;
    use crate::testing::{TestStore, a_run, a_secret, advanced, later, run_audit, run_id};

    async fn begin(test: &TestStore, id: &str, due: Option<i64>) -> Run {
        let mut run = a_run(id);
        run.lifecycle.due = due.map(later);
        let audit = run_audit(&run, AuditAction::RunLaunched);
        test.begin_run(&run, None, None, &audit).await.unwrap();
        run
    }

    #[tokio::test]
    async fn only_due_runs_are_returned_earliest_first() {
        let test = TestStore::start().await;
        for (id, due) in [("a", Some(30)), ("b", Some(10)), ("c", Some(20)), ("d", Some(61)), ("e", None)] {
            begin(&test, id, due).await;
        }
        test.table.faults.forget();
        let due = test.store.due_runs(later(60), 10).await.unwrap();
        assert_eq!(due, [run_id("b"), run_id("c"), run_id("a")]);
        assert_eq!(test.operations(), ["Query"; 4]);
        assert_eq!(test.store.due_runs(later(60), 2).await.unwrap(), [run_id("b"), run_id("c")]);
        assert_eq!(test.store.due_runs(later(60), 0).await.unwrap(), []);
        assert_eq!(test.store.due_runs(later(0), 10).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_row_that_is_not_a_run_is_skipped() {
        let test = TestStore::start().await;
        begin(&test, "a", Some(0)).await;
        for (pk, due) in
            [("RUN#x", n(0)), ("SECRETS#WS#42", n(1)), ("RUN#", n(2)), ("RUN#ab12ABCDEFGHIJ", n("1.5"))]
        {
            let mut row = Key::new(pk, "RUN").attributes();
            row.extend([("dueShard".to_owned(), s("DUE#0")), ("due".to_owned(), due)]);
            test.seed(row).await;
        }
        assert_eq!(test.store.due_runs(later(60), 10).await.unwrap(), [run_id("a")]);
    }

    #[tokio::test]
    async fn the_due_index_holds_only_runs_with_a_due_time() {
        let test = TestStore::start().await;
        let run = begin(&test, "a", Some(0)).await;
        let indexed = async || {
            let scan = test.table.quiet().scan().table_name(&test.table.name).index_name(DUE_INDEX);
            scan.send().await.unwrap().items.unwrap_or_default()
        };
        let rows = indexed().await;
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].len(), 4, "keys only: {rows:?}");
        let ended = advanced(&run, |lifecycle| {
            lifecycle.state = State::Ended;
            lifecycle.due = None;
        });
        test.store.save_lifecycle(&run, &ended.lifecycle, None).await.unwrap();
        let row = test.row(Key::run(&run.id)).await.unwrap();
        assert!(!row.0.contains_key("due") && !row.0.contains_key("dueShard"));
        assert_eq!((indexed().await.len(), test.store.due_runs(later(60), 10).await.unwrap().len()), (0, 0));
    }

    #[tokio::test]
    async fn runs_spread_over_all_shards_and_every_shard_is_queried() {
        let test = TestStore::start().await;
        for letter in "abcdefgh".chars() {
            begin(&test, &letter.to_string(), Some(0)).await;
        }
        let shards = test.table.rows().await;
        let shards: std::collections::BTreeSet<_> =
            shards.iter().filter_map(|row| row.get("dueShard")?.as_s().ok().cloned()).collect();
        assert_eq!(shards.len(), DUE_SHARDS.len());
        assert_eq!(test.store.due_runs(later(60), 100).await.unwrap().len(), 8);
        assert_eq!(test.store.due_runs(later(60), 5).await.unwrap().len(), 5);
    }

    #[tokio::test]
    async fn a_run_that_is_put_off_is_returned_later_and_keeps_its_due_time() {
        let test = TestStore::start().await;
        let run = begin(&test, "a", Some(60)).await;
        test.store.postpone_inspection(&run.id, later(59), later(500)).await.unwrap();
        assert_eq!(
            test.store.due_runs(later(60), 10).await.unwrap(),
            [run_id("a")],
            "its due time has changed"
        );
        for _ in 0..2 {
            test.store.postpone_inspection(&run.id, later(60), later(500)).await.unwrap();
            assert_eq!(test.store.due_runs(later(499), 10).await.unwrap(), []);
            assert_eq!(test.store.due_runs(later(500), 10).await.unwrap(), [run_id("a")]);
        }
        assert_eq!(test.store.run(&run.id).await.unwrap().unwrap(), run);
        test.remove(Key::run(&run.id)).await;
        test.store.postpone_inspection(&run.id, later(600), later(700)).await.unwrap();
        assert_eq!(test.keys_beginning("RUN#").await, 0);
    }

    #[tokio::test]
    async fn the_last_use_only_moves_forward_and_a_deleted_secret_is_skipped() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::WriteSecrets).await;
        let (secret, _) = a_secret(&scope, 7, "NCBI_API_KEY");
        test.seed(secret_row(&secret).unwrap()).await;
        for (seconds, expected) in [(60, 60), (30, 60), (60, 60), (90, 90)] {
            test.store.record_use(secret.owner, secret.id, later(seconds)).await.unwrap();
            let row = test.row(Key::secret(secret.owner, secret.id)).await.unwrap();
            let last_used: Timestamp = row.field("lastUsed").unwrap();
            assert_eq!(last_used.as_second(), later(expected).as_second());
        }
        test.remove(Key::secret(secret.owner, secret.id)).await;
        test.store.record_use(secret.owner, secret.id, later(120)).await.unwrap();
        assert_eq!(test.keys_beginning("SECRET#").await, 0);
    }
}
