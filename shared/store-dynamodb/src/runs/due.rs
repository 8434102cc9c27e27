//! Finding what has to be looked at: runs that are due, and the run of a head job.

use domain::ids::{RunId, SecretId};
use domain::owner::SecretOwner;
use domain::ports::FindDueRuns;
use domain::{Result, Timestamp};

use super::row::run_id;
use crate::Store;
use crate::failure::failed;
use crate::keys::{DUE_INDEX, DUE_SHARDS, Key};
use crate::read::page;
use crate::rows::{Row, garbled, n, s};
use crate::terms::Terms;

impl FindDueRuns for Store {
    async fn due_runs(&self, now: Timestamp, limit: u32) -> Result<Vec<RunId>> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let [a, b, c, d] = DUE_SHARDS.map(|shard| self.due_in(shard, now, limit));
        let (a, b, c, d) = tokio::try_join!(a, b, c, d)?;
        let mut due = [a, b, c, d].concat();
        due.sort();
        Ok(due.into_iter().take(limit).map(|(_, run)| run).collect())
    }

    async fn run_of_head_job(&self, region: &str, job_id: &str) -> Result<Option<RunId>> {
        let Some(row) = self.get(Key::job(region, job_id)).await? else {
            return Ok(None);
        };
        RunId::new(row.text("workflowId")?).map(Some).map_err(|_| garbled("workflowId"))
    }

    async fn note_use(&self, owner: SecretOwner, secret: SecretId, at: Timestamp) -> Result<()> {
        self.note_last_used(Key::secret(owner, secret), at).await
    }
}

impl Store {
    /// A shard's due runs with their due times, the longest due first.
    async fn due_in(&self, shard: &str, now: Timestamp, limit: usize) -> Result<Vec<(i64, RunId)>> {
        let mut runs = Vec::new();
        let mut start = None;
        while runs.len() < limit {
            let mut terms = Terms::default();
            let condition = format!(
                "{} = {} AND {} <= {}",
                terms.name("dueShard"),
                terms.value(s(shard)),
                terms.name("due"),
                terms.value(n(now.as_millisecond())),
            );
            let (names, values) = terms.parts();
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(DUE_INDEX)
                .key_condition_expression(condition)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values)
                .limit(page(limit - runs.len()))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| failed("dynamodb Query due", &error))?;
            for row in answer.items.unwrap_or_default().into_iter().map(Row) {
                runs.push((row.parsed("due")?, run_id(row.text("pk")?)?));
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(runs)
    }
}
