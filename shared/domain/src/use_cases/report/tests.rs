//! The effect of each report on a run. The checks of head jobs are in `head_job`.

mod head_job;

use jiff::Timestamp;

use super::*;
use crate::audit::AuditAction;
use crate::audit::Subject;
use crate::head_job::{NamedRuns, ObservedJob, RUN_VARIABLE};
use crate::platform::Platform;
use crate::run::{JobStatus, Lifecycle, ReportedBy, RunResult, State};
use crate::testing::*;

const REGION: &str = "eu-west-1";

/// What a run can report.
#[derive(Clone, Debug)]
enum Report {
    Heartbeat,
    End,
    HeadJob(HeadJob),
}

fn report_as(fixture: &Fixture, id: &RunId, key: &TokenKey, report: &Report) -> Result<Run> {
    let reporter = Reporter {
        store: fixture.table.clone(),
        jobs: fixture.jobs.clone(),
        bus: fixture.bus.clone(),
        environments: fixture.environments.clone(),
        account: "111122223333".into(),
        region: REGION.into(),
    };
    let context = fixture.context();
    run_now(async {
        match report {
            Report::Heartbeat => reporter.heartbeat(id, key, &context).await,
            Report::End => reporter.end(id, key, failed(), &context).await,
            Report::HeadJob(job) => reporter.record_head_job(id, key, job, &context).await,
        }
    })
}

fn report(fixture: &Fixture, run: &Run, report: &Report) -> Result<Run> {
    report_as(fixture, &run.id, &run_key(), report)
}

fn failed() -> Outcome {
    Outcome {
        result: RunResult::Failed,
        exit_status: Some(1),
        reported_by: ReportedBy::Report,
        cancelled_by: None,
    }
}

/// A running job that names this run.
fn job_of(run: &str) -> ObservedJob {
    let named_runs = NamedRuns::select([(RUN_VARIABLE, run)], []);
    ObservedJob { status: JobStatus::NotFinal, queue: Some(QUEUE.into()), named_runs }
}

/// The job that [`with_run`] adds to AWS Batch.
fn head_job() -> HeadJob {
    HeadJob { job_id: "job-1".into(), queue: QUEUE.into(), region: REGION.into(), account: None }
}

const QUEUE: &str = "arn:aws:batch:eu-west-1:123456789012:job-queue/main";

fn with_run(run: &Run) -> Fixture {
    let fixture = Fixture::new();
    fixture.table.put_run(run.clone());
    fixture.jobs.put("job-1", job_of(run.id.as_str()));
    fixture
}

fn recorded(mut run: Run) -> Run {
    run.lifecycle.head_job = Some(head_job());
    run
}

fn lease_until(lease: Timestamp, mut run: Run) -> Run {
    (run.lifecycle.lease_until, run.lifecycle.due) = (lease, Some(lease));
    run
}

fn actions(fixture: &Fixture) -> Vec<AuditAction> {
    fixture.table.audit().iter().map(|record| record.action).collect()
}

/// Before the next call of `operation`, another writer replaces the same revision.
fn write_concurrently(
    fixture: &Fixture,
    operation: &'static str,
    run: &Run,
    change: impl FnOnce(&mut Lifecycle) + 'static,
) {
    let id = run.id.clone();
    fixture.table.before(operation, move |rows| {
        let lifecycle = &mut rows.runs.get_mut(&id).unwrap().lifecycle;
        lifecycle.revision += 1;
        change(lifecycle);
    });
}

