//! Launches that fail after the intent is written. Nothing is opened without a record, and the run
//! is ended.

use super::*;
use crate::run::HeadJob;

type Arrange = fn(&Fixture);
type ChangeRun = fn(&mut Run);

/// Another caller updates the token before the launch reads the sealed values.
fn rotate(fixture: &Fixture, text: &str) {
    let rotated = Secret { version: 4, ..token() };
    let sealed = fixture.seal(&rotated, text);
    fixture.table.before("sealed_values", move |rows| {
        rows.sealed.insert((rotated.owner, rotated.id), sealed);
        rows.secrets.insert((rotated.owner, rotated.id), rotated);
    });
}

fn envelope_refused(fixture: &Fixture) {
    fixture.keys.faults.fail("decrypt_data_key", Error::EnvelopeRefused);
}

#[test]
fn no_value_is_opened_before_the_intent_is_written() {
    let cases: [(&str, Arrange, &str); 3] = [
        ("not written", |f| f.table.faults.fail("begin_run", unavailable()), "unavailable"),
        ("written, answer lost", |f| f.table.faults.lose_answer("begin_run", unavailable()), "unavailable"),
        (
            "another launch in every attempt",
            |f| (0..4).for_each(|_| f.table.faults.fail("begin_run", Error::Contended)),
            "contended",
        ),
    ];
    for (case, arrange, code) in cases {
        let fixture = fixture();
        arrange(&fixture);
        let error = error_of(launch(&fixture, &request(Platform::AwsBatch), None));
        assert_eq!(error.code(), code, "{case}");
        assert_nothing_opened(&fixture, case);
    }
}

#[test]
fn a_failed_launch_ends_its_run() {
    let cases: [(&str, Arrange, &str); 8] = [
        (
            "the intent's answer is lost",
            |f| f.table.faults.lose_answer("begin_run", unavailable()),
            "unavailable",
        ),
        ("values cannot be read", |f| f.table.faults.fail("sealed_values", unavailable()), "unavailable"),
        (
            "a data key is not decrypted",
            |f| f.keys.faults.fail("decrypt_data_key", unavailable()),
            "unavailable",
        ),
        ("an envelope is refused", envelope_refused, "envelope-refused"),
        ("a copy is not created", |f| f.target.faults.fail("create_copy", unavailable()), "unavailable"),
        (
            "a created copy's answer is lost",
            |f| f.target.faults.lose_answer("create_copy", unavailable()),
            "unavailable",
        ),
        (
            "the delivery is not written",
            |f| f.table.faults.fail("save_lifecycle", unavailable()),
            "unavailable",
        ),
        (
            "the delivery's answer is lost",
            |f| f.table.faults.lose_answer("save_lifecycle", unavailable()),
            "unavailable",
        ),
    ];
    for (case, arrange, code) in cases {
        let fixture = fixture();
        arrange(&fixture);
        let error = error_of(launch(&fixture, &request(Platform::AwsBatch), None));
        assert_eq!(error.code(), code, "{case}");

        let run = only_run(&fixture);
        let outcome = Outcome {
            result: RunResult::LaunchFailed,
            exit_status: None,
            reported_by: ReportedBy::Launch,
            cancelled_by: None,
        };
        assert_eq!((run.lifecycle.state, run.lifecycle.due), (State::Ending, Some(NOW)), "{case}");
        assert_eq!(run.lifecycle.outcome, Some(outcome), "{case}");
        assert!(!run.lifecycle.copies.is_empty(), "{case}: cleanup does not know what to remove");

        let audit = fixture.table.audit();
        assert_eq!(fixture.table.actions(), [AuditAction::RunLaunched, AuditAction::RunEnding], "{case}");
        assert_eq!((audit[1].actor, &audit[1].run), (None, &Some(run.id.clone())), "{case}");
        assert_eq!((&audit[1].subjects, audit[1].at), (&subjects(), NOW), "{case}");
        assert_eq!(fixture.bus.announced.borrow().last(), Some(&(run.id, RunNotice::Look)), "{case}");
        assert_eq!(fixture.backoff.attempts(), [0; 0], "{case}: a target in trouble was called again");
    }
}

#[test]
fn a_failed_launch_without_copies_leaves_nothing_to_clean_up() {
    let fixture = fixture();
    fixture.table.faults.fail("save_lifecycle", unavailable());
    error_of(launch(&fixture, &request(Platform::Slurm), None));
    let run = only_run(&fixture);
    assert_eq!((run.lifecycle.state, run.lifecycle.due), (State::Ended, None));
    assert_eq!(fixture.table.actions(), [AuditAction::RunLaunched, AuditAction::RunEnded]);
    assert_eq!(fixture.table.audit()[1].actor, None);
}

