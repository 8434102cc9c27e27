//! What tests of several crates share: [`Table`], a DynamoDB table in memory behind the real SDK; and [`Faults`], an
//! HTTP client that writes down every call to AWS and fails the chosen ones, before or after they took effect.

mod faults;
mod table;

pub use faults::{Call, Fault, Faults};
pub use table::Table;
