//! `cargo local`: the local stack's commands.

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
    /// Starts it, or brings it up to date, and prints how to use it.
    Up {
        /// Port of the API; otherwise that of last time, or a free one.
        #[arg(long)]
        port: Option<u16>,
        /// Port of the AWS endpoint; otherwise that of last time, or a free one.
        #[arg(long)]
        aws_port: Option<u16>,
        /// A parameter of infra/template.yaml, as NAME=VALUE; can be repeated.
        #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
        parameters: Vec<(String, String)>,
    },
    /// Plays the main job from end to end on a fresh stack of its own, and checks each step.
    Demo {
        /// Prints what it found as one JSON object on one line, and nothing else.
        #[arg(long)]
        json: bool,
    },
    /// Stops it; its data is kept.
    Down {
        /// Removes its data as well.
        #[arg(long)]
        purge: bool,
    },
    /// Says what runs, and where.
    Status,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut out = std::io::stdout();
    let done = match Arguments::parse().command {
        Command::Up { port, aws_port, parameters } => {
            let order = commands::Up { port, aws_port, parameters: parameters.into_iter().collect() };
            commands::up(&order, Progress::Shown, &mut out).await
        }
        Command::Demo { json } => Box::pin(local::demo(json, &mut out)).await,
        Command::Down { purge } => commands::down(purge, &mut out).await,
        Command::Status => commands::status(&mut out).await,
    };
    match done {
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
        None => Err("must be NAME=VALUE".to_owned()),
    }
}
