//! The rules of Pipeline Secrets, and nothing else: no AWS, no Lambda, no HTTP, no clock, no environment.
//!
//! Types come first (names, values, scopes, runs), then the pure decisions over them (who may, which secret wins, what
//! becomes of a run), then one file per use case. What a use case needs from outside stands in [`ports`]; time, new ids
//! and randomness reach it as arguments.

pub mod audit;
pub mod context;
pub mod copies;
pub mod envelope;
pub mod error;
pub mod iam;
pub mod idempotency;
pub mod identity;
pub mod ids;
mod layout;
pub mod log;
pub mod name;
mod names;
pub mod nextflow;
pub mod owner;
pub mod platform;
pub mod ports;
pub mod resolve;
pub mod role;
pub mod run;
#[cfg(feature = "schema")]
mod schema;
pub mod secret;
pub mod settings;
pub mod token;
pub mod use_cases;
pub mod value;

#[cfg(test)]
mod testing;

pub use context::Context;
pub use error::{Error, Result};
pub use jiff::Timestamp;
