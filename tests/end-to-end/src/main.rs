//! `with-stack COMMAND…`: deploys the service, runs a program against it, and stops the service.
//!
//! The program's environment has `PIPELINE_SECRETS_ENDPOINT`, `PIPELINE_SECRETS_ORG`,
//! `PIPELINE_SECRETS_WORKSPACE`, and a token for each role: `PIPELINE_SECRETS_TOKEN_OWNER`,
//! `…_ADMIN`, `…_MAINTAIN`, `…_LAUNCH`, `…_CONNECT`, `…_VIEW`, and `…_STRANGER` for a user of
//! another organization.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use end_to_end::{Harness, World};
use tokio::process::Command;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let Some(program) = words.next() else {
        let _ = writeln!(std::io::stderr(), "usage: with-stack COMMAND…");
        return ExitCode::FAILURE;
    };
    match run(program, words.collect()).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(program: OsString, arguments: Vec<OsString>) -> Result<u8, Box<dyn std::error::Error>> {
    let harness = Arc::new(Harness::start(&[("DeletionProtection", "false")]).await?);
    let world = World::make(harness.clone()).await;
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    command.env("PIPELINE_SECRETS_ENDPOINT", &harness.stack.api_endpoint);
    command.env("PIPELINE_SECRETS_ORG", world.org.to_string());
    command.env("PIPELINE_SECRETS_WORKSPACE", world.workspace.to_string());
    for role in ["owner", "admin", "maintain", "launch", "connect", "view", "stranger"] {
        let name = format!("PIPELINE_SECRETS_TOKEN_{}", role.to_ascii_uppercase());
        command.env(name, &world.person(role).token);
    }
    let status = command.status().await;
    drop(world);
    if let Some(harness) = Arc::into_inner(harness) {
        harness.stop().await?;
    }
    Ok(status?.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
