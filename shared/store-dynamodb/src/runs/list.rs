//! Listing a scope's runs, for people: the index lags.

use domain::ids::RunId;
use domain::owner::{Scope, SecretOwner};
use domain::ports::ListRuns;
use domain::run::{Run, State};
use domain::{Error, Result};

use super::row::run_from;
use crate::Store;
use crate::failure::failed;
use crate::keys::{Key, SCOPE_INDEX};
use crate::read::page;
use crate::rows::{Attributes, Row, garbled, s};
use crate::terms::Terms;

impl ListRuns for Store {
    async fn runs(
        &self,
        scope: &Scope,
        state: Option<State>,
        limit: u32,
        after: Option<&RunId>,
    ) -> Result<Vec<Run>> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut start = match after {
            Some(run) => Some(self.index_key(scope.owner(), run).await?),
            None => None,
        };
        let mut runs = Vec::new();
        while runs.len() < limit {
            // Rows are counted before the filter drops some: with one, a page is as large as DynamoDB makes it.
            let page = state.is_none().then(|| page(limit - runs.len()));
            let (rows, next) = self.page_of_runs(scope.owner(), state, page, start).await?;
            for row in &rows {
                runs.push(run_from(row)?);
            }
            start = next;
            if start.is_none() {
                break;
            }
        }
        runs.truncate(limit);
        Ok(runs)
    }
}

impl Store {
    async fn page_of_runs(
        &self,
        owner: SecretOwner,
        state: Option<State>,
        page: Option<i32>,
        start: Option<Attributes>,
    ) -> Result<(Vec<Row>, Option<Attributes>)> {
        let mut terms = Terms::default();
        let scope = format!("{} = {}", terms.name("runScope"), terms.value(s(owner)));
        let filter =
            state.map(|state| format!("{} = {}", terms.name("state"), terms.value(s(state.as_str()))));
        let (names, values) = terms.parts();
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(SCOPE_INDEX)
            .key_condition_expression(scope)
            .set_filter_expression(filter)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .scan_index_forward(false)
            .set_limit(page)
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|error| failed("dynamodb Query by-workspace", &error))?;
        let rows = answer.items.unwrap_or_default().into_iter().map(Row).collect();
        Ok((rows, answer.last_evaluated_key))
    }

    /// Where a run stands in the index. A run of another scope is as good as none.
    async fn index_key(&self, owner: SecretOwner, run: &RunId) -> Result<Attributes> {
        let row = self.get(Key::run(run)).await?.ok_or(Error::NotFound)?;
        if row.text("runScope")? != owner.to_string() {
            return Err(Error::NotFound);
        }
        ["pk", "sk", "runScope", "created"]
            .into_iter()
            .map(|name| Ok((name.to_owned(), row.0.get(name).cloned().ok_or_else(|| garbled(name))?)))
            .collect()
    }
}
