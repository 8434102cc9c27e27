//! The emulator's process: started on loopback, found by later commands, and stopped so that it
//! saves its last changes.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};

use crate::checkout::make_private_folder;
use crate::{Checkout, Error, Installation, Result};

/// A start takes half a second, longer on a busy machine.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// The emulator saves its state before it stops.
const STOP_TIMEOUT: Duration = Duration::from_mins(1);
/// The delay between two checks of whether the emulator has started or stopped.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How long an emulator runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lifetime {
    /// Until it is stopped, even after this program ends. The state is kept, and saved within two
    /// seconds of a change.
    Detached,
    /// As long as its [`Emulator`] exists. The state is kept for the next emulator in the same
    /// folder, and saved within two seconds of a change.
    Bound,
    /// As long as its [`Emulator`] exists. The state is not kept.
    Passing,
}

/// The options of an emulator.
#[derive(Clone, Debug)]
pub struct EmulatorOptions {
    /// The folder of its state, log and addresses. It is created with mode 0700, because the state
    /// contains unencrypted values.
    pub folder: PathBuf,
    /// The stack whose HTTP API has a separate port.
    pub deployment: String,
    /// The port of the AWS endpoint. 0: any free port.
    pub aws_port: u16,
    /// The port of the HTTP API. 0: any free port.
    pub api_port: u16,
    /// How long it runs.
    pub lifetime: Lifetime,
}

impl EmulatorOptions {
    /// The options of a test's emulator: any free ports, and a state that is not kept.
    #[must_use]
    pub fn for_test(folder: impl Into<PathBuf>, deployment: &str) -> Self {
        let deployment = deployment.to_owned();
        Self { folder: folder.into(), deployment, aws_port: 0, api_port: 0, lifetime: Lifetime::Passing }
    }
}

/// The addresses of a running emulator, which it writes itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Addresses {
    /// The process id.
    pub pid: u32,
    /// The URL for AWS SDKs and the AWS CLI, without a trailing slash.
    pub aws_endpoint: String,
    /// The URL of the deployed HTTP API, without a trailing slash.
    pub api_endpoint: String,
}

/// What an emulator has saved of its state.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Saved {
    /// The time of the newest snapshot, in seconds since 1970.
    pub saved_at: Option<f64>,
    /// Whether calls were answered since then. They are saved within two seconds.
    pub unsaved_changes: bool,
    /// Why the last save failed. A failure leaves the earlier snapshot.
    pub error: Option<String>,
    /// The duration of the last save in seconds.
    pub took: Option<f64>,
    /// What was wrong with the newest snapshot, if the emulator started from the one before it.
    pub fallback: Option<String>,
}

/// A running emulator.
#[derive(Debug)]
pub struct Emulator {
    folder: PathBuf,
    addresses: Addresses,
    child: Option<Child>,
}

impl Emulator {
    /// Finds the emulator of this folder, if it is running.
    pub async fn find(folder: &Path) -> Option<Self> {
        let addresses = read_addresses(folder)?;
        let status = status(&addresses).await.ok()?;
        (status["pid"] == addresses.pid).then(|| Self { folder: folder.to_owned(), addresses, child: None })
    }

    /// Whether the last emulator of this folder ended without a stop. None may be running.
    pub(crate) fn was_killed(folder: &Path) -> bool {
        ready_file(folder).exists()
    }

    /// What the emulator has saved. `None`: its state is not kept.
    pub async fn saved(&self) -> Result<Option<Saved>> {
        let status = status(&self.addresses).await.map_err(|error| emulator_error(&self.folder, &error))?;
        serde_json::from_value(status["saved"].clone()).map_err(|error| emulator_error(&self.folder, &error))
    }

    /// Starts an emulator and waits until it answers.
    pub async fn start(
        checkout: &Checkout,
        installation: &Installation,
        options: &EmulatorOptions,
    ) -> Result<Self> {
        Self::start_behind(checkout, installation, options, None).await
    }

    /// Starts an emulator whose functions reach AWS at another address, such as that of a proxy in
    /// front of the emulator.
    pub async fn start_behind(
        checkout: &Checkout,
        installation: &Installation,
        options: &EmulatorOptions,
        functions_endpoint: Option<&str>,
    ) -> Result<Self> {
        make_private_folder(&options.folder)?;
        for port in [options.aws_port, options.api_port] {
            check_port(port)?;
        }
        let stale = ready_file(&options.folder);
        if stale.exists() {
            std::fs::remove_file(&stale).map_err(Error::file(&stale))?;
        }
        let log = open_log(&options.folder)?;
        let mut command = command(checkout, installation, options, log)?;
        if let Some(endpoint) = functions_endpoint {
            command.args(["--functions-endpoint", endpoint]);
        }
        let mut child = command.spawn().map_err(|error| emulator_error(&options.folder, &error))?;
        let addresses = wait_until_ready(&mut child, &options.folder).await?;
        Ok(Self { folder: options.folder.clone(), addresses, child: Some(child) })
    }

