//! Another writer changes the run between a read and a write.

use super::*;
use crate::run::Lifecycle;

fn due_run() -> Run {
    due_at(NOW, run(Platform::AwsBatch, State::Running))
}

/// Before the next write, another writer replaces the same revision.
fn write_concurrently(fixture: &Fixture, id: &RunId, change: impl FnOnce(&mut Lifecycle) + 'static) {
    let id = id.clone();
    fixture.table.before("save_lifecycle", move |rows| {
        let lifecycle = &mut rows.runs.get_mut(&id).unwrap().lifecycle;
        lifecycle.revision += 1;
        change(lifecycle);
    });
}

#[test]
fn a_run_that_reports_between_read_and_write_continues() {
    let run = due_run();
    let fixture = with_run(&run);
    write_concurrently(&fixture, &run.id, |lifecycle| {
        lifecycle.due = Some(minutes(30));
        lifecycle.lease_until = minutes(30);
    });
    assert_eq!(inspect(&fixture, &run.id).unwrap(), CleanupOutcome::Unchanged);
    let lifecycle = fixture.table.stored_run(&run.id).lifecycle;
    assert_eq!((lifecycle.state, lifecycle.due), (State::Running, Some(minutes(30))));
    assert!(fixture.table.audit().is_empty());
    assert!(fixture.target.faults.calls().is_empty());
    assert_eq!(fixture.backoff.attempts(), [1]);
}

#[test]
fn a_head_job_is_checked_again_after_a_concurrent_write() {
    let run = with_head_job(due_run());
    let fixture = with_run(&run);
    fixture.jobs.set("job-1", JobStatus::NotFinal);
    write_concurrently(&fixture, &run.id, |_| {});
    assert_eq!(inspect(&fixture, &run.id).unwrap(), CleanupOutcome::Unchanged);
    assert_eq!(fixture.jobs.faults.count("observe_job"), 2, "the earlier answer is stale");
    let lifecycle = fixture.table.stored_run(&run.id).lifecycle;
    assert_eq!((lifecycle.revision, lifecycle.lease_until), (run.lifecycle.revision + 2, minutes(30)));
}

#[test]
fn a_run_that_another_inspection_ended_ends_once() {
    let run = run(Platform::AwsBatch, State::Ending);
    let fixture = with_run(&run);
    write_concurrently(&fixture, &run.id, |lifecycle| {
        lifecycle.state = State::Ended;
        lifecycle.due = None;
    });
    assert_eq!(
        inspect(&fixture, &run.id).unwrap(),
        CleanupOutcome::Unchanged,
        "the other inspection says that it ended"
    );
    assert!(fixture.table.audit().is_empty(), "the other inspection audits it");
}

#[test]
fn a_run_that_another_inspection_set_to_ending_is_cleaned_up() {
    let run = due_run();
    let fixture = with_run(&run);
    write_concurrently(&fixture, &run.id, |lifecycle| lifecycle.state = State::Ending);
    assert_eq!(inspect(&fixture, &run.id).unwrap(), CleanupOutcome::Ended);
    assert_eq!(actions(&fixture), [AuditAction::RunEnded], "the other inspection audited that it is ending");
    assert!(fixture.target.names().is_empty());
}

#[test]
fn constant_conflicts_become_contention_when_time_runs_out() {
    for error in [|| Error::VersionConflict, || Error::Contended] {
        let run = due_run();
        let fixture = with_run(&run);
        for _ in 0..4 {
            fixture.table.faults.fail("save_lifecycle", error());
        }
        assert_eq!(error_of(inspect(&fixture, &run.id)).code(), "contended", "{:?}", error());
        assert_eq!(fixture.backoff.attempts(), [1, 2, 3], "{:?}", error());
        assert_eq!(fixture.table.faults.count("save_lifecycle"), 4, "{:?}", error());
        assert_eq!(fixture.table.stored_run(&run.id), run, "{:?}", error());
        assert!(fixture.target.faults.calls().is_empty(), "{:?}", error());
    }
}

#[test]
fn a_run_that_is_missing_after_a_conflict_is_not_found() {
    let run = due_run();
    let fixture = with_run(&run);
    fixture.table.before("save_lifecycle", |rows| rows.runs.clear());
    assert_eq!(error_of(inspect(&fixture, &run.id)).code(), "not-found");
}

#[test]
fn a_write_whose_answer_is_lost_is_an_error_and_the_next_inspection_continues_from_it() {
    let run = due_run();
    let fixture = with_run(&run);
    fixture.table.faults.lose_answer("save_lifecycle", unavailable());
    assert_eq!(error_of(inspect(&fixture, &run.id)).code(), "unavailable");
    assert_eq!(fixture.table.stored_run(&run.id).lifecycle.state, State::Ending);
    assert_eq!(inspect(&fixture, &run.id).unwrap(), CleanupOutcome::Ended);
    assert_eq!(actions(&fixture), [AuditAction::RunEnding, AuditAction::RunEnded]);
}
