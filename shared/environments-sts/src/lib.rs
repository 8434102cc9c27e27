//! Sessions of the roles of compute environments: `AssumeRole` with one duty.
//!
//! Nothing is cached. Each request assumes the role once and drops the session with its answer, so
//! that no credentials of another account outlive a request.

mod assume_role;
mod check;
mod duties;
mod probe;

pub use assume_role::RoleAssumer;
pub use check::Checks;
pub use duties::{Deliveries, Observations, Removals};
