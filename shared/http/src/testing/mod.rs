//! Shared code of the tests of this crate.

pub(crate) mod event;
pub(crate) mod form;
pub(crate) mod sample;
