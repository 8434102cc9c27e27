//! Tests of the template. A stack is deployed for each group of tests.
#![allow(clippy::missing_errors_doc, reason = "an error fails the test")]

mod alarms;
mod attacks;
mod forbidden;
mod needed;
mod recipe;
mod requirements;
mod restored;
mod trust;
