//! Head jobs: which job a run may record, and how AWS Batch confirms it.

use super::*;

fn record(fixture: &Fixture, run: &Run, job: HeadJob) -> Result<Run> {
    report(fixture, run, &Report::HeadJob(job))
}

fn live() -> Run {
    run(Platform::AwsBatch, State::Pending)
}

/// Asserts that a refused request writes and publishes nothing.
fn assert_untouched(fixture: &Fixture, run: &Run, case: &str) {
    assert_eq!(fixture.table.stored_run(&run.id), *run, "{case}");
    assert_eq!(fixture.table.faults.calls(), ["run"], "{case}");
    assert!(fixture.bus.faults.calls().is_empty(), "{case}");
}

#[test]
fn a_job_that_aws_batch_confirms_is_recorded_with_the_arn_of_its_queue() {
    for (case, queue) in [("by ARN", QUEUE), ("by name", "main")] {
        let fixture = with_run(&live());
        let answer = record(&fixture, &live(), HeadJob { queue: queue.into(), ..head_job() }).unwrap();
        assert_eq!(answer.lifecycle.head_job, Some(head_job()), "{case}");
        let rows = fixture.table.rows.borrow();
        assert_eq!(rows.head_jobs.get(&(None, REGION.into(), "job-1".into())), Some(&live().id), "{case}");
        assert_eq!(fixture.jobs.faults.count("observe_job"), 1, "{case}");
    }
}

#[test]
fn a_job_that_aws_batch_does_not_confirm_is_refused() {
    let another = job_of("ab12JIHGFEDCBA");
    let no_run = ObservedJob { named_runs: NamedRuns::default(), ..another.clone() };
    let this = live().id;
    let ended = JobStatus::Final { succeeded: true, exit_status: Some(0) };
    let cases = [
        ("it names another run", another, "names another run"),
        ("it names no run", no_run, "does not name its run"),
        ("it is unknown", ObservedJob::unknown(), "does not exist"),
        ("it has ended", ObservedJob { status: ended, ..job_of(this.as_str()) }, "has already ended"),
        (
            "it is in another queue",
            ObservedJob { queue: Some("other".into()), ..job_of(this.as_str()) },
            "another queue",
        ),
    ];
    for (case, observed, text) in cases {
        let fixture = with_run(&live());
        fixture.jobs.put("job-1", observed);
        let error = error_of(record(&fixture, &live(), head_job()));
        assert_eq!(error.code(), "refused", "{case}");
        assert!(error.to_string().contains(text), "{case}: {error}");
        assert_untouched(&fixture, &live(), case);
    }
}

#[test]
fn a_job_of_another_region_is_refused_without_asking_aws_batch() {
    let fixture = with_run(&live());
    let error = error_of(record(&fixture, &live(), HeadJob { region: "us-east-1".into(), ..head_job() }));
    assert_eq!(error.code(), "refused");
    assert!(error.to_string().contains("must run in eu-west-1"), "{error}");
    assert!(fixture.jobs.faults.calls().is_empty());
    assert_untouched(&fixture, &live(), "another region");
}

#[test]
fn a_failed_request_to_aws_batch_is_an_error_and_not_a_refusal() {
    let fixture = with_run(&live());
    fixture.jobs.faults.fail("observe_job", unavailable());
    assert_eq!(error_of(record(&fixture, &live(), head_job())).code(), "unavailable");
    assert_untouched(&fixture, &live(), "AWS Batch is not available");
}

