//! Launches with many copies reserve their creations first.

use std::time::Duration;

use jiff::SignedDuration;

use super::*;
use crate::reservation::{Slot, SlotRequest};

type Arrange = fn(&Fixture);

/// A launch of 20 secrets, each with its own copy.
fn many() -> (Fixture, LaunchRequest) {
    let fixture = fixture();
    for number in 3..21 {
        fixture.put_secret(&secret(of_workspace(), number, &format!("SECRET_{number}")), "text");
    }
    (fixture, LaunchRequest { layout: Some(Layout::PerName), ..request(Platform::AwsBatch) })
}

fn seconds(seconds: i64) -> Timestamp {
    NOW + SignedDuration::from_secs(seconds)
}

fn set_slot(fixture: &Fixture, slot: Slot) {
    fixture.table.rows.borrow_mut().next_slot = Some(slot);
}

#[test]
fn the_reservation_comes_after_all_reads_and_before_the_intent() {
    let (fixture, request) = many();
    launch(&fixture, &request, Some("0123456789abcdef")).unwrap();
    let expected = [
        "role_and_workspace",
        "find_idempotency_record",
        "secrets",
        "secrets",
        "live_runs",
        "reserve_creations",
        "begin_run",
        "sealed_values",
        "save_lifecycle",
    ];
    assert_eq!(fixture.table.faults.calls(), expected);
    let requests = fixture.table.rows.borrow().slot_requests.clone();
    assert_eq!(requests, [SlotRequest::new(20, NOW, Duration::from_secs(29))]);
}

#[test]
fn the_copies_of_a_launch_are_created_one_after_the_other() {
    let (fixture, request) = many();
    launch(&fixture, &request, None).unwrap();
    let pauses: Vec<_> = fixture.backoff.pauses().iter().map(Duration::as_millis).collect();
    assert_eq!(pauses.len(), 20);
    assert_eq!((pauses[0], pauses[1], pauses[19]), (0, 23, 423));
}

#[test]
fn the_fragments_of_a_large_store_count_as_copies() {
    let fixture = fixture();
    for number in 3..5 {
        let mut large = secret(of_workspace(), number, &format!("SECRET_{number}"));
        large.properties.json_bytes = 60_160;
        fixture.put_secret(&large, "text");
    }
    let request = LaunchRequest { layout: Some(Layout::Plugin), ..request(Platform::AwsBatch) };
    let run = launch(&fixture, &request, None).unwrap().run;
    assert_eq!(run.lifecycle.copies.len(), 4, "two shards and two fragments");
    let requests = fixture.table.rows.borrow().slot_requests.clone();
    assert_eq!(requests, [SlotRequest::new(4, NOW, Duration::from_secs(29))]);
}

#[test]
fn a_launch_with_few_copies_or_none_reserves_nothing_and_waits_for_nothing() {
    let (fixture, request) = many();
    let few = self::fixture();
    for (case, fixture, request) in [
        ("a bundle", &fixture, LaunchRequest { layout: Some(Layout::Bundle), ..request.clone() }),
        ("a bundle and a store", &fixture, LaunchRequest { layout: Some(Layout::Plugin), ..request.clone() }),
        ("an HPC platform", &fixture, LaunchRequest { platform: Platform::Slurm, ..request.clone() }),
        ("two copies", &few, request.clone()),
    ] {
        launch(fixture, &request, None).unwrap();
        assert_eq!(fixture.table.faults.count("reserve_creations"), 0, "{case}");
        assert!(fixture.backoff.pauses().is_empty(), "{case}");
    }
}

#[test]
fn a_launch_waits_for_its_slot_and_is_then_authorized_again() {
    let (fixture, request) = many();
    set_slot(&fixture, Slot::Reserved(seconds(5)));
    launch(&fixture, &request, None).unwrap();
    assert_eq!(fixture.backoff.pauses()[0], Duration::from_secs(5));
    let calls = fixture.table.faults.calls();
    assert_eq!(calls[4..7], ["reserve_creations", "role_and_workspace", "begin_run"]);
}

