mod environments;

use super::*;
use crate::audit::AuditAction;
use crate::head_job::ObservedJob;
use crate::platform::Platform;
use crate::run::{HeadJob, JobStatus, Run};
use crate::testing::*;
use crate::use_cases::clean_up::tests::cleaner;

const OTHER: &str = "ab12JIHGFEDCBA";

fn sweep(fixture: &Fixture) -> Result<SweepSummary> {
    run_now(cleaner(fixture).sweep(&fixture.context()))
}

/// A run that is due in this number of minutes.
fn due_run(number: u32, state: State, due: i64) -> Run {
    let id = RunId::new(&format!("ab12{number:010}")).unwrap();
    let mut run = Run { id, ..run(Platform::AwsBatch, state) };
    run.lifecycle.due = Some(minutes(due));
    run.lifecycle.copies[0].name = format!("tower-{}", run.id);
    run
}

fn put(fixture: &Fixture, run: &Run) {
    fixture.table.put_run(run.clone());
    for copy in &run.lifecycle.copies {
        fixture.target.put(&copy.name, Some("test"), Some(run.id.as_str()), Some(run.not_after));
    }
}

#[test]
fn only_runs_that_are_due_are_inspected() {
    let fixture = Fixture::new();
    let runs = [
        due_run(1, State::Running, -3),
        due_run(2, State::Ending, -7),
        due_run(3, State::Pending, 0),
        due_run(4, State::Running, 1),
    ];
    for run in &runs {
        put(&fixture, run);
    }
    let swept = sweep(&fixture).unwrap();
    let expected = SweepSummary { due: 3, ended: 3, longest_due_seconds: 7 * 60, ..SweepSummary::default() };
    assert_eq!(swept, expected);
    assert_eq!(fixture.target.names(), [runs[3].lifecycle.copies[0].name.clone()]);
    assert_eq!(fixture.table.stored_run(&runs[3].id), runs[3]);
    let ended = fixture.table.audit().into_iter().filter(|record| record.action == AuditAction::RunEnded);
    let mut ended: Vec<_> = ended.filter_map(|record| record.run).collect();
    ended.sort();
    assert_eq!(ended, [runs[0].id.clone(), runs[1].id.clone(), runs[2].id.clone()]);
}

#[test]
fn a_sweep_with_nothing_to_do_reports_nothing() {
    let fixture = Fixture::new();
    put(&fixture, &due_run(1, State::Running, 20));
    assert_eq!(sweep(&fixture).unwrap(), SweepSummary::default());
    assert!(fixture.table.audit().is_empty());
    assert_eq!(fixture.target.names().len(), 1);
}

#[test]
fn a_run_that_fails_is_put_off_and_does_not_stop_the_others() {
    // The operation that fails once, and for how long the longest due run was due. That is unknown
    // for a row that cannot be read.
    for (operation, longest) in [("run", 4), ("save_lifecycle", 9)] {
        let fixture = Fixture::new();
        let runs =
            [due_run(1, State::Running, -9), due_run(2, State::Running, -4), due_run(3, State::Running, -2)];
        for run in &runs {
            put(&fixture, run);
        }
        fixture.table.faults.fail(operation, unavailable());
        let swept = sweep(&fixture).unwrap();
        let expected = SweepSummary {
            due: 3,
            ended: 2,
            failed: 1,
            longest_due_seconds: longest * 60,
            ..SweepSummary::default()
        };
        assert_eq!(swept, expected, "{operation}");
        assert_eq!(fixture.table.stored_run(&runs[0].id), runs[0], "{operation}");
        fixture.table.rows.borrow_mut().postpone_inspection.clear();
        assert_eq!(sweep(&fixture).unwrap().ended, 1, "{operation}: it ends when it is due again");
    }
}

#[test]
fn several_failures_are_counted_one_by_one() {
    let fixture = Fixture::new();
    for number in 1..=3 {
        put(&fixture, &due_run(number, State::Running, -1));
    }
    for _ in 0..2 {
        fixture.table.faults.fail("run", unavailable());
    }
    let swept = sweep(&fixture).unwrap();
    assert_eq!((swept.due, swept.ended, swept.failed), (3, 1, 2));
}

