//! The proof that nothing is lost, left or leaked (`docs/reliability.md`): real use cases over the real adapters and the
//! real SDK, AWS in process behind them, and a fault at every call.
#![allow(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "a test's code panics where a test must fail"
)]

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