#[test]
fn every_copy_is_waited_for_even_where_one_fails() {
    let fixture = fixture();
    fixture.target.faults.fail("create_copy", unavailable());
    let request = LaunchRequest { layout: Some(Layout::PerName), ..request(Platform::AwsBatch) };
    error_of(launch(&fixture, &request, None));
    assert_eq!(fixture.target.faults.count("create_copy"), 2);
}

#[test]
fn a_lost_delivery_event_does_not_fail_the_launch() {
    let fixture = fixture();
    fixture.bus.faults.fail("announce", unavailable());
    let run = launch(&fixture, &request(Platform::AwsBatch), None).unwrap().run;
    assert_eq!(fixture.table.stored_run(&run.id).lifecycle.state, State::Pending);
}

/// Each case: what happened to the run after the lost answer and before the attempt to end it.
#[test]
fn a_failed_launch_does_not_end_a_run_that_another_caller_uses() {
    let cases: [(&str, ChangeRun); 3] = [
        ("a repeated launch renewed the tokens", |run| run.lifecycle.run_token = run_key().hash()),
        ("its head job is recorded", |run| {
            let job = HeadJob {
                job_id: "job".into(),
                queue: "queue".into(),
                region: "region".into(),
                account: None,
            };
            run.lifecycle.head_job = Some(job);
        }),
        ("its job reported that it is alive", |run| run.lifecycle.state = State::Running),
    ];
    for (case, change) in cases {
        let fixture = fixture();
        fixture.table.faults.lose_answer("save_lifecycle", unavailable());
        fixture.table.before("run", move |rows| change(rows.runs.values_mut().next().unwrap()));
        let error = error_of(launch(&fixture, &request(Platform::AwsBatch), None));
        assert_eq!(error.code(), "unavailable", "{case}");
        assert_eq!(only_run(&fixture).lifecycle.outcome, None, "{case}: the run was ended");
        assert_eq!(fixture.table.faults.count("save_lifecycle"), 1, "{case}");
        assert_eq!(fixture.table.actions(), [AuditAction::RunLaunched], "{case}");
        assert_eq!(fixture.bus.faults.count("announce"), 1, "{case}: announced for cleanup");
    }
}

#[test]
fn a_launch_that_cannot_end_its_run_reports_the_first_failure_and_leaves_the_run_to_the_sweep() {
    let cases: [(&str, Arrange, State); 4] = [
        ("the run is deleted", |f| f.table.before("run", |rows| rows.runs.clear()), State::Provisioning),
        ("the run cannot be read", |f| f.table.faults.fail("run", unavailable()), State::Provisioning),
        (
            "the end cannot be written",
            |f| f.table.faults.fail("save_lifecycle", unavailable()),
            State::Provisioning,
        ),
        ("the end is not announced", |f| f.bus.faults.fail("announce", unavailable()), State::Ending),
    ];
    for (case, arrange, state) in cases {
        let fixture = fixture();
        envelope_refused(&fixture);
        arrange(&fixture);
        let error = error_of(launch(&fixture, &request(Platform::AwsBatch), None));
        assert_eq!(error.code(), "envelope-refused", "{case}");
        assert!(fixture.bus.announced.borrow().is_empty(), "{case}");
        let rows = fixture.table.rows.borrow();
        let left = rows.runs.values().next();
        assert!(left.is_none_or(|run| run.lifecycle.state == state && run.lifecycle.due.is_some()), "{case}");
    }
}

#[test]
fn a_secret_that_is_deleted_during_the_launch_refuses_it() {
    let fixture = fixture();
    fixture.table.before("sealed_values", |rows| {
        rows.sealed.remove(&(of_user(), token().id));
    });
    let error = error_of(launch(&fixture, &request(Platform::AwsBatch), None));
    assert_eq!(error.code(), "refused");
    assert!(error.to_string().contains("the secret TOKEN was deleted during the launch"), "{error}");
    assert_nothing_opened(&fixture, "deleted");
    assert_eq!(only_run(&fixture).lifecycle.state, State::Ending);
}

