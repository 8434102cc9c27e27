//! Inspections of runs. Deletion of copies and concurrent writers are in `copies` and `writers`.

mod copies;
mod environments;
mod writers;

use super::*;
use crate::audit::AuditAction;
use crate::audit::Subject;
use crate::platform::Platform;
use crate::run::{HeadJob, JobLocation, JobStatus, Outcome, ReportedBy, RunResult};
use crate::testing::*;

/// Also used by the tests of the sweep and of lease extension.
pub(in crate::use_cases) fn cleaner(fixture: &Fixture) -> Cleaner {
    Cleaner {
        store: fixture.table.clone(),
        jobs: fixture.jobs.clone(),
        copies: fixture.target.clone(),
        environments: fixture.environments.clone(),
    }
}

fn inspect(fixture: &Fixture, id: &RunId) -> Result<CleanupOutcome> {
    run_now(cleaner(fixture).inspect(id, &fixture.context()))
}

fn with_run(run: &Run) -> Fixture {
    let fixture = Fixture::new();
    fixture.table.put_run(run.clone());
    for copy in &run.lifecycle.copies {
        fixture.target.put(&copy.name, Some("test"), Some(run.id.as_str()), None);
    }
    fixture
}

fn due_at(due: Timestamp, mut run: Run) -> Run {
    run.lifecycle.due = Some(due);
    run
}

fn head_job() -> HeadJob {
    HeadJob { job_id: "job-1".into(), queue: "arn:queue".into(), region: "eu-west-1".into(), account: None }
}

fn with_head_job(mut run: Run) -> Run {
    run.lifecycle.head_job = Some(head_job());
    run
}

fn outcome(result: RunResult, exit_status: Option<i64>, reported_by: ReportedBy) -> Outcome {
    Outcome { result, exit_status, reported_by, cancelled_by: None }
}

fn actions(fixture: &Fixture) -> Vec<AuditAction> {
    fixture.table.audit().iter().map(|record| record.action).collect()
}

#[test]
fn an_inspection_ends_only_a_run_that_is_due() {
    use AuditAction::{RunEnded, RunEnding};
    use CleanupOutcome::{Abandoned, Ended, Unchanged, Unreachable};
    use Platform::{AwsBatch, Slurm};
    let launch_failed = Some(outcome(RunResult::LaunchFailed, None, ReportedBy::Sweep));
    let lost = Some(outcome(RunResult::Lost, None, ReportedBy::Sweep));
    let both = vec![RunEnding, RunEnded];
    let cases = [
        ("provisioning", due_at(minutes(1), run(AwsBatch, State::Provisioning)), Unchanged, None, vec![]),
        (
            "provisioning, due now",
            due_at(NOW, run(AwsBatch, State::Provisioning)),
            Ended,
            launch_failed,
            both.clone(),
        ),
        ("pending", due_at(minutes(1), run(AwsBatch, State::Pending)), Unchanged, None, vec![]),
        ("pending, due now", due_at(NOW, run(AwsBatch, State::Pending)), Ended, lost.clone(), both.clone()),
        ("running", due_at(minutes(1), run(AwsBatch, State::Running)), Unchanged, None, vec![]),
        ("running, due now", due_at(NOW, run(AwsBatch, State::Running)), Ended, lost.clone(), both.clone()),
        ("running, long due", due_at(minutes(-60), run(AwsBatch, State::Running)), Ended, lost.clone(), both),
        ("running, without copies", due_at(NOW, run(Slurm, State::Running)), Ended, lost, vec![RunEnded]),
        ("ending", run(AwsBatch, State::Ending), Ended, None, vec![RunEnded]),
        ("ending, due later", due_at(minutes(9), run(AwsBatch, State::Ending)), Ended, None, vec![RunEnded]),
        ("ended", run(AwsBatch, State::Ended), Unchanged, None, vec![]),
    ];
    for (case, run, inspected, expected, audited) in cases {
        let fixture = with_run(&run);
        assert_eq!(inspect(&fixture, &run.id).unwrap(), inspected, "{case}");
        let lifecycle = fixture.table.stored_run(&run.id).lifecycle;
        match inspected {
            Unchanged => {
                assert_eq!(lifecycle, run.lifecycle, "{case}: it is as it was");
                assert!(fixture.target.faults.calls().is_empty(), "{case}: no copy is touched");
            }
            Ended => {
                assert_eq!(
                    (lifecycle.state, lifecycle.due, lifecycle.removed),
                    (State::Ended, None, Some(NOW)),
                    "{case}"
                );
                assert!(fixture.target.names().is_empty(), "{case}: no copy is left");
                let writes = u64::try_from(fixture.table.faults.count("save_lifecycle")).unwrap();
                assert_eq!(
                    lifecycle.revision,
                    run.lifecycle.revision + writes,
                    "{case}: each write is a revision"
                );
            }
            Unreachable | Abandoned => panic!("{case}: it is at home"),
        }
        assert_eq!(lifecycle.outcome, expected, "{case}");
        assert_eq!(actions(&fixture), audited, "{case}");
        assert!(fixture.jobs.faults.calls().is_empty(), "{case}: no head job is on record to ask about");
    }
}

