//! A deployed service to test against, and what tests do with it: ask its API as somebody, and look behind it as the
//! account's operator.
//!
//! One [`Harness`] serves many tests at once: each makes a [`World`] of users and workspaces of its own. What goes wrong
//! here is a test's failure: it panics.
#![expect(clippy::missing_panics_doc, reason = "a panic is how a test fails")]

mod api;
mod aws_state;
mod harness;
pub mod memory;
pub mod rights;
mod sinks;
mod world;

pub use api::{Answer, Ask, Caller};
pub use harness::{Harness, MARK};
pub use sinks::{Sink, forms};
pub use world::{Person, World};
