//! The life of a run, as a model checker and as a generator of interleavings see it.
#![allow(missing_docs, clippy::missing_panics_doc, reason = "part of two test programs")]

pub mod model;
pub mod reference;
pub mod row;
