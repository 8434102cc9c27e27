use super::*;
use crate::environment::{EnvironmentId, ExternalId, ListedEnvironment, Target};
use crate::ids::WorkspaceId;
use crate::run::RunResult;
use crate::testing::{elsewhere, environment};

fn put_elsewhere(fixture: &Fixture, run: Run) -> Run {
    let run = elsewhere(run);
    fixture.table.put_run(run.clone());
    for copy in &run.lifecycle.copies {
        let not_after = Some(run.not_after);
        fixture.environments.target.put(&copy.name, Some("test"), Some(run.id.as_str()), not_after);
    }
    run
}

fn list(fixture: &Fixture, environment: Environment) {
    list_until(fixture, environment, None);
}

fn list_until(fixture: &Fixture, environment: Environment, kept_until: Option<i64>) {
    let listed = ListedEnvironment { environment, workspace: workspace_id(), kept_until };
    fixture.table.rows.borrow_mut().listed_environments.push(listed);
}

/// The sweep in which it is the environment's turn.
fn turn_of(environment: &Environment) -> jiff::Timestamp {
    let letters: i64 = environment.id.as_str().bytes().map(i64::from).sum();
    let now = NOW.as_second().div_euclid(300).div_euclid(12) * 12 + letters.rem_euclid(12);
    jiff::Timestamp::from_second(now * 300).unwrap()
}

fn sweep_at(fixture: &Fixture, now: jiff::Timestamp) -> SweepSummary {
    fixture.backoff.set_remaining(Duration::from_mins(4));
    run_now(cleaner(fixture).sweep(&fixture.context_at(now))).unwrap()
}

#[test]
fn six_hundred_runs_in_an_unreachable_environment_delay_nothing_else() {
    let fixture = Fixture { backoff: Backoff::of(2_000), ..Fixture::new() };
    for number in 0..600 {
        put_elsewhere(&fixture, due_run(number, State::Ending, -10));
    }
    let last = due_run(999, State::Ending, -1);
    put(&fixture, &last);
    fixture.environments.unreachable.set(true);
    let swept = sweep_at(&fixture, NOW);
    assert_eq!((swept.due, swept.ended, swept.failed), (601, 1, 0));
    assert_eq!((swept.unreachable, swept.abandoned), (1, 0));
    assert_eq!(fixture.table.stored_run(&last.id).lifecycle.state, State::Ended);
    let sessions = fixture.environments.sessions.borrow().len();
    assert!(sessions <= CONCURRENCY, "one failure puts off all of them: {sessions} attempts");
    assert_eq!(fixture.table.rows.borrow().postpone_inspection.len(), 600);
    assert_eq!(sweep_at(&fixture, NOW), SweepSummary::default(), "all are put off");

    // Once the role is back, all of them end.
    fixture.environments.unreachable.set(false);
    let swept = sweep_at(&fixture, minutes(30));
    assert_eq!((swept.due, swept.ended, swept.unreachable), (600, 600, 0));
    assert!(fixture.environments.target.names().is_empty());
}

#[test]
fn six_hundred_runs_are_abandoned_together() {
    let fixture = Fixture::new();
    for number in 0..600 {
        put_elsewhere(&fixture, due_run(number, State::Ending, -10));
    }
    fixture.environments.unreachable.set(true);
    let swept = sweep_at(&fixture, minutes(60 * 24 * 60));
    assert_eq!((swept.due, swept.abandoned, swept.failed, swept.unreachable), (600, 600, 0, 1));
}

#[test]
fn another_region_or_external_id_of_the_same_role_is_still_tried() {
    let others = [
        Environment { region: Region::parse("eu-west-1").unwrap(), ..environment() },
        Environment { external_id: ExternalId::parse(&"z".repeat(32)).unwrap(), ..environment() },
    ];
    for other in others {
        let fixture = Fixture::new();
        let refused = put_elsewhere(&fixture, due_run(1, State::Ending, -10));
        let mut tried = elsewhere(due_run(2, State::Ending, -5));
        tried.target = Target::Elsewhere(other);
        fixture.table.put_run(tried.clone());
        fixture.environments.faults.fail("assume_role", unavailable());
        let swept = sweep_at(&fixture, NOW);
        assert_eq!((swept.due, swept.ended, swept.unreachable), (2, 1, 1));
        assert_eq!(fixture.table.stored_run(&refused.id), refused);
        assert_eq!(fixture.table.stored_run(&tried.id).lifecycle.state, State::Ended);
    }
}

