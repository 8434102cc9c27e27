//! Tests of the authorizer with the real store.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod harness;

mod oidc;
mod tokens;