    /// The addresses of the emulator.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Saves the state now.
    pub async fn save(&self) -> Result<()> {
        let url = format!("{}/_local/save", self.addresses.aws_endpoint);
        let answer = client().post(url).send().await.map_err(|error| emulator_error(&self.folder, &error))?;
        if answer.status().is_success() {
            return Ok(());
        }
        let content: serde_json::Value = answer.json().await.unwrap_or_default();
        Err(emulator_error(&self.folder, &content["message"].as_str().unwrap_or("the state was not saved")))
    }

    /// Stops the emulator and waits until its state is saved.
    pub async fn stop(mut self) -> Result<()> {
        let url = format!("{}/_local/stop", self.addresses.aws_endpoint);
        let sent = client().post(url).send().await;
        sent.map_err(|error| emulator_error(&self.folder, &error))?;
        let ready = ready_file(&self.folder);
        let started = Instant::now();
        while ready.exists() {
            if started.elapsed() > STOP_TIMEOUT {
                return Err(emulator_error(
                    &self.folder,
                    &format!(
                        "process {} did not stop within {} seconds",
                        self.addresses.pid,
                        STOP_TIMEOUT.as_secs()
                    ),
                ));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        if let Some(child) = &mut self.child {
            let ended = child.wait().await;
            ended.map_err(|error| emulator_error(&self.folder, &error))?;
        }
        Ok(())
    }
}

async fn status(addresses: &Addresses) -> reqwest::Result<serde_json::Value> {
    client().get(format!("{}/_local/status", addresses.aws_endpoint)).send().await?.json().await
}

/// The time of the newest snapshot in an emulator's folder, in seconds since 1970.
pub(crate) fn snapshot_time(folder: &Path) -> Option<f64> {
    let mut header = String::new();
    let file = File::open(folder.join("state/snapshot")).ok()?;
    BufReader::new(file).read_line(&mut header).ok()?;
    serde_json::from_str::<serde_json::Value>(&header).ok()?["savedAt"].as_f64()
}

/// An HTTP client for addresses on this machine.
pub(crate) fn client() -> reqwest::Client {
    let built = reqwest::Client::builder().no_proxy().build();
    built.unwrap_or_default()
}

/// Whether this port is free on loopback.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn check_port(port: u16) -> Result<()> {
    if port == 0 || is_free(port) {
        Ok(())
    } else {
        Err(Error::Port(format!("port {port} is already in use")))
    }
}

fn command(
    checkout: &Checkout,
    installation: &Installation,
    options: &EmulatorOptions,
    log: File,
) -> Result<Command> {
    let also_log = log.try_clone().map_err(Error::file(&options.folder))?;
    let mut command = Command::new(installation.python());
    command
        .arg("-B") // no __pycache__ in the checkout
        .arg(checkout.emulator_folder())
        .arg("--dir")
        .arg(&options.folder)
        .args(["--aws-port", &options.aws_port.to_string()])
        .args(["--api-port", &options.api_port.to_string()])
        .args(["--deployment", &options.deployment])
        .stdout(log)
        .stderr(also_log);
    match options.lifetime {
        Lifetime::Detached => command.stdin(Stdio::null()),
        Lifetime::Bound => command.arg("--stop-with-stdin").stdin(Stdio::piped()),
        Lifetime::Passing => command.args(["--stop-with-stdin", "--forget"]).stdin(Stdio::piped()),
    };
    Ok(command)
}

async fn wait_until_ready(child: &mut Child, folder: &Path) -> Result<Addresses> {
    let started = Instant::now();
    loop {
        if let Some(addresses) = read_addresses(folder) {
            return Ok(addresses);
        }
        let ended = child.try_wait();
        if let Some(status) = ended.map_err(|error| emulator_error(folder, &error))? {
            let log = std::fs::read_to_string(log_file(folder)).unwrap_or_default();
            let last = log.lines().rev().find(|line| !line.trim().is_empty());
            let reason = last.map_or_else(|| status.to_string(), str::to_owned);
            return Err(emulator_error(folder, &reason));
        }
        if started.elapsed() > START_TIMEOUT {
            return Err(emulator_error(
                folder,
                &format!("it did not start within {} seconds", START_TIMEOUT.as_secs()),
            ));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

fn read_addresses(folder: &Path) -> Option<Addresses> {
    let content = std::fs::read(ready_file(folder)).ok()?;
    serde_json::from_slice(&content).ok()
}

fn open_log(folder: &Path) -> Result<File> {
    let path = log_file(folder);
    OpenOptions::new().create(true).write(true).truncate(true).open(&path).map_err(Error::file(path))
}

fn emulator_error(folder: &Path, reason: &dyn Display) -> Error {
    Error::Emulator { reason: reason.to_string(), log: log_file(folder) }
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("emulator.log")
}

fn ready_file(folder: &Path) -> PathBuf {
    folder.join("emulator.json")
}