#[test]
fn a_recorded_head_job_decides_whether_a_run_is_over() {
    let lost = outcome(RunResult::Lost, None, ReportedBy::HeadJob);
    let failed = outcome(RunResult::Failed, Some(3), ReportedBy::HeadJob);
    let succeeded = outcome(RunResult::Succeeded, Some(0), ReportedBy::HeadJob);
    let last = |succeeded, status| JobStatus::Final { succeeded, exit_status: Some(status) };
    // The status in AWS Batch, the minutes left of the lease, and the outcome or the next due time.
    let cases = [
        ("it may still run", JobStatus::NotFinal, 20, Err(minutes(30))),
        ("it may still run, and the lease has expired", JobStatus::NotFinal, -1, Err(minutes(30))),
        ("it failed", last(false, 3), 20, Ok(failed)),
        ("it succeeded", last(true, 0), 20, Ok(succeeded)),
        ("it is unknown", JobStatus::Unknown, 20, Err(minutes(20))),
        ("it is unknown and the lease ends now", JobStatus::Unknown, 0, Ok(lost)),
    ];
    for (case, status, lease, expected) in cases {
        let mut run = with_head_job(due_at(NOW, run(Platform::AwsBatch, State::Running)));
        run.lifecycle.lease_until = minutes(lease);
        let fixture = with_run(&run);
        fixture.jobs.set("job-1", status);
        let inspected = inspect(&fixture, &run.id).unwrap();
        let lifecycle = fixture.table.stored_run(&run.id).lifecycle;
        assert_eq!(fixture.jobs.faults.count("observe_job"), 1, "{case}");
        match expected {
            Ok(outcome) => {
                assert_eq!((inspected, lifecycle.state), (CleanupOutcome::Ended, State::Ended), "{case}");
                assert_eq!(lifecycle.outcome, Some(outcome), "{case}");
                assert!(fixture.target.names().is_empty(), "{case}");
            }
            Err(due) => {
                assert_eq!(
                    (inspected, lifecycle.state),
                    (CleanupOutcome::Unchanged, State::Running),
                    "{case}"
                );
                assert_eq!((lifecycle.due, lifecycle.outcome), (Some(due), None), "{case}");
                assert_eq!(fixture.target.names().len(), 1, "{case}");
                assert!(fixture.table.audit().is_empty(), "{case}: only the end is audited");
            }
        }
    }
}

#[test]
fn a_failed_request_to_aws_batch_ends_no_run() {
    let run = with_head_job(due_at(minutes(-60), run(Platform::AwsBatch, State::Running)));
    let fixture = with_run(&run);
    fixture.jobs.faults.fail("observe_job", unavailable());
    assert_eq!(error_of(inspect(&fixture, &run.id)).code(), "unavailable");
    assert_eq!(fixture.table.stored_run(&run.id), run);
    assert!(fixture.target.faults.calls().is_empty());
}

