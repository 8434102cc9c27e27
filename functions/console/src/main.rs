//! Wiring of the `console` function.

use std::process::ExitCode;

use console::Console;
use runtime::{Clients, Invocation};

fn main() -> ExitCode {
    runtime::run(async |_: &Clients| {
        let console = Console::new();
        Ok(async move |invocation: Invocation| Ok(console.answer(invocation.payload())))
    })
}
