//! What tests of several crates share. AWS in memory: the services, as far as the functions use them, and with the
//! feature `sdk` one HTTP client behind which the real SDK finds them, its calls recorded and failed. And an OpenID Connect issuer.
#![allow(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "a test's code panics where a test must fail"
)]

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
pub use services::{Answer, Database, Job, Limit, Made, Notice, QUEUE, Services, TABLE, Target, refusal};
#[cfg(feature = "sdk")]
pub use table::Table;
