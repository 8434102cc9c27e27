//! The environment of every function's handler: configuration, log, AWS clients, deadline, metrics.
//!
//! Functions of the HTTP API call [`serve_http`] in `main`; the others call [`run`].

mod clients;
pub mod config;
mod deadline;
mod entry;
mod http;
mod invocation;
mod log;
mod memory;
pub mod metrics;
mod randomness;

pub use aws_types::SdkConfig;
pub use clients::Clients;
pub use deadline::Deadline;
pub use entry::{run, warm_up};
pub use http::{Service, serve_http};
pub use invocation::{Failed, Invocation, Outcome};
pub use metrics::{Metric, Metrics};
pub use randomness::SystemRandomness;