#[test]
fn only_a_live_run_on_aws_batch_may_record_a_head_job() {
    use Platform::{AwsBatch, Slurm};
    let cases = [
        (run(AwsBatch, State::Ending), "gone", "Launch it again"),
        (run(AwsBatch, State::Ended), "gone", "Launch it again"),
        (run(Slurm, State::Ended), "gone", "Launch it again"),
        (
            run(Slurm, State::Pending),
            "refused",
            "A run on slurm has no AWS Batch job: report its end with POST",
        ),
        (
            run(Slurm, State::Running),
            "refused",
            "A run on slurm has no AWS Batch job: report its end with POST",
        ),
    ];
    for (run, code, text) in cases {
        let case = format!("{} {:?}", run.platform, run.lifecycle.state);
        let fixture = with_run(&run);
        let error = error_of(record(&fixture, &run, head_job()));
        assert_eq!(error.code(), code, "{case}");
        assert!(error.to_string().contains(text), "{case}: {error}");
        assert!(fixture.jobs.faults.calls().is_empty(), "{case}: AWS Batch is not asked");
        assert_untouched(&fixture, &run, &case);
    }
    let run = run(AwsBatch, State::Provisioning);
    let fixture = with_run(&run);
    let error = error_of(record(&fixture, &run, head_job()));
    assert_eq!(error.code(), "in-progress", "the launch is still in progress");
    assert_untouched(&fixture, &run, "provisioning");
}

#[test]
fn a_head_job_is_recorded_once() {
    let another = "Another head job is already recorded for this run.";
    let cases = [
        ("the same", head_job(), None),
        ("the same, its queue by name", HeadJob { queue: "main".into(), ..head_job() }, None),
        ("another job", HeadJob { job_id: "job-2".into(), ..head_job() }, Some(another)),
        ("that id in another region", HeadJob { region: "us-east-1".into(), ..head_job() }, Some(another)),
    ];
    for state in [State::Running, State::Ending, State::Ended] {
        for (case, job, conflict) in &cases {
            let case = format!("{case}, {state:?}");
            let run = recorded(run(Platform::AwsBatch, state));
            let fixture = with_run(&run);
            match (record(&fixture, &run, job.clone()), conflict) {
                (Ok(answer), None) => assert_eq!(answer, run, "{case}"),
                (Err(Error::Conflict(text)), Some(conflict)) => assert_eq!(text, *conflict, "{case}"),
                (outcome, _) => panic!("{case}: {outcome:?}"),
            }
            assert!(fixture.jobs.faults.calls().is_empty(), "{case}: AWS Batch was asked before");
            assert_untouched(&fixture, &run, &case);
        }
    }
}

#[test]
fn a_job_that_belongs_to_another_run_is_a_conflict() {
    let fixture = with_run(&live());
    let other = RunId::new("ab12JIHGFEDCBA").unwrap();
    fixture.table.rows.borrow_mut().head_jobs.insert((None, REGION.into(), "job-1".into()), other);
    assert_eq!(error_of(record(&fixture, &live(), head_job())).code(), "conflict");
    assert_eq!(fixture.table.stored_run(&live().id), live());
    assert!(fixture.table.audit().is_empty());
    assert!(fixture.bus.faults.calls().is_empty());
    assert_eq!(fixture.backoff.attempts(), [0; 0], "it is not retried");
}

#[test]
fn after_a_conflict_the_present_state_of_the_run_decides() {
    let job = |id: &str| HeadJob { job_id: id.into(), ..head_job() };
    let cases = [
        ("the same job was recorded", Some(job("job-1")), State::Running, Ok(())),
        ("another job was recorded", Some(job("job-2")), State::Running, Err("conflict")),
        ("the run ended", None, State::Ending, Err("gone")),
    ];
    for (case, other, state, expected) in cases {
        let fixture = with_run(&live());
        write_concurrently(&fixture, "record_head_job", &live(), move |lifecycle| {
            lifecycle.head_job = other;
            lifecycle.state = state;
        });
        let outcome = record(&fixture, &live(), head_job()).map(drop).map_err(|error| error.code());
        assert_eq!(outcome, expected, "{case}");
        assert!(fixture.table.audit().is_empty(), "{case}: this caller has recorded nothing");
        assert!(fixture.bus.faults.calls().is_empty(), "{case}");
        assert_eq!(fixture.backoff.attempts(), [1], "{case}");
    }
}
