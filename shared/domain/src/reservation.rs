//! Reservations of creations: launches share the quota of AWS Secrets Manager.
//!
//! An account can create 50 secrets a second
//! (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>). A launch
//! with many copies reserves a time slot that is long enough for its copies, and creates them one
//! after the other in this slot. One row of the table holds the queue of slots. A launch whose slot
//! is too far ahead is refused, and its client gets the time of a promised slot
//! ([ADR 17](../../../docs/adr/0017-creations-are-reserved.md)).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The creations that launches reserve per second. The rest of the quota is for launches that
/// reserve nothing, and for other users of the account.
const PER_SECOND: u64 = 45;
/// A launch with at most this many copies reserves nothing. A bundle has one copy, rarely more.
const WITHOUT_RESERVATION: usize = 3;
/// The longest time that a launch waits for its slot.
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// The time that a launch needs from the start of its slot, in addition to the slot, if AWS is
/// slow: 15 seconds of calls with all their retries (`shared/runtime/src/clients.rs`), and 3 to end
/// the run if one of them fails.
const LAUNCH_TIME: Duration = Duration::from_secs(18);
/// How long before its promised slot a client comes back. The client then waits inside the launch,
/// and no part of the quota is unused because a client is late.
const EARLY: SignedDuration = SignedDuration::from_secs(4);
/// Slots are promised up to this time ahead, which is also the longest `Retry-After`. Clients that
/// retry too early get new promises each time; the limit keeps them from delaying all others.
const FURTHEST_PROMISE: SignedDuration = SignedDuration::from_mins(5);

/// Whether a launch with this number of copies reserves their creations.
#[must_use]
pub fn is_needed(copies: usize) -> bool {
    copies > WITHOUT_RESERVATION
}

/// How long after the start of its slot a launch creates the copy with this index.
#[must_use]
pub fn offset(index: usize) -> Duration {
    Duration::from_millis(milliseconds(index))
}

/// The time that this number of creations takes, rounded up.
fn milliseconds(creations: usize) -> u64 {
    u64::try_from(creations).unwrap_or(u64::MAX).saturating_mul(1_000).div_ceil(PER_SECOND)
}

/// A request for a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotRequest {
    /// The current time.
    pub now: Timestamp,
    /// The length of the slot.
    pub length: SignedDuration,
    /// The longest time until the start of the slot.
    pub longest_wait: SignedDuration,
}

/// The answer to a request for a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slot {
    /// The slot is reserved, from this time on.
    Reserved(Timestamp),
    /// Nothing is reserved. A slot from this time on is promised.
    Promised(Timestamp),
}

/// The queue of slots. Each time is missing until it is first needed, and can be in the past.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SlotQueue {
    /// The end of the last reserved slot.
    pub reserved_until: Option<Timestamp>,
    /// The end of the last promised slot.
    pub promised_until: Option<Timestamp>,
}

/// How to change the queue. Each change is one conditional write, and the condition is the one
/// under which [`SlotQueue::next`] chooses it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QueueChange {
    /// No slot is reserved: reserve one from now on.
    Start,
    /// Reserve the slot after the last reserved one.
    Append,
    /// Promise the slot after the last reserved one.
    PromiseFirst,
    /// Promise the slot after the last promised one.
    PromiseNext,
    /// Change nothing: too many slots are promised already.
    Nothing,
}

impl SlotRequest {
    /// Requests a slot for this number of copies, with this much time left in the invocation.
    #[must_use]
    pub fn new(copies: usize, now: Timestamp, remaining: Duration) -> Self {
        let length = Duration::from_millis(milliseconds(copies));
        let wait = remaining.saturating_sub(LAUNCH_TIME + length).min(LONGEST_WAIT);
        let signed = |time: Duration| SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        Self { now, length: signed(length), longest_wait: signed(wait) }
    }

    /// The latest start of a slot.
    #[must_use]
    pub fn latest_start(&self) -> Timestamp {
        later(self.now, self.longest_wait)
    }

    /// The latest start of a promised slot.
    #[must_use]
    pub fn furthest_promise(&self) -> Timestamp {
        later(self.now, FURTHEST_PROMISE)
    }
}

impl SlotQueue {
    /// Chooses the change of this queue that answers the request.
    #[must_use]
    pub fn next(&self, request: &SlotRequest) -> QueueChange {
        let Some(reserved) = self.reserved_until.filter(|until| *until >= request.now) else {
            return QueueChange::Start;
        };
        if reserved <= request.latest_start() {
            return QueueChange::Append;
        }
        match self.promised_until.filter(|until| *until >= reserved) {
            None => QueueChange::PromiseFirst,
            Some(promised) if promised <= request.furthest_promise() => QueueChange::PromiseNext,
            Some(_) => QueueChange::Nothing,
        }
    }
}

/// The `Retry-After`, in seconds, of a launch whose slot is promised from `start` on. Whole seconds
/// are rounded down, because a client may be early but not late.
#[must_use]
pub fn retry_after(start: Timestamp, now: Timestamp) -> u32 {
    let wait = start.duration_since(now).saturating_sub(EARLY);
    let seconds = wait.as_secs().clamp(1, FURTHEST_PROMISE.as_secs());
    u32::try_from(seconds).unwrap_or(1)
}

fn later(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.saturating_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
