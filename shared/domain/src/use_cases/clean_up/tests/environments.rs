use super::*;
use crate::environment::Duty;
use crate::testing::{elsewhere, environment, environment_refused};

/// A run in an environment, whose copies are there.
fn with_run_elsewhere(run: Run) -> (Fixture, Run) {
    let fixture = Fixture::new();
    let run = elsewhere(run);
    fixture.table.put_run(run.clone());
    for copy in &run.lifecycle.copies {
        let not_after = Some(run.not_after);
        fixture.environments.target.put(&copy.name, Some("test"), Some(run.id.as_str()), not_after);
    }
    (fixture, run)
}

fn inspect_at(fixture: &Fixture, run: &Run, now: Timestamp) -> Result<CleanupOutcome> {
    run_now(cleaner(fixture).inspect(&run.id, &fixture.context_at(now)))
}

#[test]
fn a_run_is_observed_and_cleaned_up_where_it_executes_in_one_session_of_its_name() {
    let (fixture, run) = with_run_elsewhere(with_head_job(run(Platform::AwsBatch, State::Running)));
    fixture.environments.jobs.set("job-1", JobStatus::Final { succeeded: true, exit_status: Some(0) });
    // The deployment's own account has a job and a secret of the same names.
    fixture.jobs.set("job-1", JobStatus::NotFinal);
    fixture.target.put(&run.lifecycle.copies[0].name, Some("test"), Some(run.id.as_str()), None);
    assert_eq!(inspect(&fixture, &run.id).unwrap(), CleanupOutcome::Ended);
    assert!(fixture.environments.target.names().is_empty());
    assert_eq!(fixture.target.names().len(), 1, "nothing at home is touched");
    assert!(fixture.jobs.faults.calls().is_empty() && fixture.target.faults.calls().is_empty());
    let session = (Duty::Remove, environment().role, run.id.to_string());
    assert_eq!(*fixture.environments.sessions.borrow(), [session]);
}

#[test]
fn a_run_that_needs_no_call_opens_no_session() {
    let (fixture, run) = with_run_elsewhere(run(Platform::AwsBatch, State::Running));
    assert_eq!(inspect(&fixture, &run.id).unwrap(), CleanupOutcome::Unchanged);
    assert!(fixture.environments.sessions.borrow().is_empty());
}

#[test]
fn a_run_whose_environment_cannot_be_used_stays_due_and_ends_once_it_can() {
    for (case, broken) in [("the role", "assume_role"), ("a copy", "describe_copy")] {
        let (fixture, run) = with_run_elsewhere(run(Platform::AwsBatch, State::Ending));
        match broken {
            "assume_role" => fixture.environments.faults.fail(broken, environment_refused()),
            _ => fixture.environments.target.faults.fail(broken, unavailable()),
        }
        assert_eq!(inspect(&fixture, &run.id).unwrap(), CleanupOutcome::Unreachable, "{case}");
        assert_eq!(fixture.table.stored_run(&run.id), run, "{case}: it stays as it is");
        assert_eq!(inspect(&fixture, &run.id).unwrap(), CleanupOutcome::Ended, "{case}");
        assert!(fixture.environments.target.names().is_empty(), "{case}");
        assert!(fixture.table.stored_run(&run.id).lifecycle.copies_left().is_empty(), "{case}");
    }
}

#[test]
fn a_run_is_abandoned_thirty_days_after_its_latest_end_and_its_receipt_names_what_is_left() {
    let month = 30 * 24 * 60;
    for (minute, expected) in
        [(2 * month - 1, CleanupOutcome::Unreachable), (2 * month, CleanupOutcome::Abandoned)]
    {
        for state in [State::Running, State::Ending] {
            let (fixture, run) = with_run_elsewhere(with_head_job(run(Platform::AwsBatch, state)));
            fixture.environments.unreachable.set(true);
            assert_eq!(inspect_at(&fixture, &run, minutes(minute)).unwrap(), expected, "{state}");
            let stored = fixture.table.stored_run(&run.id).lifecycle;
            if expected == CleanupOutcome::Unreachable {
                assert_eq!(stored, run.lifecycle, "{state}");
                continue;
            }
            assert_eq!((stored.state, stored.due, stored.removed), (State::Ended, None, None), "{state}");
            assert_eq!(stored.copies_left(), run.lifecycle.copies, "{state}");
            assert_eq!(stored.outcome.unwrap().result, RunResult::Lost, "{state}");
            let audit = fixture.table.audit().pop().unwrap();
            assert_eq!(audit.action, AuditAction::RunEnded, "{state}");
            assert_eq!(audit.detail.as_deref(), Some("environment unreachable, copies left"), "{state}");
            fixture.environments.unreachable.set(false);
            let again = inspect_at(&fixture, &run, minutes(minute)).unwrap();
            assert_eq!(again, CleanupOutcome::Unchanged, "{state}: it has ended");
        }
    }
}

#[test]
fn a_run_at_home_is_never_abandoned() {
    let run = run(Platform::AwsBatch, State::Ending);
    let fixture = with_run(&run);
    fixture.target.faults.fail("describe_copy", unavailable());
    error_of(inspect_at(&fixture, &run, minutes(10_000_000)));
    assert_eq!(fixture.table.stored_run(&run.id), run);
}