#[test]
fn a_run_is_inspected_by_its_row_and_not_by_the_index() {
    let fixture = Fixture::new();
    let run = due_run(1, State::Running, -1);
    put(&fixture, &run);
    let id = run.id.clone();
    fixture.table.before("run", move |rows| {
        rows.runs.get_mut(&id).unwrap().lifecycle.due = Some(minutes(30));
    });
    assert_eq!(
        sweep(&fixture).unwrap(),
        SweepSummary { due: 1, ..SweepSummary::default() },
        "renewed concurrently"
    );
    assert_eq!(fixture.table.stored_run(&run.id).lifecycle.state, State::Running);

    fixture.table.rows.borrow_mut().runs.get_mut(&run.id).unwrap().lifecycle.due = Some(NOW);
    fixture.target.copies.borrow_mut().clear();
    fixture.table.before("run", |rows| rows.runs.clear());
    assert_eq!(
        sweep(&fixture).unwrap(),
        SweepSummary { due: 1, ..SweepSummary::default() },
        "deleted concurrently"
    );
}

#[test]
fn a_sweep_inspects_batches_until_no_run_is_due_or_its_time_is_up() {
    for (seconds, ended) in [(240, [250, 0, 0]), (100, [200, 50, 0]), (89, [100, 100, 50])] {
        let fixture = Fixture::new();
        for number in 0..250 {
            let mut run = due_run(number, State::Running, -1);
            run.lifecycle.copies.clear();
            put(&fixture, &run);
        }
        let swept = [(); 3].map(|()| {
            fixture.backoff.set_remaining(Duration::from_secs(seconds));
            fixture.backoff.pass_on_read(Duration::from_secs(15));
            sweep(&fixture).unwrap().ended
        });
        assert_eq!(swept, ended, "{seconds}");
    }
}

#[test]
fn six_hundred_runs_that_fail_do_not_delay_one_that_is_due_later() {
    let fixture = Fixture::new();
    for number in 0..600 {
        put(&fixture, &due_run(number, State::Ending, -10));
    }
    let last = due_run(999, State::Ending, -1);
    put(&fixture, &last);
    for _ in 0..600 {
        fixture.target.faults.fail("describe_copy", unavailable());
    }
    fixture.backoff.set_remaining(Duration::from_mins(4));
    let swept = sweep(&fixture).unwrap();
    assert_eq!((swept.due, swept.failed, swept.ended), (601, 600, 1));
    assert_eq!(fixture.table.stored_run(&last.id).lifecycle.state, State::Ended);
}

/// Each case: for how many minutes the run has been due, and in how many minutes it is inspected
/// again after a failure.
#[test]
fn a_failed_run_is_put_off_by_the_time_it_has_been_due_within_1_to_30_minutes() {
    for (due, delay) in [(0, 1), (1, 1), (2, 2), (7, 7), (30, 30), (31, 30), (10_000, 30)] {
        let fixture = Fixture::new();
        let run = due_run(1, State::Running, -due);
        put(&fixture, &run);
        fixture.table.faults.fail("save_lifecycle", unavailable());
        assert_eq!(sweep(&fixture).unwrap().failed, 1, "{due}");
        assert_eq!(fixture.table.rows.borrow().postpone_inspection[&run.id], minutes(delay), "{due}");
        assert_eq!(fixture.table.stored_run(&run.id), run, "{due}: only the index is written");
        assert_eq!(sweep(&fixture).unwrap(), SweepSummary::default(), "{due}: it is not due again yet");
    }
}

#[test]
fn a_run_that_cannot_be_read_is_put_off_by_half_an_hour() {
    let fixture = Fixture::new();
    let run = due_run(1, State::Running, -5);
    put(&fixture, &run);
    fixture.table.faults.fail("run", unavailable());
    assert_eq!(sweep(&fixture).unwrap().failed, 1);
    assert_eq!(fixture.table.rows.borrow().postpone_inspection[&run.id], minutes(30));
}

#[test]
fn a_run_that_was_renewed_concurrently_or_cannot_be_put_off_stays_due() {
    let fixture = Fixture::new();
    let run = due_run(1, State::Running, -5);
    put(&fixture, &run);
    fixture.table.faults.fail("save_lifecycle", unavailable());
    let id = run.id.clone();
    fixture.table.before("postpone_inspection", move |rows| {
        rows.runs.get_mut(&id).unwrap().lifecycle.due = Some(minutes(20));
    });
    sweep(&fixture).unwrap();
    assert!(fixture.table.rows.borrow().postpone_inspection.is_empty());

    let fixture = Fixture::new();
    put(&fixture, &run);
    fixture.table.faults.fail("save_lifecycle", unavailable());
    fixture.table.faults.fail("postpone_inspection", unavailable());
    assert_eq!(sweep(&fixture).unwrap().failed, 1);
    assert_eq!(sweep(&fixture).unwrap().ended, 1, "the next sweep ends it");
}

