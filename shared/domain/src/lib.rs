//! The rules of Pipeline Secrets, without AWS, Lambda, HTTP, the clock or the environment.
//!
//! The modules come in three layers: types (names, values, scopes, runs); pure decisions over them
//! (authorization, resolution of secrets, the lifecycle of a run); and one file per use case.
//! [`ports`] declares what use cases need from outside. They receive time and randomness as
//! arguments.

pub mod audit;
pub mod context;
pub mod copies;
pub mod envelope;
pub mod environment;
pub mod error;
pub mod expiry;
pub mod head_job;
pub mod iam;
pub mod idempotency;
pub mod identity;
pub mod ids;
pub mod issuer;
pub mod kubernetes;
mod layout;
pub mod log;
pub mod name;
mod names;
pub mod nextflow;
mod nextflow_store;
pub mod owner;
pub mod platform;
pub mod ports;
pub mod reservation;
pub mod resolve;
pub mod role;
pub mod run;
#[cfg(feature = "schema")]
mod schema;
pub mod secret;
pub mod settings;
pub mod token;
pub mod token_scope;
pub mod unique_map;
pub mod use_cases;
pub mod value;

#[cfg(test)]
mod testing;

pub use context::Context;
pub use error::{Error, Result};
pub use jiff::Timestamp;
