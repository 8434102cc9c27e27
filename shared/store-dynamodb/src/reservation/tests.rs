use std::time::Duration;

use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::json;
use support::Fault;

use super::*;
use crate::rows::s;
use crate::testing::{TestStore, now};

/// The start of the tests, in whole milliseconds as in the row, plus this many.
fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(now().as_millisecond() + milliseconds).unwrap()
}

/// A request of a launch with 20 copies, which take 445 ms.
fn request(milliseconds: i64) -> SlotRequest {
    SlotRequest::new(20, at(milliseconds), Duration::from_secs(29))
}

async fn reserve(test: &TestStore, milliseconds: i64) -> Slot {
    test.store.reserve_creations(&request(milliseconds)).await.unwrap()
}

/// The queue: the end of the reserved and of the promised slots, in milliseconds since the start.
async fn queue(test: &TestStore) -> [Option<i64>; 2] {
    let row = test.row(Key::creations()).await.unwrap();
    [RESERVED, PROMISED].map(|name| {
        let time: Option<i64> = row.some_field(name).unwrap();
        time.map(|time| time - now().as_millisecond())
    })
}

/// Sets the queue.
async fn set(test: &TestStore, reserved: i64, promised: Option<i64>) {
    let mut row = Key::creations().attributes();
    row.insert(RESERVED.into(), milliseconds(at(reserved)));
    row.extend(promised.map(|promised| (PROMISED.to_owned(), milliseconds(at(promised)))));
    test.seed(row).await;
}

#[tokio::test]
async fn a_slot_in_an_empty_queue_starts_at_once_and_takes_one_update() {
    let test = TestStore::start().await;
    assert_eq!(reserve(&test, 0).await, Slot::Reserved(at(0)));
    assert_eq!(queue(&test).await, [Some(445), None]);
    // The queue is over.
    assert_eq!(reserve(&test, 446).await, Slot::Reserved(at(446)));
    assert_eq!(queue(&test).await, [Some(891), None]);
    assert_eq!(test.operations(), ["UpdateItem"; 2]);
}

#[tokio::test]
async fn slots_follow_one_another_without_a_gap() {
    let test = TestStore::start().await;
    for (arrives, starts) in [(0, 0), (0, 445), (445, 890), (1_335, 1_335)] {
        assert_eq!(reserve(&test, arrives).await, Slot::Reserved(at(starts)), "{arrives}");
    }
    // A clock that is behind changes nothing.
    assert_eq!(reserve(&test, 900).await, Slot::Reserved(at(1_780)));
    assert_eq!(queue(&test).await, [Some(2_225), None]);
}

#[tokio::test]
async fn a_launch_that_would_wait_too_long_gets_a_promise_and_reserves_nothing() {
    let test = TestStore::start().await;
    set(&test, 8_000, None).await;
    assert_eq!(reserve(&test, 0).await, Slot::Reserved(at(8_000)));
    for promised in [8_445, 8_890, 9_335] {
        assert_eq!(reserve(&test, 0).await, Slot::Promised(at(promised)));
    }
    assert_eq!(queue(&test).await, [Some(8_445), Some(9_780)]);
    // A client that comes back finds a place.
    assert_eq!(reserve(&test, 4_000).await, Slot::Reserved(at(8_445)));
}

#[tokio::test]
async fn promises_begin_again_after_the_reserved_slots() {
    let test = TestStore::start().await;
    set(&test, 20_000, Some(19_999)).await;
    assert_eq!(reserve(&test, 0).await, Slot::Promised(at(20_000)));
    assert_eq!(reserve(&test, 0).await, Slot::Promised(at(20_445)));
    assert_eq!(queue(&test).await, [Some(20_000), Some(20_890)]);
}

#[tokio::test]
async fn promises_end_five_minutes_ahead() {
    let test = TestStore::start().await;
    set(&test, 9_000, Some(300_000)).await;
    assert_eq!(reserve(&test, 0).await, Slot::Promised(at(300_000)));
    for _ in 0..3 {
        assert_eq!(reserve(&test, 0).await, Slot::Promised(at(300_000)));
        assert_eq!(queue(&test).await, [Some(9_000), Some(300_445)]);
    }
}

#[tokio::test]
async fn simultaneous_launches_share_the_time_without_overlap() {
    let test = TestStore::start().await;
    let slots = join_all((0..40).map(async |_| reserve(&test, 0).await)).await;
    let mut starts: Vec<_> = slots
        .into_iter()
        .map(|slot| match slot {
            Slot::Reserved(start) => (false, start),
            Slot::Promised(start) => (true, start),
        })
        .collect();
    starts.sort();
    let expected: Vec<_> = (0..40).map(|index| (index >= 18, at(index * 445))).collect();
    assert_eq!(starts, expected, "18 slots begin within 8 seconds");
    assert!(test.operations().len() <= 40 * 4, "{}", test.operations().len());
}

#[tokio::test]
async fn a_lost_answer_costs_a_slot_and_nothing_else() {
    let test = TestStore::start().await;
    test.table.faults.fail_next(Fault::LostReply);
    assert_eq!(reserve(&test, 0).await, Slot::Reserved(at(445)));
    assert_eq!(queue(&test).await, [Some(890), None]);
}

#[tokio::test]
async fn a_throttled_row_is_contended_and_any_other_failure_is_unavailable() {
    for (code, contended) in [
        ("ProvisionedThroughputExceededException", true),
        ("TransactionConflictException", true),
        ("AccessDeniedException", false),
        ("ValidationException", false),
    ] {
        let test = TestStore::start().await;
        for _ in 0..3 {
            let body = json!({ "__type": code, "message": "canary-8d1f" });
            test.table.faults.fail_next(Fault::Answer { status: 400, body });
        }
        let error = test.store.reserve_creations(&request(0)).await.unwrap_err();
        assert_eq!(matches!(error, Error::Contended), contended, "{code}: {error}");
        assert_eq!(matches!(error, Error::Unavailable { .. }), !contended, "{code}: {error}");
        assert_eq!(test.keys_beginning("QUOTA#").await, 0);
    }
}

#[tokio::test]
async fn a_corrupt_queue_is_an_error() {
    for (attribute, value) in
        [(RESERVED, s("soon")), (RESERVED, n(i64::MAX)), (PROMISED, s("soon")), (PROMISED, n(i64::MAX))]
    {
        let test = TestStore::start().await;
        set(&test, 20_000, Some(30_000)).await;
        test.set(Key::creations(), attribute, value.clone()).await;
        let slot = test.store.reserve_creations(&request(0)).await;
        assert!(matches!(slot, Err(Error::Bug { .. })), "{attribute} {value:?}: {slot:?}");
    }
}

#[tokio::test]
async fn a_longer_launch_gets_a_longer_slot() {
    let test = TestStore::start().await;
    let request = SlotRequest::new(90, at(0), Duration::from_secs(29));
    for start in [0, 2_000] {
        let slot = test.store.reserve_creations(&request).await.unwrap();
        assert_eq!(slot, Slot::Reserved(at(0) + SignedDuration::from_millis(start)));
    }
}
