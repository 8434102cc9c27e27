//! Quotas of AWS.

use tokio::time::Instant;

/// How often an operation may be called: a bucket that holds a second's calls and fills up again, as AWS's do.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Limit {
    /// So many calls a second, a second's calls at once.
    #[must_use]
    pub fn per_second(calls: u32) -> Self {
        Self { per_second: calls.into(), left: calls.into(), at: Instant::now() }
    }

    /// Whether one more call is let through.
    pub fn allows(&mut self) -> bool {
        let filled = self.left + self.at.elapsed().as_secs_f64() * self.per_second;
        (self.left, self.at) = (filled.min(self.per_second), Instant::now());
        let allows = self.left >= 1.0;
        self.left -= if allows { 1.0 } else { 0.0 };
        allows
    }
}