#[test]
fn a_value_that_is_updated_during_the_launch_is_pinned_and_recorded_before_it_is_opened() {
    let fixture = fixture();
    rotate(&fixture, "rotated text");
    let run = launch(&fixture, &request(Platform::AwsBatch), None).unwrap().run;
    assert_eq!(run, fixture.table.stored_run(&run.id));
    assert_eq!(run.lifecycle.secrets.iter().map(|pin| pin.version).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(run.lifecycle.revision, 3);
    let body = fixture.target.copies.borrow()[&format!("tower-{}", run.id)].body.clone();
    assert_eq!(body, r#"{"LICENCE":"licence text","TOKEN":"rotated text"}"#);
    let audit = fixture.table.audit();
    assert_eq!(fixture.table.actions(), [AuditAction::RunLaunched, AuditAction::RunRepinned]);
    assert_eq!(audit[1].actor, Some(actor().user));
    assert_eq!(audit[1].subjects.iter().map(|subject| subject.version).collect::<Vec<_>>(), [3, 4]);

    for (case, error) in [("unavailable", unavailable()), ("refused", Error::Refused("planned".into()))] {
        let fixture = self::fixture();
        rotate(&fixture, "rotated text");
        fixture.table.faults.fail("save_lifecycle", error);
        assert_eq!(error_of(launch(&fixture, &request(Platform::AwsBatch), None)).code(), case);
        assert_nothing_opened(&fixture, case);
    }
}

#[test]
fn a_launch_that_collides_or_is_swept_is_retried_as_a_new_run() {
    let cases: [(&str, Arrange); 4] = [
        ("run id taken", |f| f.table.faults.lose_answer("begin_run", Error::Contended)),
        ("copy's name taken", |f| f.target.faults.fail("create_copy", Error::Conflict("taken".into()))),
        ("the sweep was faster", |f| {
            f.table.before("save_lifecycle", |rows| {
                let lifecycle = &mut rows.runs.values_mut().next().unwrap().lifecycle;
                (lifecycle.state, lifecycle.revision) = (State::Ending, lifecycle.revision + 1);
            });
        }),
        ("a value outgrew the planned copy", |f| {
            // Two values of the maximum size, planned as small ones, do not fit into one copy.
            let large = "x".repeat(SecretValue::MAX_BYTES);
            for id in [3, 4] {
                let planned = secret(of_workspace(), id, &format!("LARGE_{id}"));
                f.put_secret(&planned, &large);
            }
            // One value shrinks again while the first attempt fails, so the second attempt fits.
            let smaller = f.seal(&secret(of_workspace(), 3, "LARGE_3"), "small");
            f.table.before("run", move |rows| {
                rows.sealed.insert((smaller.owner, smaller.secret), smaller);
            });
        }),
    ];
    for (case, arrange) in cases {
        let fixture = fixture();
        arrange(&fixture);
        let key = if case == "run id taken" { None } else { Some("a-key-of-this-request") };
        let Launched { run, tokens } = launch(&fixture, &request(Platform::AwsBatch), key).unwrap();
        assert!(is_run_token(&tokens.unwrap().run, &run), "{case}");
        assert_eq!(fixture.backoff.attempts(), [1], "{case}");
        let rows = fixture.table.rows.borrow();
        assert_eq!(rows.runs.len(), 2, "{case}: the second attempt has a new id");
        assert_eq!(rows.runs[&run.id].lifecycle.state, State::Pending, "{case}");
        if key.is_some() {
            let first = rows.runs.values().find(|other| other.id != run.id).unwrap();
            assert_eq!(first.lifecycle.state, State::Ending, "{case}: the first attempt is not ended");
            let known = rows.idempotency.values().next().unwrap();
            assert_eq!(
                known.result,
                IdempotentResult::Run(run.id),
                "{case}: the record is of the first attempt"
            );
        }
    }
}

#[test]
fn a_launch_is_not_retried_when_no_time_is_left() {
    let cases: [(&str, Arrange); 2] = [
        ("run ids taken", |f| (0..4).for_each(|_| f.table.faults.fail("begin_run", Error::Contended))),
        ("copies' names taken", |f| {
            (0..4).for_each(|_| f.target.faults.fail("create_copy", Error::Conflict("taken".into())));
        }),
    ];
    for (case, arrange) in cases {
        let fixture = fixture();
        arrange(&fixture);
        let error = error_of(launch(&fixture, &request(Platform::AwsBatch), None));
        assert_eq!(error.code(), "contended", "{case}");
        assert_eq!(fixture.backoff.attempts(), [1, 2, 3], "{case}");
        let rows = fixture.table.rows.borrow();
        assert!(rows.runs.values().all(|run| run.lifecycle.state == State::Ending), "{case}");
    }
}