#[test]
fn the_wait_does_not_include_the_time_that_the_reservation_took() {
    let (fixture, request) = many();
    let fixture = Rc::new(fixture);
    set_slot(&fixture, Slot::Reserved(seconds(5)));
    let later = Rc::clone(&fixture);
    fixture.table.before("reserve_creations", move |_| later.backoff.set_remaining(Duration::from_secs(27)));
    launch(&fixture, &request, None).unwrap();
    assert_eq!(fixture.backoff.pauses()[0], Duration::from_secs(3));
}

#[test]
fn a_user_who_loses_the_right_to_launch_while_waiting_launches_nothing() {
    let (fixture, request) = many();
    set_slot(&fixture, Slot::Reserved(seconds(5)));
    fixture.table.before("reserve_creations", |rows| rows.roles.clear());
    let error = error_of(launch(&fixture, &request, None));
    assert_eq!(error.code(), "not-found");
    assert!(fixture.table.rows.borrow().runs.is_empty());
    assert_nothing_opened(&fixture, "the role is lost");
}

#[test]
fn a_refused_launch_writes_nothing_and_names_the_time_of_its_promised_slot() {
    let (fixture, request) = many();
    for (slot, retry_after) in [(9, 5), (62, 58), (900, 300)] {
        set_slot(&fixture, Slot::Promised(seconds(slot)));
        match error_of(launch(&fixture, &request, Some("0123456789abcdef"))) {
            Error::QuotaReached { retry_after: told } => assert_eq!(told, retry_after),
            error => panic!("{error:?}"),
        }
    }
    let rows = fixture.table.rows.borrow();
    assert!(rows.runs.is_empty() && rows.audit.is_empty() && rows.idempotency.is_empty());
    drop(rows);
    assert_nothing_opened(&fixture, "refused");
    assert!(fixture.backoff.pauses().is_empty() && fixture.backoff.attempts().is_empty());
    // The same key launches when the client comes back.
    launch(&fixture, &request, Some("0123456789abcdef")).unwrap();
}

#[test]
fn a_launch_continues_without_a_slot_if_none_can_be_reserved() {
    let cases: [(&str, Arrange); 2] = [
        ("unavailable", |f| f.table.faults.fail("reserve_creations", unavailable())),
        ("corrupt", |f| f.table.faults.fail("reserve_creations", Error::bug("a row is corrupt"))),
    ];
    for (case, arrange) in cases {
        let (fixture, request) = many();
        arrange(&fixture);
        let (launched, log) = logged(|| launch(&fixture, &request, None));
        assert_eq!(launched.unwrap().run.lifecycle.state, State::Pending, "{case}");
        let logged = log.iter().any(|line| line.contains("could not reserve creations"));
        assert!(logged, "{case}: {log:?}");
    }
}

#[test]
fn a_contended_reservation_is_retried_while_there_is_time() {
    for (failures, launched) in [(3, true), (4, false)] {
        let (fixture, request) = many();
        (0..failures).for_each(|_| fixture.table.faults.fail("reserve_creations", Error::Contended));
        let outcome = launch(&fixture, &request, None);
        assert_eq!(outcome.is_ok(), launched, "{failures}");
        assert_eq!(fixture.table.rows.borrow().runs.len(), usize::from(launched), "{failures}");
        assert_eq!(fixture.backoff.attempts(), [1, 2, 3], "{failures}");
    }
}

#[test]
fn a_retry_within_a_launch_reserves_again_only_if_the_slot_was_used() {
    let cases: [(&str, Arrange, usize); 2] = [
        ("the run did not begin", |f| f.table.faults.fail("begin_run", Error::Contended), 1),
        ("a name was taken", |f| f.target.faults.fail("create_copy", Error::Conflict("taken".into())), 2),
    ];
    for (case, arrange, reservations) in cases {
        let (fixture, request) = many();
        arrange(&fixture);
        launch(&fixture, &request, None).unwrap();
        assert_eq!(fixture.table.faults.count("reserve_creations"), reservations, "{case}");
    }
}

#[test]
fn a_repeated_launch_reserves_nothing() {
    let (fixture, request) = many();
    let key = Some("0123456789abcdef");
    let first = launch(&fixture, &request, key).unwrap().run;
    assert_eq!(launch(&fixture, &request, key).unwrap().run.id, first.id);
    assert_eq!(fixture.table.faults.count("reserve_creations"), 1);
}
