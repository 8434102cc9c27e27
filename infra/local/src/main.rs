//! `cargo local`: the commands of the local stack.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use local::{Progress, commands};

/// Runs the whole service on this machine, on an AWS emulator.
#[derive(Parser)]
#[command(name = "cargo local", bin_name = "cargo local")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts or updates the local stack, and prints how to use it.
    Up {
        /// Port of the API [default: the previous port if it is free, otherwise any free port].
        #[arg(long)]
        port: Option<u16>,
        /// Port of the AWS endpoint [default: the previous port if it is free, otherwise any free
        /// port].
        #[arg(long)]
        aws_port: Option<u16>,
        /// Parameter of infra/template.yaml; can be repeated.
        #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
        parameters: Vec<(String, String)>,
    },
    /// Runs the service end to end on a temporary stack, and checks each step.
    Demo {
        /// Prints only the findings, as one JSON object on one line.
        #[arg(long)]
        json: bool,
    },
    /// Stops the local stack and keeps its data.
    Down {
        /// Also deletes its data.
        #[arg(long)]
        purge: bool,
    },
    /// Shows whether the local stack is running, and its addresses.
    Status,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut out = std::io::stdout();
    let result = match Arguments::parse().command {
        Command::Up { port, aws_port, parameters } => {
            let options = commands::Up { port, aws_port, parameters: parameters.into_iter().collect() };
            commands::up(&options, Progress::Shown, &mut out).await
        }
        Command::Demo { json } => Box::pin(local::demo(json, &mut out)).await,
        Command::Down { purge } => commands::down(purge, &mut out).await,
        Command::Status => commands::status(&mut out).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("the parameter must have the form NAME=VALUE".to_owned()),
    }
}
