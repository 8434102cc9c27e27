//! A deployed service for tests, with clients for its API and read access to the AWS account behind
//! it.
//!
//! One [`Harness`] serves many concurrent tests. Each test creates a separate [`World`] of users
//! and workspaces. Every error here panics and fails the test.
#![expect(clippy::missing_panics_doc, reason = "a panic is how a test fails")]

mod api;
mod aws_state;
mod harness;
pub mod memory;
pub mod rights;
mod sinks;
mod world;

pub use api::{Answer, ApiRequest, Caller};
pub use harness::{Harness, MARK};
pub use sinks::{Sink, encodings};
pub use world::{Person, World};