#[test]
fn orphans_in_an_environment_are_removed_only_while_there_is_time() {
    for (passing, removed) in [(0, 2), (55, 1), (80, 0)] {
        let fixture = Fixture::new();
        list(&fixture, environment());
        for number in 1..=2 {
            let ended = put_elsewhere(&fixture, due_run(number, State::Ended, -10));
            let mut copies = fixture.environments.target.copies.borrow_mut();
            copies.get_mut(&ended.lifecycle.copies[0].name).unwrap().scope = Some("workspace/42".into());
        }
        fixture.backoff.pass_on_read(Duration::from_secs(passing));
        assert_eq!(sweep_at(&fixture, turn_of(&environment())).orphans, removed, "{passing}");
    }
}

#[test]
fn orphans_in_an_environment_are_removed_in_its_turn_if_they_are_of_its_workspace() {
    let fixture = Fixture::new();
    list(&fixture, environment());
    let ended = put_elsewhere(&fixture, due_run(1, State::Ended, -10));
    let copy = ended.lifecycle.copies[0].name.clone();
    let scope = |scope: Option<&str>| {
        let mut copies = fixture.environments.target.copies.borrow_mut();
        copies.get_mut(&copy).unwrap().scope = scope.map(str::to_owned);
    };
    let now = turn_of(&environment());
    for (case, tag) in [("another workspace", Some("workspace/43")), ("no scope", None)] {
        scope(tag);
        let swept = sweep_at(&fixture, now);
        assert_eq!((swept.orphans, fixture.environments.target.names().len()), (0, 1), "{case}");
    }
    scope(Some("workspace/42"));
    for turn in 1..12 {
        let swept = sweep_at(&fixture, now + SignedDuration::from_mins(5 * turn));
        assert_eq!(swept.orphans, 0, "{turn}: it is not its turn");
    }
    let sessions = fixture.environments.sessions.borrow().len();
    assert_eq!(sessions, 2, "one list an hour");
    assert_eq!(sweep_at(&fixture, now).orphans, 1);
    assert!(fixture.environments.target.names().is_empty());
    let (_, _, name) = fixture.environments.sessions.borrow().last().unwrap().clone();
    assert_eq!(name, "sweep");
}

#[test]
fn the_same_role_and_external_id_are_looked_at_once_for_each_workspace() {
    let fixture = Fixture::new();
    let here = ListedEnvironment { environment: environment(), workspace: workspace_id(), kept_until: None };
    let deleted = ListedEnvironment { kept_until: Some(i64::MAX), ..here.clone() };
    let other = ListedEnvironment { workspace: WorkspaceId::new(43).unwrap(), ..here.clone() };
    fixture.table.rows.borrow_mut().listed_environments = vec![deleted, here, other];
    sweep_at(&fixture, turn_of(&environment()));
    assert_eq!(fixture.environments.sessions.borrow().len(), 2);
}

#[test]
fn an_environment_that_cannot_be_listed_does_not_stop_the_others() {
    let fixture = Fixture::new();
    let other = Environment {
        id: EnvironmentId::parse("1023456789abcdefghijkl").unwrap(),
        region: Region::parse("eu-west-1").unwrap(),
        ..environment()
    };
    list(&fixture, environment());
    list(&fixture, other);
    let now = turn_of(&environment());
    fixture.environments.faults.fail("assume_role", environment_refused());
    assert_eq!(sweep_at(&fixture, now).unreachable, 1);
    assert_eq!(fixture.environments.target.faults.count("list_copies"), 1);
    fixture.environments.target.faults.fail("list_copies", unavailable());
    assert_eq!(sweep_at(&fixture, now).unreachable, 1);
    fixture.table.faults.fail("targets", unavailable());
    error_of(run_now(cleaner(&fixture).sweep(&fixture.context_at(now))));
    fixture.backoff.set_remaining(Duration::from_secs(89));
    let listed = fixture.environments.target.faults.count("list_copies");
    run_now(cleaner(&fixture).sweep(&fixture.context_at(now))).unwrap();
    assert_eq!(fixture.environments.target.faults.count("list_copies"), listed, "the time is up");
}

