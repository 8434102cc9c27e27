//! What the template promises. A stack is deployed for each group of tests.
#![allow(clippy::missing_errors_doc, reason = "every error of a test is its failure")]

mod alarms;
mod attacks;
mod demands;
mod forbidden;
mod needed;
mod recipe;
mod restored;
mod trust;