#[test]
fn a_sweep_fails_if_it_cannot_list_runs_or_copies() {
    for (operation, ended) in [("due_runs", 0), ("list_copies", 1)] {
        let fixture = Fixture::new();
        put(&fixture, &due_run(1, State::Running, -1));
        fixture.table.faults.fail(operation, unavailable());
        fixture.target.faults.fail(operation, unavailable());
        assert_eq!(error_of(sweep(&fixture)).code(), "unavailable", "{operation}");
        assert_eq!(fixture.table.audit().iter().filter(|r| r.action == AuditAction::RunEnded).count(), ended);
        assert_eq!(fixture.target.faults.count("list_copies"), ended, "{operation}");
    }
}

#[test]
fn a_copy_is_deleted_if_its_run_has_ended_or_if_it_has_expired_and_its_run_is_unknown() {
    #[derive(Clone, Copy, PartialEq, Debug)]
    enum Fate {
        Deleted,
        Unknown,
        LeftAlone,
    }
    use Fate::{Deleted, LeftAlone, Unknown};
    // The stored run, the copy's run tag, and the fate of the copy if its latest end is absent, in
    // the future, now, or in the past.
    let known = "ab12ABCDEFGHIJ";
    let cases = [
        (Some(State::Provisioning), Some(known), [LeftAlone; 4]),
        (Some(State::Pending), Some(known), [LeftAlone; 4]),
        (Some(State::Running), Some(known), [LeftAlone; 4]),
        // Past its latest end, the run is inspected and ends.
        (Some(State::Ending), Some(known), [LeftAlone, LeftAlone, Deleted, Deleted]),
        (Some(State::Ended), Some(known), [Deleted; 4]),
        (None, Some(known), [Unknown, Unknown, Deleted, Deleted]),
        (Some(State::Running), Some(OTHER), [Unknown, Unknown, Deleted, Deleted]),
        (Some(State::Ended), Some(OTHER), [Unknown, Unknown, Deleted, Deleted]),
        (Some(State::Ended), Some("no run id"), [Unknown, Unknown, Deleted, Deleted]),
        (Some(State::Ended), Some(""), [Unknown, Unknown, Deleted, Deleted]),
        (Some(State::Ended), None, [Unknown, Unknown, Deleted, Deleted]),
    ];
    let ends = [None, Some(minutes(1)), Some(NOW), Some(minutes(-1))];
    for (state, tag, fates) in cases {
        for (not_after, fate) in ends.into_iter().zip(fates) {
            let case = format!("run {state:?}, tag {tag:?}, latest end {not_after:?}");
            let fixture = Fixture::new();
            if let Some(state) = state {
                let mut run = run(Platform::AwsBatch, state);
                // This tests only the search for orphans.
                run.lifecycle.due = (state != State::Ended).then(|| minutes(5));
                fixture.table.put_run(run);
            }
            fixture.target.put("tower-copy", Some("test"), tag, not_after);
            let swept = sweep(&fixture).unwrap();
            let expected = SweepSummary {
                orphans: u32::from(fate == Deleted),
                unknown: u32::from(fate == Unknown),
                ..SweepSummary::default()
            };
            assert_eq!(swept, expected, "{case}");
            assert_eq!(fixture.target.names().is_empty(), fate == Deleted, "{case}");
            assert_eq!(fixture.target.faults.count("delete_copy"), usize::from(fate == Deleted), "{case}");
        }
    }
}

/// Other functions write the due time of a run. A run without one must not keep its copies forever.
#[test]
fn a_run_past_its_latest_end_is_inspected_even_if_it_is_not_due() {
    for lost in [true, false] {
        let fixture = Fixture::new();
        let mut run = run(Platform::AwsBatch, State::Running);
        run.lifecycle.due = if lost { None } else { Some(minutes(1_000_000)) };
        run.not_after = minutes(-30);
        let name = run.lifecycle.copies[0].name.clone();
        fixture.table.put_run(run);
        fixture.target.put(&name, Some("test"), Some("ab12ABCDEFGHIJ"), Some(NOW));
        sweep(&fixture).unwrap();
        assert_eq!(fixture.target.names(), [] as [String; 0], "lost: {lost}");
    }
}