#[test]
fn a_deleted_environment_is_searched_until_its_runs_are_over_and_does_not_count_as_unreachable() {
    let now = turn_of(&environment());
    let until = |seconds: i64| Some(now.as_second() + seconds);
    // Until when it is kept, whether its role is gone; sessions, orphans, unreachable.
    for (case, kept_until, is_gone, expected) in [
        ("registered", None, false, (1, 1, 0)),
        ("registered, its role is gone", None, true, (1, 0, 1)),
        ("deleted", until(1), false, (1, 1, 0)),
        ("deleted, its role is gone", until(1), true, (1, 0, 0)),
        ("its last run is over", until(0), false, (0, 0, 0)),
    ] {
        let fixture = Fixture::new();
        list_until(&fixture, environment(), kept_until);
        let ended = put_elsewhere(&fixture, due_run(1, State::Ended, -10));
        let copy = &ended.lifecycle.copies[0].name;
        fixture.environments.target.copies.borrow_mut().get_mut(copy).unwrap().scope =
            Some("workspace/42".into());
        fixture.environments.unreachable.set(is_gone);
        let swept = sweep_at(&fixture, now);
        let sessions = fixture.environments.sessions.borrow().len();
        assert_eq!((sessions, swept.orphans, swept.unreachable), expected, "{case}");
    }
}

#[test]
fn runs_of_a_deleted_workspace_end_in_environments_and_one_failure_is_enough() {
    let fixture = Fixture { backoff: Backoff::of(2_000), ..Fixture::new() };
    let runs: Vec<_> =
        (0..100).map(|number| put_elsewhere(&fixture, due_run(number, State::Running, 20))).collect();
    fixture.table.rows.borrow_mut().removed.insert(runs[0].scope(), minutes(-1));
    fixture.environments.unreachable.set(true);
    let swept = sweep_at(&fixture, NOW);
    assert_eq!((swept.ended, swept.abandoned, swept.failed, swept.unreachable), (0, 0, 0, 1));
    let sessions = fixture.environments.sessions.borrow().len();
    assert!(sessions <= CONCURRENCY, "one failure puts off all of them: {sessions} attempts");
    for run in &runs {
        let lifecycle = fixture.table.stored_run(&run.id).lifecycle;
        let result = lifecycle.outcome.map(|outcome| outcome.result);
        assert_eq!((lifecycle.state, result), (State::Ending, Some(RunResult::Cancelled)), "{}", run.id);
    }
    assert_eq!(sweep_at(&fixture, NOW), SweepSummary::default(), "all are put off");

    // Once the role is back, their copies are deleted.
    fixture.environments.unreachable.set(false);
    assert_eq!(sweep_at(&fixture, minutes(30)).ended, 100);
    assert!(fixture.environments.target.names().is_empty());
}

#[test]
fn runs_that_wait_for_their_environment_do_not_hide_live_ones_of_the_deleted_workspace() {
    let fixture = Fixture::new();
    for number in 0..150 {
        put_elsewhere(&fixture, due_run(number, State::Ending, 20));
    }
    let live = due_run(999, State::Running, 20);
    put(&fixture, &live);
    fixture.table.rows.borrow_mut().removed.insert(live.scope(), minutes(-1));
    let swept = sweep_at(&fixture, NOW);
    assert_eq!((swept.due, swept.ended), (0, 1));
    assert_eq!(fixture.table.stored_run(&live.id).lifecycle.state, State::Ended);
}

#[test]
fn runs_of_a_deleted_workspace_are_given_up_as_others_are() {
    let fixture = Fixture::new();
    let run = put_elsewhere(&fixture, due_run(1, State::Running, 20));
    fixture.table.rows.borrow_mut().removed.insert(run.scope(), minutes(-1));
    fixture.environments.unreachable.set(true);
    let swept = sweep_at(&fixture, minutes(60 * 24 * 60));
    assert_eq!((swept.abandoned, swept.ended, swept.failed, swept.unreachable), (1, 0, 0, 1));
    let lifecycle = fixture.table.stored_run(&run.id).lifecycle;
    assert_eq!((lifecycle.state, lifecycle.copies_left()), (State::Ended, &run.lifecycle.copies[..]));
    assert_eq!(lifecycle.outcome.unwrap().result, RunResult::Cancelled);
}
