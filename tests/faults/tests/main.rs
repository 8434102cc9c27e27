//! The fast part of the proof, with AWS in process.

mod enumeration;
mod events;
mod limits;
mod regressions;
mod single;
mod storm;
