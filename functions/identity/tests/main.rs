//! The function over the real store.
#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod harness;

mod apply;
mod http;
mod reconcile;
mod roles;
mod walk;
