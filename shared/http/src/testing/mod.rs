//! What the tests of this crate share.

pub(crate) mod event;
pub(crate) mod form;
pub(crate) mod sample;
