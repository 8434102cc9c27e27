//! What every use case is given beside its ports.

use jiff::Timestamp;

use crate::ports::{Backoff, Randomness};
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