#[test]
fn a_report_is_written_audited_and_announced_by_the_state_of_its_run() {
    use AuditAction::{RunEnded, RunEnding, RunHeadJobRecorded};
    use Platform::{AwsBatch, Slurm};
    use State::{Ended, Ending, Pending, Provisioning, Running};
    let heartbeat = || Report::Heartbeat;
    let end = || Report::End;
    let job = || Report::HeadJob(head_job());
    // The written state and due time, if any; the audit record; whether an event is published.
    let cases = vec![
        (heartbeat(), run(AwsBatch, Provisioning), None, None, false),
        (heartbeat(), run(AwsBatch, Pending), Some((Running, Some(minutes(30)))), None, false),
        (heartbeat(), run(AwsBatch, Running), None, None, false),
        (heartbeat(), lease_until(minutes(15), run(AwsBatch, Running)), None, None, false),
        (
            heartbeat(),
            lease_until(minutes(14), run(AwsBatch, Running)),
            Some((Running, Some(minutes(30)))),
            None,
            false,
        ),
        (
            heartbeat(),
            recorded(lease_until(minutes(14), run(AwsBatch, Running))),
            Some((Running, Some(minutes(14)))),
            None,
            false,
        ),
        (heartbeat(), Run { not_after: NOW, ..run(AwsBatch, Pending) }, None, None, false),
        (heartbeat(), run(AwsBatch, Ending), None, None, false),
        (heartbeat(), run(AwsBatch, Ended), None, None, false),
        (end(), run(AwsBatch, Provisioning), None, None, false),
        (end(), run(AwsBatch, Pending), Some((Ending, Some(NOW))), Some(RunEnding), true),
        (end(), run(AwsBatch, Running), Some((Ending, Some(NOW))), Some(RunEnding), true),
        (end(), recorded(run(AwsBatch, Running)), Some((Running, Some(NOW))), None, true),
        (end(), run(Slurm, Running), Some((Ended, None)), Some(RunEnded), false),
        (end(), run(AwsBatch, Ending), None, None, false),
        (end(), run(AwsBatch, Ended), None, None, false),
        (job(), run(AwsBatch, Pending), Some((Running, Some(NOW))), Some(RunHeadJobRecorded), true),
        (job(), run(AwsBatch, Running), Some((Running, Some(NOW))), Some(RunHeadJobRecorded), true),
        (job(), recorded(run(AwsBatch, Running)), None, None, false),
        (job(), recorded(run(AwsBatch, Ending)), None, None, false),
        (job(), recorded(run(AwsBatch, Ended)), None, None, false),
    ];
    for (reported, run, written, audited, announced) in cases {
        let (state, due, recorded) =
            (run.lifecycle.state, run.lifecycle.due, run.lifecycle.head_job.is_some());
        let until = run.not_after;
        let case = format!(
            "{reported:?}, {} {state:?} until {until}, due {due:?}, head job {recorded}",
            run.platform
        );
        let fixture = with_run(&run);
        let answer = report(&fixture, &run, &reported).unwrap();
        assert_eq!(answer, fixture.table.stored_run(&run.id), "{case}: the answer is what is stored");
        match written {
            Some(expected) => {
                assert_eq!((answer.lifecycle.state, answer.lifecycle.due), expected, "{case}");
                assert_eq!(answer.lifecycle.revision, run.lifecycle.revision + 1, "{case}");
            }
            None => assert_eq!(answer, run, "{case}"),
        }
        let ended = matches!(reported, Report::End) && written.is_some();
        assert_eq!(answer.lifecycle.outcome, ended.then(failed), "{case}");
        assert_eq!(actions(&fixture), Vec::from_iter(audited), "{case}");
        let notices: Vec<_> = announced.then(|| (run.id.clone(), RunNotice::Look)).into_iter().collect();
        assert_eq!(*fixture.bus.announced.borrow(), notices, "{case}");
    }
}

#[test]
fn a_report_is_audited_with_the_secrets_of_the_run_and_without_an_actor() {
    let cases = [
        (Report::End, run(Platform::AwsBatch, State::Running)),
        (Report::End, run(Platform::Slurm, State::Running)),
        (Report::HeadJob(head_job()), run(Platform::AwsBatch, State::Running)),
    ];
    for (reported, run) in cases {
        let case = format!("{reported:?}, {}", run.platform);
        let fixture = with_run(&run);
        report(&fixture, &run, &reported).unwrap();
        let [record] = fixture.table.audit().try_into().expect("one record");
        assert_eq!((record.scope, record.actor, record.at), (of_workspace(), None, NOW), "{case}");
        assert_eq!(record.run, Some(run.id), "{case}");
        assert_eq!(record.subjects, [Subject::of(&secret(of_workspace(), 1, "LICENCE"))], "{case}");
        assert_eq!((record.person, record.detail), (None, None), "{case}");
    }
}

#[test]
fn a_wrong_token_and_an_unknown_run_get_the_same_answer_and_nothing_is_written() {
    let known = run(Platform::AwsBatch, State::Running);
    let unknown = RunId::new("ab12JIHGFEDCBA").unwrap();
    for reported in [Report::Heartbeat, Report::End, Report::HeadJob(head_job())] {
        for (case, id, key) in [
            ("wrong token", &known.id, TokenKey::make_random(&Sequence::default())),
            ("claim token", &known.id, claim_key()),
            ("unknown run", &unknown, run_key()),
        ] {
            let fixture = with_run(&known);
            assert_eq!(
                error_of(report_as(&fixture, id, &key, &reported)).code(),
                "not-found",
                "{case}: {reported:?}"
            );
            assert_eq!(fixture.table.faults.calls(), ["run"], "{case}: {reported:?}");
            assert!(fixture.jobs.faults.calls().is_empty(), "{case}: {reported:?}");
            assert!(fixture.bus.faults.calls().is_empty(), "{case}: {reported:?}");
        }
        let fixture = with_run(&known);
        fixture.table.faults.fail("run", unavailable());
        assert_eq!(error_of(report(&fixture, &known, &reported)).code(), "unavailable", "{reported:?}");
    }
}