#[test]
fn copies_of_other_deployments_are_never_touched() {
    let fixture = Fixture::new();
    fixture.table.put_run(run(Platform::AwsBatch, State::Ended));
    fixture.target.put("theirs", Some("production"), Some("ab12ABCDEFGHIJ"), Some(minutes(-1)));
    fixture.target.put("untagged", None, Some("ab12ABCDEFGHIJ"), Some(minutes(-1)));
    assert_eq!(sweep(&fixture).unwrap(), SweepSummary::default());
    assert_eq!(fixture.target.names(), ["theirs", "untagged"]);
}

#[test]
fn an_orphan_that_cannot_be_removed_is_counted_and_does_not_stop_the_others() {
    let fixture = Fixture::new();
    for (name, tag) in [("1", "ab12ABCDEFGHIJ"), ("2", "ab12ABCDEFGHIJ"), ("3", OTHER), ("4", OTHER)] {
        fixture.target.put(name, Some("test"), Some(tag), Some(minutes(-1)));
    }
    fixture.target.put("5", Some("test"), Some(OTHER), Some(minutes(1)));
    fixture.target.put("6", Some("test"), None, None);
    for _ in 0..2 {
        fixture.target.faults.fail("delete_copy", unavailable());
    }
    let swept = sweep(&fixture).unwrap();
    assert_eq!(swept, SweepSummary { orphans: 4, orphans_failed: 2, unknown: 2, ..SweepSummary::default() });
    assert_eq!(fixture.target.names(), ["1", "2", "5", "6"]);
}

#[test]
fn a_run_that_cannot_be_read_keeps_its_own_copies_and_no_others() {
    let fixture = Fixture::new();
    for (name, tag) in [("1", "ab12ABCDEFGHIJ"), ("2", "ab12ABCDEFGHIJ"), ("3", OTHER)] {
        fixture.target.put(name, Some("test"), Some(tag), Some(minutes(-1)));
    }
    // Rows are read in the order of the tags, once per run.
    fixture.table.faults.fail("run", unavailable());
    let swept = sweep(&fixture).unwrap();
    assert_eq!(swept, SweepSummary { orphans: 1, orphans_failed: 2, ..SweepSummary::default() });
    assert_eq!(fixture.target.names(), ["1", "2"]);
    assert_eq!(fixture.table.faults.count("run"), 2);
}

fn ended_run() -> Run {
    let mut run = run(Platform::AwsBatch, State::Ended);
    run.lifecycle.due = None;
    run
}

/// A copy of an ended run, as lists show it.
fn listed(name: &str) -> FoundCopy {
    FoundCopy { name: name.into(), scope: None, run: Some("ab12ABCDEFGHIJ".into()), not_after: None }
}

#[test]
fn a_listed_copy_that_no_longer_exists_is_not_an_orphan() {
    let fixture = Fixture::new();
    fixture.table.put_run(ended_run());
    fixture.target.still_listed.borrow_mut().push(listed("tower-deleted"));
    assert_eq!(sweep(&fixture).unwrap(), SweepSummary::default());
    assert_eq!(fixture.target.faults.count("delete_copy"), 0);
}

#[test]
fn a_listed_name_that_now_belongs_to_another_secret_is_not_deleted() {
    for (deployment, tag) in [("production", "ab12ABCDEFGHIJ"), ("test", OTHER)] {
        let fixture = Fixture::new();
        fixture.table.put_run(ended_run());
        fixture.target.still_listed.borrow_mut().push(listed("tower-copy"));
        fixture.target.put("tower-copy", Some(deployment), Some(tag), Some(minutes(1)));
        let unknown = u32::from(tag == OTHER);
        assert_eq!(
            sweep(&fixture).unwrap(),
            SweepSummary { unknown, ..SweepSummary::default() },
            "{deployment} {tag}"
        );
        assert_eq!(fixture.target.names(), ["tower-copy"]);
    }
}

