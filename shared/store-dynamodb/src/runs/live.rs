//! Listing live runs, from a sparse index: `dueShard` is an attribute of a run until it has ended.

use async_trait::async_trait;
use domain::Result;
use domain::owner::SecretOwner;
use domain::ports::{ListLiveRuns, LiveRun, LiveRuns};
use domain::run::State;

use super::row::{ELSEWHERE, run_id};
use crate::Store;
use crate::expression_attributes::ExpressionAttributes;
use crate::keys::LIVE_INDEX;
use crate::read::readable;
use crate::rows::s;

#[async_trait(?Send)]
impl ListLiveRuns for Store {
    async fn live_runs(&self, scope: SecretOwner, which: LiveRuns, limit: u32) -> Result<Vec<LiveRun>> {
        let mut attributes = ExpressionAttributes::default();
        let of_scope = attributes.equals("runScope", s(scope));
        let filter = (which == LiveRuns::ExceptEndedElsewhere).then(|| {
            let ending = attributes.equals("state", s(State::Ending.as_str()));
            format!("NOT ({ending} AND {})", attributes.equals("platform", s(ELSEWHERE)))
        });
        let rows = self
            .first_in_index(LIVE_INDEX, "dynamodb Query live", of_scope, filter, attributes, limit)
            .await?;
        Ok(readable(rows, |row| {
            let copies = row.some_field("copyCount")?.unwrap_or(1);
            Ok(LiveRun { id: run_id(&row)?, user: row.field("user")?, copies })
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::audit::AuditAction;
    use domain::environment::Target;
    use domain::ports::SaveRuns;
    use domain::run::Run;

    use super::*;
    use crate::keys::Key;
    use crate::testing::{TestStore, a_run, advanced, an_environment, run_audit, run_id as id_of, user};

    async fn begin(test: &TestStore, id: &str, change: impl FnOnce(&mut Run)) -> Run {
        let mut run = a_run(id);
        change(&mut run);
        let audit = run_audit(&run, AuditAction::RunLaunched);
        test.begin_run(&run, None, None, &audit).await.unwrap();
        run
    }

    async fn live(test: &TestStore, scope: &str, limit: u32) -> Vec<LiveRun> {
        let mut live = test.store.live_runs(scope.parse().unwrap(), LiveRuns::All, limit).await.unwrap();
        live.sort_by(|one, other| one.id.cmp(&other.id));
        live
    }

    #[tokio::test]
    async fn a_run_is_live_in_its_scope_until_it_has_ended() {
        let test = TestStore::start().await;
        let run = begin(&test, "a", |_| ()).await;
        begin(&test, "b", |run| run.user = user(8)).await;
        begin(&test, "c", |run| run.workspace = None).await;
        test.table.faults.forget();
        let expected = |id, number| LiveRun { id: id_of(id), user: user(number), copies: 1 };
        assert_eq!(live(&test, "WS#42", 10).await, [expected("a", 1), expected("b", 8)]);
        assert_eq!(test.operations(), ["Query"]);
        assert_eq!(live(&test, "USER#1", 10).await, [expected("c", 1)]);
        assert_eq!((live(&test, "WS#42", 1).await.len(), live(&test, "WS#43", 10).await.len()), (1, 0));
        let ending = advanced(&run, |lifecycle| lifecycle.state = State::Ending);
        test.store.save_lifecycle(&run, &ending.lifecycle, None).await.unwrap();
        assert_eq!(live(&test, "WS#42", 10).await.len(), 2, "its copies exist until it has ended");
        let ended = advanced(&ending, |lifecycle| {
            lifecycle.state = State::Ended;
            lifecycle.due = None;
        });
        test.store.save_lifecycle(&ending, &ended.lifecycle, None).await.unwrap();
        assert_eq!(live(&test, "WS#42", 10).await, [expected("b", 8)]);
    }

    #[tokio::test]
    async fn runs_that_ended_in_an_environment_can_be_left_out() {
        let test = TestStore::start().await;
        for (id, elsewhere, state) in [
            ("a", true, State::Running),
            ("b", true, State::Ending),
            ("c", false, State::Running),
            ("d", false, State::Ending),
        ] {
            let run = begin(&test, id, |run| {
                run.target = if elsewhere { Target::Elsewhere(an_environment("a")) } else { Target::Home };
            })
            .await;
            let next = advanced(&run, |lifecycle| lifecycle.state = state);
            test.store.save_lifecycle(&run, &next.lifecycle, None).await.unwrap();
        }
        for (which, limit, expected) in [
            (LiveRuns::All, 10, &["a", "b", "c", "d"][..]),
            (LiveRuns::ExceptEndedElsewhere, 10, &["a", "c", "d"]),
            (LiveRuns::ExceptEndedElsewhere, 3, &["a", "c", "d"]),
        ] {
            let live = test.store.live_runs("WS#42".parse().unwrap(), which, limit).await.unwrap();
            let ids: BTreeSet<_> = live.into_iter().map(|run| run.id).collect();
            assert_eq!(ids, expected.iter().map(|id| id_of(id)).collect(), "{which:?}, {limit}");
        }
    }

    #[tokio::test]
    async fn the_number_of_copies_is_that_of_the_launch_and_one_if_an_earlier_version_wrote_the_row() {
        let test = TestStore::start().await;
        let copies = |run: &Run, count| vec![run.lifecycle.copies[0].clone(); count];
        begin(&test, "a", |run| run.lifecycle.copies = copies(run, 0)).await;
        begin(&test, "b", |run| run.lifecycle.copies = copies(run, 64)).await;
        begin(&test, "c", |run| run.lifecycle.copies = copies(run, 64)).await;
        let mut row = test.row(Key::run(&id_of("c"))).await.unwrap().0;
        row.remove("copyCount");
        test.seed(row).await;
        let counts: Vec<_> = live(&test, "WS#42", 10).await.iter().map(|run| run.copies).collect();
        assert_eq!(counts, [0, 64, 1]);
    }
}
