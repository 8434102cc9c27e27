use super::*;
use crate::testing::NOW;

fn at(milliseconds: i64) -> Timestamp {
    NOW + SignedDuration::from_millis(milliseconds)
}

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn a_launch_reserves_only_if_it_has_more_copies_than_a_bundle() {
    for (copies, needed) in [(0, false), (1, false), (3, false), (4, true), (20, true), (usize::MAX, true)] {
        assert_eq!(is_needed(copies), needed, "{copies}");
    }
}

#[test]
fn slots_leave_five_creations_per_second_of_the_quota_to_others() {
    for (copies, milliseconds) in [(0, 0), (1, 23), (20, 445), (45, 1_000), (90, 2_000), (128, 2_845)] {
        let request = SlotRequest::new(copies, NOW, MINUTE);
        assert_eq!(request.length, SignedDuration::from_millis(milliseconds), "{copies}");
        assert_eq!(i64::try_from(offset(copies).as_millis()), Ok(milliseconds), "{copies}");
    }
    let in_a_second = (0..1_000).filter(|index| offset(*index) < Duration::from_secs(1)).count();
    assert_eq!(in_a_second, 45);
}

#[test]
fn a_launch_waits_only_while_enough_time_is_left_for_itself() {
    for (case, copies, remaining, milliseconds) in [
        ("a whole invocation", 20, 29_000, 8_000),
        ("the shortest time for the longest wait", 45, 27_000, 8_000),
        ("a slow start", 45, 24_500, 5_500),
        ("a long slot", 90, 26_000, 6_000),
        ("no time to wait", 45, 19_000, 0),
        ("not even time for itself", 45, 100, 0),
        ("no limit", 45, u64::MAX, 8_000),
    ] {
        let request = SlotRequest::new(copies, NOW, Duration::from_millis(remaining));
        assert_eq!(request.longest_wait, SignedDuration::from_millis(milliseconds), "{case}");
        assert_eq!(request.latest_start(), at(milliseconds), "{case}");
    }
}

#[test]
fn the_queue_decides_whether_a_slot_is_reserved_or_promised() {
    use QueueChange::{Append, Nothing, PromiseFirst, PromiseNext, Start};
    let cases = [
        ("an empty queue", None, None, Start),
        ("a queue that ended", Some(-1), None, Start),
        ("an old queue with old promises", Some(-90_000), Some(-5), Start),
        ("promises to clients that did not come", Some(-1), Some(60_000), Start),
        ("a queue that ends now", Some(0), None, Append),
        ("a short queue", Some(445), None, Append),
        ("a short queue with promises", Some(4_000), Some(60_000), Append),
        ("the longest wait", Some(8_000), None, Append),
        ("a full queue", Some(8_001), None, PromiseFirst),
        ("a full queue with old promises", Some(8_001), Some(8_000), PromiseFirst),
        ("a full queue with a promise that begins", Some(8_001), Some(8_001), PromiseNext),
        ("a full queue with promises", Some(8_400), Some(60_000), PromiseNext),
        ("the furthest promise", Some(8_400), Some(300_000), PromiseNext),
        ("too many promises", Some(8_400), Some(300_001), Nothing),
    ];
    for (case, reserved, promised, change) in cases {
        let queue = SlotQueue { reserved_until: reserved.map(at), promised_until: promised.map(at) };
        assert_eq!(queue.next(&SlotRequest::new(20, NOW, MINUTE)), change, "{case}");
    }
}

#[test]
fn a_client_is_told_to_come_back_shortly_before_its_slot() {
    for (case, start, seconds) in [
        ("a slot after the longest wait", 8_000, 4),
        ("rounded down", 8_999, 4),
        ("a later slot", 88_455, 84),
        ("a slot that is near", 4_500, 1),
        ("a slot that has begun", -60_000, 1),
        ("the furthest promise", 300_000, 296),
        ("further than any promise", 900_000, 300),
    ] {
        assert_eq!(retry_after(at(start), NOW), seconds, "{case}");
    }
}

#[test]
fn a_client_that_is_on_time_or_a_little_late_or_early_gets_a_slot_and_leaves_no_gap() {
    // All promised slots before this client's are reserved when it comes back.
    for start in (8_001..90_000).step_by(111) {
        let back = i64::from(retry_after(at(start), NOW)) * 1_000;
        for lateness in [-2_500, 0, 3_900] {
            let request = SlotRequest::new(20, at(back + lateness), Duration::from_secs(29));
            let queue = SlotQueue { reserved_until: Some(at(start)), promised_until: Some(at(90_000)) };
            assert_eq!(queue.next(&request), QueueChange::Append, "{start} {lateness}");
        }
    }
}
