//! What every use case is given beside its ports.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::settings::Settings;

/// The circumstances of one request or event.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The time at which everything in it happens.
    pub now: Timestamp,
    /// For ids, tokens and nonces.
    pub randomness: &'a dyn Randomness,
    /// Waits before a retry, as long as the function has time.
    pub backoff: &'a dyn Backoff,
    /// The deployment's choices.
    pub settings: &'a Settings,
}

/// Randomness for ids, tokens and nonces.
pub trait Randomness {
    /// Fills the bytes from a cryptographically secure source.
    fn fill(&self, bytes: &mut [u8]);
}

/// Waiting before a retry, within the time that the function has left.
#[async_trait(?Send)]
pub trait Backoff {
    /// Waits before retry number `retry` (from 1), with jitter. `false`, at once, if no time is left for another
    /// attempt.
    async fn wait(&self, retry: u32) -> bool;

    /// Whether time is left for more work. Work that remains is left for the next event.
    fn has_time(&self) -> bool;
}
