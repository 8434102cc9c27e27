//! `cargo local`: builds the local stack and the functions in one build, then runs `local`.
//!
//! Cargo chooses the features of shared dependencies per selection of packages:
//! `cargo run --package local` followed by a build of the functions would compile the AWS SDK
//! twice. This crate has no dependencies, so that cargo builds nothing else first.

use std::io::{Error, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// Commands that use an existing build: the stack of a checkout that does not compile can still be
/// stopped.
const WITHOUT_BUILD: [&str; 2] = ["down", "status"];

fn main() -> ExitCode {
    let Err(error) = start();
    let _ = writeln!(std::io::stderr(), "error: {error}");
    ExitCode::FAILURE
}

fn start() -> Result<std::convert::Infallible, Error> {
    let program = std::env::current_exe()?.with_file_name("local"); // cargo puts both in one folder
    let command = std::env::args().nth(1).unwrap_or_default();
    if !(WITHOUT_BUILD.contains(&command.as_str()) && program.exists()) {
        build()?;
    }
    Err(Command::new(program).args(std::env::args_os().skip(1)).exec())
}

fn build() -> Result<(), Error> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // cargo finds the checkout from the current folder. The path that this program was built in can
    // be that of another checkout, of which this one is a copy with its `target/`.
    let built = Command::new(cargo).args(["build", "--workspace", "--bins"]).status()?;
    if built.success() { Ok(()) } else { Err(Error::other("the build failed: see the messages above")) }
}