#[test]
fn the_end_is_audited_with_the_secrets_of_the_run_and_without_an_actor() {
    let run = due_at(NOW, run(Platform::AwsBatch, State::Running));
    let fixture = with_run(&run);
    inspect(&fixture, &run.id).unwrap();
    let records = fixture.table.audit();
    assert_eq!(actions(&fixture), [AuditAction::RunEnding, AuditAction::RunEnded]);
    for record in &records {
        assert_eq!((record.scope, record.actor, record.at), (of_workspace(), None, NOW));
        assert_eq!(record.run.as_ref(), Some(&run.id));
        assert_eq!(record.subjects, [Subject::of(&secret(of_workspace(), 1, "LICENCE"))]);
        assert_eq!((record.person, &record.detail), (None, &None));
    }
    assert_ne!(records[0].id, records[1].id, "two records of one instant are told apart");
}

#[test]
fn an_unknown_run_is_ignored() {
    let fixture = Fixture::new();
    let id = run(Platform::AwsBatch, State::Running).id;
    assert_eq!(inspect(&fixture, &id).unwrap(), CleanupOutcome::Unchanged);
    assert_eq!(fixture.table.faults.calls(), ["run"]);
    assert!(fixture.target.faults.calls().is_empty());
    fixture.table.faults.fail("run", unavailable());
    assert_eq!(error_of(inspect(&fixture, &id)).code(), "unavailable", "a failed read is an error");
}

#[test]
fn an_event_of_a_job_inspects_the_run_that_recorded_it() {
    let changed = |fixture: &Fixture, account: Option<&str>, region: &str, job: &str| {
        let job = JobLocation { account, region, job_id: job };
        run_now(cleaner(fixture).head_job_changed(&job, &fixture.context()))
    };
    let cases = [
        ("its own region and id", None, "eu-west-1", "job-1", CleanupOutcome::Ended),
        ("another account", Some("210987654321"), "eu-west-1", "job-1", CleanupOutcome::Unchanged),
        ("another region", None, "us-east-1", "job-1", CleanupOutcome::Unchanged),
        ("another job", None, "eu-west-1", "job-2", CleanupOutcome::Unchanged),
    ];
    for (case, account, region, job, inspected) in cases {
        let run = with_head_job(run(Platform::AwsBatch, State::Running));
        let fixture = with_run(&run);
        // The event proves nothing: only DescribeJobs counts.
        fixture.jobs.set("job-1", JobStatus::Final { succeeded: true, exit_status: None });
        assert_eq!(changed(&fixture, account, region, job).unwrap(), inspected, "{case}");
        let asked = usize::from(inspected == CleanupOutcome::Ended);
        assert_eq!(fixture.jobs.faults.count("observe_job"), asked, "{case}");
        assert_eq!(fixture.target.names().len(), 1 - asked, "{case}");
    }
    let fixture = Fixture::new();
    fixture.table.faults.fail("run_of_head_job", unavailable());
    assert_eq!(error_of(changed(&fixture, None, "eu-west-1", "job-1")).code(), "unavailable");
}

#[test]
fn a_delivery_records_the_use_of_every_secret_at_its_time() {
    let note = |fixture: &Fixture, id: &RunId| {
        run_now(cleaner(fixture).record_delivery(id, NOW)).map_err(|e| e.code())
    };
    let mut given = run(Platform::AwsBatch, State::Pending);
    let (first, second) = (secret(of_workspace(), 1, "LICENCE"), secret(of_user(), 2, "TOKEN"));
    given.lifecycle.secrets = vec![pin_of(&first), pin_of(&second)];
    let used_at = |at| vec![(of_workspace(), first.id, at), (of_user(), second.id, at)];
    for (case, delivered, at) in
        [("delivered before", Some(minutes(-9)), minutes(-9)), ("not delivered yet", None, NOW)]
    {
        given.lifecycle.delivered = delivered;
        let fixture = with_run(&given);
        assert_eq!(note(&fixture, &given.id), Ok(()), "{case}");
        assert_eq!(fixture.table.rows.borrow().used, used_at(at), "{case}");
    }

    let fixture = with_run(&given);
    fixture.table.faults.fail("record_use", unavailable());
    assert_eq!(note(&fixture, &given.id), Err("unavailable"), "the event is delivered once more");
    assert_eq!(fixture.table.rows.borrow().used, used_at(NOW)[1..], "the other secret is noted");

    let fixture = Fixture::new();
    assert_eq!(note(&fixture, &given.id), Ok(()), "an unknown run");
    assert_eq!(fixture.table.faults.calls(), ["run"], "an unknown run");
}
