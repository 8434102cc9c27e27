//! The proof that nothing is lost, left behind or leaked (`docs/reliability.md`): the real use
//! cases with the real adapters and SDK, AWS in process, and a fault at every call.
#![allow(clippy::missing_panics_doc, clippy::must_use_candidate, reason = "test code panics to fail a test")]

pub mod check;
pub mod figures;
pub mod gate;
pub mod ledger;
pub mod lifecycle;
pub mod operations;
pub mod plan;
pub mod runner;
pub mod sim;
pub mod storm;
pub mod story;
pub mod trial;
pub mod watch;
pub mod world;
