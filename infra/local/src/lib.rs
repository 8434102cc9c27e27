//! The local stack: the production template `infra/template.yaml`, deployed to an AWS emulator on
//! loopback, with IAM enforced.
//!
//! The commands (`cargo local up | down | status`) keep one stack per checkout in `.local/stack`.
//! Tests can start any number of stacks, each in a separate folder and on free ports:
//!
//! ```no_run
//! # async fn example(folder: std::path::PathBuf) -> local::Result<()> {
//! use local::{EmulatorOptions, Progress, Stack, Tools};
//!
//! let tools = Tools::ready(Progress::Quiet).await?;
//! let options = EmulatorOptions::for_test(folder, "pipeline-secrets");
//! let stack = Stack::start(&tools, &options, &Default::default()).await?;
//! println!("{}", stack.api_endpoint);
//! # Ok(())
//! # }
//! ```

mod api;
mod batch;
mod bootstrap;
mod checkout;
pub mod commands;
mod demo;
mod describe;
mod emulator;
mod error;
mod functions;
mod install;
mod job;
pub mod platform;
mod program;
mod progress;
mod stack;

pub use api::{Caller, HttpResponse};
pub use batch::JobStatus;
pub use bootstrap::{Example, ExampleUser, bootstrap};
pub use checkout::Checkout;
pub use demo::{Findings, demo};
pub use emulator::{Addresses, Emulator, EmulatorOptions, Lifetime, Saved};
pub use error::{Error, Result};
pub use functions::Packages;
pub use install::Installation;
pub use job::Job;
pub use progress::Progress;
pub use stack::{ACCOUNT, Credentials, Deployed, REGION, Stack, Tools};
