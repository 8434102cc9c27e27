//! What every function does around its handler: configuration, log, AWS clients, the clock of an invocation, metrics.
//!
//! A function's `main` is
//!
//! ```no_run
//! use runtime::config::{self, Table};
//! use runtime::{Clients, Failed, Invocation};
//!
//! fn main() -> std::process::ExitCode {
//!     runtime::run(async |clients: &Clients| {
//!         let (table, settings) = config::load::<(Table, domain::settings::Settings)>(config::process)?;
//!         // Here: adapters from `clients`, and `runtime::warm_up` for each of them.
//!         Ok(async move |invocation: Invocation| {
//!             let _ = (&table.name, &settings.deployment, invocation.payload());
//!             Err::<Box<serde_json::value::RawValue>, _>(Failed::new("not-there-yet"))
//!         })
//!     })
//! }
//! ```

mod clients;
pub mod config;
mod deadline;
mod entry;
mod invocation;
pub mod log;
mod memory;
pub mod metrics;
mod randomness;

pub use clients::Clients;
pub use deadline::Deadline;
pub use entry::{run, warm_up};
pub use invocation::{Failed, Invocation, Outcome};
pub use metrics::{Metric, Metrics};
pub use randomness::SystemRandomness;
