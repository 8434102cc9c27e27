//! Compute environments and their credentials, in the partition of their workspace, and the list of
//! all environments.

mod change;
mod read;
pub(crate) mod row;
