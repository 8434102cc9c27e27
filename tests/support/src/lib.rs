//! Shared test support: AWS in memory, as far as the functions use it, and an OpenID Connect
//! issuer. With the feature `sdk`, the real SDK reaches these services through one HTTP client
//! ([`sdk_config`]), and a [`Table`] records and fails calls.
#![allow(clippy::missing_panics_doc, clippy::must_use_candidate, reason = "test code panics to fail a test")]

#[cfg(feature = "sdk")]
mod client;
#[cfg(feature = "sdk")]
mod faults;
#[cfg(feature = "sdk")]
pub mod oidc;
mod services;
#[cfg(feature = "sdk")]
mod table;

#[cfg(feature = "sdk")]
pub use client::{Backend, Call, Lost, REGION, sdk_config};
#[cfg(feature = "sdk")]
pub use faults::{Fault, Faults};
pub use services::{
    Answer, Database, Elsewhere, Job, Limit, Notice, QUEUE, Services, StoredSecret, TABLE, Target, in_xml,
    is_session, refusal,
};
#[cfg(feature = "sdk")]
pub use table::Table;
