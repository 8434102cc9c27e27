//! Deletion of copies: which are deleted, which are kept, and what is retried.

use super::*;

const NAME: &str = "tower-ab12ABCDEFGHIJ";

fn ending() -> Run {
    run(Platform::AwsBatch, State::Ending)
}

/// A run whose secrets are in two copies.
fn ending_with_two_copies() -> (Run, [String; 2]) {
    let mut run = ending();
    let shard = RunCopy { name: format!("{NAME}.2"), ..run.lifecycle.copies[0].clone() };
    run.lifecycle.copies.push(shard);
    (run, [NAME.to_owned(), format!("{NAME}.2")])
}

#[test]
fn only_a_copy_with_the_tags_of_this_deployment_and_this_run_is_deleted() {
    let run = ending().id;
    let ours = Some(run.as_str());
    // Deployment tag, run tag, whether the copy is deleted.
    let cases = [
        (Some("test"), ours, true),
        (Some("test"), Some("ab12JIHGFEDCBA"), false),
        (Some("test"), Some("ab12abcdefghij"), false),
        (Some("test"), Some(""), false),
        (Some("test"), None, false),
        (Some("production"), ours, false),
        (Some("TEST"), ours, false),
        (Some("production"), Some("ab12JIHGFEDCBA"), false),
        (None, ours, false),
        (None, None, false),
    ];
    for (deployment, tag, deleted) in cases {
        let case = format!("deployment {deployment:?}, run {tag:?}");
        let fixture = Fixture::new();
        fixture.table.put_run(ending());
        fixture.target.put(NAME, deployment, tag, None);
        let (inspected, log) = logged(|| inspect(&fixture, &run).unwrap());
        assert_eq!(inspected, CleanupOutcome::Ended, "{case}");
        assert_eq!(fixture.target.faults.count("delete_copy"), usize::from(deleted), "{case}");
        assert_eq!(log.is_empty(), deleted, "{case}");
        assert!(log.iter().all(|line| line.starts_with("ERROR") && line.contains(run.as_str())), "{case}");
        assert_eq!(fixture.target.names().is_empty(), deleted, "{case}");
        assert_eq!(fixture.table.stored_run(&run).lifecycle.state, State::Ended, "{case}");
    }
}

#[test]
fn a_copy_is_deleted_until_describe_finds_nothing() {
    let present = ["describe_copy", "delete_copy"];
    let cases = [
        ("it was deleted before", 0, false, vec!["describe_copy"]),
        ("it is deleted at once", 0, true, [&present[..], &["describe_copy"]].concat()),
        ("it outlives one delete", 1, true, [&present[..], &present, &["describe_copy"]].concat()),
        ("it outlives two", 2, true, [&present[..], &present, &present, &["describe_copy"]].concat()),
    ];
    for (case, slow_deletes, exists, calls) in cases {
        let fixture = with_run(&ending());
        fixture.target.slow_deletes.set(slow_deletes);
        if !exists {
            fixture.target.copies.borrow_mut().clear();
        }
        assert_eq!(inspect(&fixture, &ending().id).unwrap(), CleanupOutcome::Ended, "{case}");
        assert_eq!(fixture.target.faults.calls(), calls, "{case}");
        let waited: Vec<u32> = (1..).take(calls.len() / 2).collect();
        assert_eq!(fixture.backoff.attempts(), waited, "{case}: it waits after each delete");
    }
}

#[test]
fn a_run_does_not_end_while_a_copy_still_exists() {
    let fixture = with_run(&ending());
    fixture.target.slow_deletes.set(100);
    let error = error_of(inspect(&fixture, &ending().id));
    assert_eq!(error.code(), "unavailable");
    assert!(error.causes().contains("still exists after it was deleted"), "{}", error.causes());
    assert_eq!(fixture.backoff.attempts(), [1, 2, 3], "as long as there is time");
    assert_eq!(fixture.target.faults.count("delete_copy"), 4);
    assert_eq!(fixture.table.stored_run(&ending().id), ending(), "it is inspected again");
}

#[test]
fn a_failure_at_one_copy_does_not_stop_the_others_and_the_next_inspection_deletes_it() {
    for operation in ["describe_copy", "delete_copy"] {
        let (run, names) = ending_with_two_copies();
        let fixture = with_run(&run);
        fixture.target.faults.fail(operation, unavailable());
        assert_eq!(error_of(inspect(&fixture, &run.id)).code(), "unavailable", "{operation}");
        assert_eq!(fixture.target.names(), names[..1], "{operation}");
        assert_eq!(fixture.table.stored_run(&run.id), run, "{operation}: it is still ending");
        assert!(fixture.table.audit().is_empty(), "{operation}");

        assert_eq!(inspect(&fixture, &run.id).unwrap(), CleanupOutcome::Ended, "{operation}");
        assert!(fixture.target.names().is_empty(), "{operation}");
        assert_eq!(actions(&fixture), [AuditAction::RunEnded], "{operation}");
    }
}

#[test]
fn a_refused_delete_of_a_deleted_copy_is_not_a_failure() {
    let (run, _) = ending_with_two_copies();
    let fixture = with_run(&run);
    fixture.target.faults.lose_answer("delete_copy", unavailable());
    assert_eq!(inspect(&fixture, &run.id).unwrap(), CleanupOutcome::Ended);
    assert!(fixture.target.names().is_empty());
}

#[test]
fn a_run_is_written_as_ending_before_its_first_copy_is_touched() {
    let run = due_at(NOW, run(Platform::AwsBatch, State::Running));
    let fixture = with_run(&run);
    fixture.table.faults.fail("save_lifecycle", unavailable());
    assert_eq!(error_of(inspect(&fixture, &run.id)).code(), "unavailable");
    assert!(fixture.target.faults.calls().is_empty(), "the run may still be alive");
    assert_eq!(fixture.backoff.attempts(), [0; 0], "the adapter has retried it already");

    fixture.target.faults.fail("describe_copy", unavailable());
    error_of(inspect(&fixture, &run.id));
    let lifecycle = fixture.table.stored_run(&run.id).lifecycle;
    assert_eq!((lifecycle.state, lifecycle.due, lifecycle.ending), (State::Ending, Some(NOW), Some(NOW)));
    assert_eq!(actions(&fixture), [AuditAction::RunEnding]);
}
