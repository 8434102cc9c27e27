//! Quotas of AWS.

use tokio::time::Instant;

/// A rate limit: a token bucket that holds one second's calls and refills, like AWS's throttling.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Limit {
    /// Allows this number of calls per second, all of which can come at once.
    #[must_use]
    pub fn per_second(calls: u32) -> Self {
        Self { per_second: calls.into(), left: calls.into(), at: Instant::now() }
    }

    /// Counts a call and returns whether it is allowed.
    pub fn allows(&mut self) -> bool {
        let filled = self.left + self.at.elapsed().as_secs_f64() * self.per_second;
        (self.left, self.at) = (filled.min(self.per_second), Instant::now());
        let allows = self.left >= 1.0;
        self.left -= if allows { 1.0 } else { 0.0 };
        allows
    }
}
