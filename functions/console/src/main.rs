//! Wiring of the `console` function.

use std::process::ExitCode;

use console::{Console, Providers};
use domain::issuer::Issuers;
use runtime::{Clients, Invocation, config};

fn main() -> ExitCode {
    runtime::run(async |_: &Clients| {
        let issuers = config::load::<Issuers>(config::process)?;
        let console = Console::new(Providers::of(issuers.all()));
        Ok(async move |invocation: Invocation| Ok(console.answer(invocation.payload()).await))
    })
}
