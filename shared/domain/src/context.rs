//! What every use case receives in addition to its ports.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::settings::Settings;

/// The context of one request or event.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The current time, the same throughout the request.
    pub now: Timestamp,
    /// The source of ids, tokens and nonces.
    pub randomness: &'a dyn Randomness,
    /// Waits, within the time that the function has left.
    pub backoff: &'a dyn Backoff,
    /// The settings of the deployment.
    pub settings: &'a Settings,
}

/// Randomness for ids, tokens and nonces.
pub trait Randomness {
    /// Fills the bytes from a cryptographically secure source.
    fn fill(&self, bytes: &mut [u8]);
}

/// Waits within the time that the function has left.
#[async_trait(?Send)]
pub trait Backoff {
    /// Waits before retry number `retry` (from 1), with jitter. Returns `false` immediately if
    /// there is no time for another attempt.
    async fn wait(&self, retry: u32) -> bool;

    /// Returns the time that the function has left.
    fn remaining(&self) -> Duration;

    /// Waits for exactly this time. The caller checks [`remaining`](Self::remaining) first.
    async fn pause(&self, time: Duration);
}
