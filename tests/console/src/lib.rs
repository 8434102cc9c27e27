//! The web console in a real browser: a client for Chromium's `WebDriver`, a proxy that records
//! what the browser sends and injects failures, and the actions of a user on a page.
#![expect(clippy::missing_panics_doc, reason = "a panic is how a test fails")]

mod browser;
mod page;
mod provider;
mod proxy;

pub use browser::Browser;
pub use page::Page;
pub use provider::{AUDIENCE, CLIENT, Provider};
pub use proxy::{Fault, Proxy, Sent};
