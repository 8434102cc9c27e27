//! Listing a scope's runs, for display only: the index is eventually consistent.

use async_trait::async_trait;
use domain::ids::RunId;
use domain::owner::{Scope, SecretOwner};
use domain::ports::ListRuns;
use domain::run::{Run, State};
use domain::{Error, Result};

use crate::Store;
use crate::expression_attributes::ExpressionAttributes;
use crate::keys::{Key, SCOPE_INDEX};
use crate::read::{at_most, page, readable};
use crate::rows::{Attributes, FromRow, corrupt, s};

#[async_trait(?Send)]
impl ListRuns for Store {
    async fn runs(
        &self,
        scope: &Scope,
        state: Option<State>,
        limit: u32,
        after: Option<&RunId>,
    ) -> Result<Vec<Run>> {
        let start = match after {
            Some(run) => Some(self.index_key(scope.owner(), run).await?),
            None => None,
        };
        let mut attributes = ExpressionAttributes::default();
        let of_scope = attributes.equals("runScope", s(scope.owner()));
        let in_state = state.map(|state| attributes.equals("state", s(state.as_str())));
        let (names, values) = attributes.parts();
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(SCOPE_INDEX)
            .key_condition_expression(of_scope)
            .set_filter_expression(in_state)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .scan_index_forward(false)
            // DynamoDB applies the limit before the filter. With a filter, a page is as large as
            // DynamoDB allows.
            .set_limit(state.is_none().then(|| page(limit)))
            .set_exclusive_start_key(start);
        let rows = at_most(limit, query, "dynamodb Query by-workspace").await?;
        Ok(readable(rows, Run::from_row))
    }
}

impl Store {
    /// A run's position in the index. A run of another scope is not found.
    async fn index_key(&self, owner: SecretOwner, run: &RunId) -> Result<Attributes> {
        let row = self.get(Key::run(run)).await?.ok_or(Error::NotFound)?;
        if row.field::<SecretOwner>("runScope")? != owner {
            return Err(Error::NotFound);
        }
        ["pk", "sk", "runScope", "created"]
            .into_iter()
            .map(|name| Ok((name.to_owned(), row.0.get(name).cloned().ok_or_else(|| corrupt(name))?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use domain::audit::AuditAction;
    use domain::role::Permission;

    use super::*;
    use crate::testing::{TestStore, a_run, later, run_audit, run_id};

    async fn begin(test: &TestStore, id: &str, created: i64, state: State, workspace: bool) {
        let mut run = Run { created: later(created), ..a_run(id) };
        run.lifecycle.state = state;
        if !workspace {
            run.workspace = None;
        }
        let audit = run_audit(&run, AuditAction::RunLaunched);
        test.begin_run(&run, None, None, &audit).await.unwrap();
    }

    #[tokio::test]
    async fn a_run_that_cannot_be_read_does_not_hide_the_others() {
        let (test, scope) = some_runs().await;
        test.set(Key::run(&run_id("c")), "outcome", s("lost")).await;
        let listed = test.store.runs(&scope, None, 10, None).await.unwrap();
        let ids: Vec<_> = listed.into_iter().map(|run| run.id).collect();
        assert_eq!(ids.len(), 4, "{ids:?}");
        assert!(!ids.contains(&run_id("c")));
    }

    async fn some_runs() -> (TestStore, Scope) {
        let test = TestStore::start().await;
        for (id, created, state) in [
            ("a", 1, State::Ended),
            ("b", 2, State::Running),
            ("c", 3, State::Ended),
            ("d", 4, State::Running),
            ("e", 4, State::Ended),
        ] {
            begin(&test, id, created, state, true).await;
        }
        begin(&test, "own", 9, State::Running, false).await;
        let scope = test.scope(Permission::ReadRuns).await;
        test.table.faults.forget();
        (test, scope)
    }

    async fn ids(
        test: &TestStore,
        scope: &Scope,
        state: Option<State>,
        limit: u32,
        after: Option<&str>,
    ) -> String {
        let after = after.map(run_id);
        let runs = test.store.runs(scope, state, limit, after.as_ref()).await.unwrap();
        runs.iter().map(|run| run.id.as_str().trim_end_matches('0')).collect::<Vec<_>>().join(" ")
    }

    #[tokio::test]
    async fn a_scopes_runs_come_newest_first_and_page_by_page() {
        let (test, scope) = some_runs().await;
        let all = ids(&test, &scope, None, 100, None).await;
        assert_eq!(test.operations(), ["Query"]);
        assert!(all == "e d c b a" || all == "d e c b a", "{all}");
        let mut pages = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = ids(&test, &scope, None, 2, after.as_deref()).await;
            if page.is_empty() {
                break;
            }
            after = page.rsplit(' ').next().map(str::to_owned);
            pages.push(page);
        }
        assert_eq!(pages.join(" "), all);
        assert_eq!(pages.len(), 3);
    }

    #[tokio::test]
    async fn a_state_filters_before_the_limit_counts() {
        let (test, scope) = some_runs().await;
        assert_eq!(ids(&test, &scope, Some(State::Running), 100, None).await, "d b");
        assert_eq!(ids(&test, &scope, Some(State::Running), 1, None).await, "d");
        assert_eq!(ids(&test, &scope, Some(State::Running), 1, Some("d")).await, "b");
        assert_eq!(ids(&test, &scope, Some(State::Pending), 100, None).await, "");
    }

    #[tokio::test]
    async fn another_scopes_runs_are_not_found() {
        let (test, scope) = some_runs().await;
        let of_user = test.user_scope(Permission::ReadRuns).await;
        assert_eq!(ids(&test, &of_user, None, 100, None).await, "own");
        for unknown in ["own", "nothing"] {
            let error = test.store.runs(&scope, None, 10, Some(&run_id(unknown))).await.unwrap_err();
            assert!(matches!(error, Error::NotFound), "{error}");
        }
    }
}
