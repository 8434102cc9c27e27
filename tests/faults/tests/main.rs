//! The fast part of the proof, AWS in process.

mod enumeration;
mod events;
mod found;
mod limits;
mod single;
mod storm;
