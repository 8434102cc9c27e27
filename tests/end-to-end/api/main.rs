//! Tests of the deployed API. Every test creates separate users and workspaces on one shared stack.

mod bad_input;
mod canary;
mod guide;
mod head_jobs;
mod imports;
mod isolation;
mod leaks;
mod matrix;
mod nextflow;
mod replay;
mod routes;
mod secrets;
mod service_and_users;
mod terraform;
mod tower_cli;
mod trial;

use std::process::ExitCode;

fn main() -> ExitCode {
    let tests = [
        matrix::trials(),
        routes::trials(),
        secrets::trials(),
        bad_input::trials(),
        canary::trials(),
        isolation::trials(),
        service_and_users::trials(),
        replay::trials(),
        imports::trials(),
        guide::trials(),
        tower_cli::trials(),
        terraform::trials(),
        nextflow::trials(),
        head_jobs::trials(),
    ];
    trial::run(tests.into(), leaks::trials())
}