#[test]
fn an_orphan_that_cannot_be_described_is_counted_as_failed_only() {
    let fixture = Fixture::new();
    fixture.table.put_run(ended_run());
    fixture.target.put("tower-copy", Some("test"), Some("ab12ABCDEFGHIJ"), None);
    fixture.target.faults.fail("describe_copy", unavailable());
    assert_eq!(sweep(&fixture).unwrap(), SweepSummary { orphans_failed: 1, ..SweepSummary::default() });
    assert_eq!(fixture.target.names(), ["tower-copy"]);
}

#[test]
fn an_orphan_that_is_deleted_concurrently_is_not_a_failure() {
    let fixture = Fixture::new();
    fixture.table.put_run(ended_run());
    fixture.target.put("tower-copy", Some("test"), Some("ab12ABCDEFGHIJ"), None);
    fixture.target.faults.lose_answer("delete_copy", unavailable());
    assert_eq!(sweep(&fixture).unwrap(), SweepSummary { orphans: 1, ..SweepSummary::default() });
}

/// A fixture with a live run of a deleted workspace, not due, and one of a user.
fn with_deleted_workspace(state: State) -> (Fixture, Run, Run) {
    let fixture = Fixture::new();
    let run = due_run(1, state, 20);
    let other = Run { workspace: None, ..due_run(2, State::Running, 20) };
    put(&fixture, &run);
    put(&fixture, &other);
    fixture.table.rows.borrow_mut().removed.insert(run.scope(), minutes(-1));
    (fixture, run, other)
}

#[test]
fn live_runs_of_a_deleted_workspace_end_and_no_other() {
    for state in [State::Pending, State::Running] {
        let (fixture, run, other) = with_deleted_workspace(state);
        let swept = sweep(&fixture).unwrap();
        assert_eq!(swept, SweepSummary { ended: 1, ..SweepSummary::default() });
        assert_eq!(fixture.target.names(), [other.lifecycle.copies[0].name.clone()]);
        assert_eq!(fixture.table.stored_run(&run.id).lifecycle.state, State::Ended);
        assert_eq!(fixture.table.actions(), [AuditAction::RunCancelled, AuditAction::RunEnded]);
        assert_eq!(sweep(&fixture).unwrap(), SweepSummary::default(), "a second sweep");
    }
}

#[test]
fn a_run_of_a_deleted_workspace_that_is_being_launched_waits_for_its_copies() {
    let (fixture, run, _) = with_deleted_workspace(State::Provisioning);
    assert_eq!(sweep(&fixture).unwrap(), SweepSummary::default());
    assert_eq!(fixture.table.stored_run(&run.id), run);
}

#[test]
fn a_failure_with_a_deleted_workspace_is_counted_and_the_rest_is_swept() {
    for call in ["removed", "live_runs"] {
        let (fixture, run, _) = with_deleted_workspace(State::Running);
        let due = due_run(3, State::Running, -1);
        put(&fixture, &due);
        fixture.table.faults.fail(call, unavailable());
        let swept = sweep(&fixture).unwrap();
        assert_eq!((swept.failed, swept.due, swept.ended), (1, 1, 1), "{call}");
        sweep(&fixture).unwrap();
        assert_eq!(fixture.table.stored_run(&run.id).lifecycle.state, State::Ended, "{call}");
    }
}

#[test]
fn a_head_job_past_the_latest_end_of_its_run_is_reported_by_each_sweep_until_the_run_ends() {
    let fixture = Fixture::new();
    let mut run = due_run(1, State::Running, 20);
    run.lifecycle.head_job = Some(HeadJob {
        job_id: "job-1".into(),
        queue: "arn:queue".into(),
        region: "eu-west-1".into(),
        account: None,
    });
    run.not_after = minutes(-1);
    put(&fixture, &run);
    fixture.jobs.put("job-1", ObservedJob { status: JobStatus::NotFinal, ..ObservedJob::unknown() });
    for _ in 0..2 {
        let swept = sweep(&fixture).unwrap();
        assert_eq!(swept, SweepSummary { overdue_head_jobs: 1, ..SweepSummary::default() });
        assert_eq!(fixture.target.names().len(), 1);
    }
    fixture.table.rows.borrow_mut().runs.get_mut(&run.id).unwrap().not_after = minutes(-7 * 24 * 60);
    let swept = sweep(&fixture).unwrap();
    assert_eq!((swept.overdue_head_jobs, fixture.target.names().len()), (0, 0));
}