/// Each report that writes, and the operation that writes it.
fn writing() -> [(Report, &'static str); 3] {
    [
        (Report::Heartbeat, "save_lifecycle"),
        (Report::End, "save_lifecycle"),
        (Report::HeadJob(head_job()), "record_head_job"),
    ]
}

#[test]
fn a_report_that_is_not_written_is_not_announced() {
    for (reported, operation) in writing() {
        let run = run(Platform::AwsBatch, State::Pending);
        let fixture = with_run(&run);
        fixture.table.faults.fail(operation, unavailable());
        assert_eq!(error_of(report(&fixture, &run, &reported)).code(), "unavailable", "{reported:?}");
        assert!(fixture.bus.faults.calls().is_empty(), "{reported:?}");
        assert_eq!(fixture.backoff.attempts(), [0; 0], "{reported:?}: the adapter has retried it already");
    }
}

#[test]
fn a_failed_announcement_does_not_fail_the_report() {
    for reported in [Report::End, Report::HeadJob(head_job())] {
        let run = run(Platform::AwsBatch, State::Running);
        let fixture = with_run(&run);
        fixture.bus.faults.fail("announce", unavailable());
        let answer = report(&fixture, &run, &reported).unwrap();
        assert_eq!(fixture.bus.faults.count("announce"), 1, "{reported:?}");
        assert_eq!(answer.lifecycle.due, Some(NOW), "{reported:?}: the sweep finds it");
    }
}

#[test]
fn a_report_that_is_repeated_has_one_effect() {
    for (reported, operation) in writing() {
        for answer_lost in [false, true] {
            let case = format!("{reported:?}, answer lost: {answer_lost}");
            let run = run(Platform::AwsBatch, State::Pending);
            let fixture = with_run(&run);
            if answer_lost {
                fixture.table.faults.lose_answer(operation, unavailable());
            }
            assert_eq!(report(&fixture, &run, &reported).is_err(), answer_lost, "{case}");
            let first = fixture.table.stored_run(&run.id);
            let records = fixture.table.audit().len();
            assert_eq!(report(&fixture, &run, &reported).unwrap(), first, "{case}");
            assert_eq!(fixture.table.faults.count(operation), 1, "{case}");
            assert_eq!(fixture.table.audit().len(), records, "{case}");
        }
    }
}

#[test]
fn a_report_is_decided_again_after_a_conflict() {
    for (reported, operation) in writing() {
        let run = run(Platform::AwsBatch, State::Pending);
        let fixture = with_run(&run);
        write_concurrently(&fixture, operation, &run, |_| {});
        let answer = report(&fixture, &run, &reported).unwrap();
        assert_eq!(answer.lifecycle.revision, run.lifecycle.revision + 2, "{reported:?}");
        assert_eq!(fixture.backoff.attempts(), [1], "{reported:?}");
        assert!(fixture.table.audit().len() <= 1, "{reported:?}: the attempt that lost is not audited");
    }
    let run = run(Platform::AwsBatch, State::Pending);
    let fixture = with_run(&run);
    write_concurrently(&fixture, "save_lifecycle", &run, |lifecycle| lifecycle.state = State::Ended);
    let answer = report(&fixture, &run, &Report::End).unwrap();
    assert_eq!(
        (answer.lifecycle.state, answer.lifecycle.outcome),
        (State::Ended, None),
        "it was over before"
    );
    assert!(fixture.bus.faults.calls().is_empty());
}

#[test]
fn constant_conflicts_become_contention_when_time_runs_out() {
    for (reported, operation) in writing() {
        for error in [|| Error::VersionConflict, || Error::Contended] {
            let case = format!("{reported:?}, {:?}", error());
            let run = run(Platform::AwsBatch, State::Pending);
            let fixture = with_run(&run);
            for _ in 0..4 {
                fixture.table.faults.fail(operation, error());
            }
            assert_eq!(error_of(report(&fixture, &run, &reported)).code(), "contended", "{case}");
            assert_eq!(fixture.backoff.attempts(), [1, 2, 3], "{case}");
            assert_eq!(fixture.table.stored_run(&run.id), run, "{case}");
            assert!(fixture.table.audit().is_empty(), "{case}");
            assert!(fixture.bus.faults.calls().is_empty(), "{case}");
        }
    }
}
