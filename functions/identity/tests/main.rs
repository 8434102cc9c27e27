//! Tests of the function with the real store.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod deletions;
mod harness;

mod apply;
mod environments;
mod expiry;
mod http;
mod reconcile;
mod roles;
mod walk;
