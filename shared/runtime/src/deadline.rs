//! The deadline of an invocation, and the backoff before it.

use async_trait::async_trait;
use std::time::{Duration, SystemTime};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use domain::ports::Backoff;
use tokio::time::Instant;

/// The time at which Lambda ends the invocation. As [`Backoff`], it waits between retries with full
/// jitter: a random time from 0 to 25 ms, 50 ms, 100 ms … 1 s.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

/// The minimum remaining time for a retry: enough for one call of each kind and an answer.
const MARGIN: Duration = Duration::from_millis(1_500);
const FIRST_BACKOFF: Duration = Duration::from_millis(25);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

impl Deadline {
    /// Creates a deadline after this time.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// Creates a deadline at this time, or now if the time has passed.
    #[must_use]
    pub fn at(time: SystemTime) -> Self {
        Self::after(time.duration_since(SystemTime::now()).unwrap_or_default())
    }
}

#[async_trait(?Send)]
impl Backoff for Deadline {
    async fn wait(&self, retry: u32) -> bool {
        let doublings = retry.saturating_sub(1).min(16);
        let pause = jitter((FIRST_BACKOFF * 2_u32.pow(doublings)).min(LONGEST_BACKOFF));
        if self.remaining() < pause + MARGIN {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }

    fn remaining(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    async fn pause(&self, time: Duration) {
        // Even a sleep of zero lasts until the timer's next millisecond.
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
    }
}

/// Returns a random time from 0 to `longest`, or `longest` if the generator fails: no secret
/// depends on it.
fn jitter(longest: Duration) -> Duration {
    let mut bytes = [0; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => longest.mul_f64(f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)),
        Err(_) => longest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_doubles_up_to_one_second() {
        for (attempt, longest) in [(1, 25), (2, 50), (3, 100), (6, 800), (7, 1_000), (u32::MAX, 1_000)] {
            let before = Instant::now();
            assert!(Deadline::after(Duration::from_secs(29)).wait(attempt).await);
            // Tokio's clock rounds up to whole milliseconds.
            assert!(before.elapsed() <= Duration::from_millis(longest + 1), "{attempt}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_are_random() {
        let deadline = Deadline::after(Duration::from_mins(10));
        let mut pauses = Vec::new();
        for _ in 0..40 {
            let before = Instant::now();
            assert!(deadline.wait(7).await);
            pauses.push(before.elapsed());
        }
        assert!(pauses.iter().any(|pause| *pause < Duration::from_millis(500)));
        assert!(pauses.iter().any(|pause| *pause > Duration::from_millis(500)));
    }

    #[tokio::test(start_paused = true)]
    async fn without_time_for_a_retry_it_returns_at_once() {
        let before = Instant::now();
        assert!(!Deadline::after(Duration::from_millis(1_499)).wait(1).await);
        assert!(!Deadline::at(SystemTime::UNIX_EPOCH).wait(1).await);
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_of_a_given_length_has_this_length_and_is_taken_from_the_time_left() {
        let deadline = Deadline::after(Duration::from_secs(29));
        for (pause, left) in [(8_000, 21_000), (22, 20_978)] {
            deadline.pause(Duration::from_millis(pause)).await;
            assert_eq!(deadline.remaining(), Duration::from_millis(left));
        }
        assert_eq!(Deadline::at(SystemTime::UNIX_EPOCH).remaining(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_of_no_length_waits_for_no_timer() {
        // Between two ticks of the timer, which has a resolution of a millisecond.
        tokio::time::advance(Duration::from_micros(300)).await;
        let before = Instant::now();
        Deadline::after(Duration::from_secs(29)).pause(Duration::ZERO).await;
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn retries_end_before_the_margin() {
        let deadline = Deadline::after(Duration::from_secs(15));
        let mut attempt = 1;
        while deadline.wait(attempt).await {
            attempt += 1;
        }
        assert!(deadline.remaining() + Duration::from_millis(2) >= MARGIN);
    }
}
