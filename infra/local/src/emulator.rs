//! The emulator's process: started on loopback, found again by a later command, stopped so that it writes its state.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};

use crate::checkout::make_private_folder;
use crate::{Checkout, Error, Installation, Result};

/// It takes half a second; a loaded machine more.
const LONGEST_START: Duration = Duration::from_mins(1);
/// It writes its state meanwhile.
const LONGEST_STOP: Duration = Duration::from_mins(1);
/// Between two looks at whether it is there, or gone.
const PAUSE: Duration = Duration::from_millis(20);

/// How long an emulator lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lifetime {
    /// Until it is stopped, beyond this program; the state is kept.
    Detached,
    /// As long as the value that stands for it; the state is kept for the next one in the same folder.
    Bound,
    /// As long as the value that stands for it; nothing is kept.
    Passing,
}

/// How an emulator is started.
#[derive(Clone, Debug)]
pub struct EmulatorOptions {
    /// Where its state, log and addresses are; made with mode 0700, for the state holds values in clear.
    pub folder: PathBuf,
    /// The stack whose HTTP API gets a port of its own.
    pub deployment: String,
    /// Port of the AWS endpoint; 0 = a free one.
    pub aws_port: u16,
    /// Port of the HTTP API; 0 = a free one.
    pub api_port: u16,
    /// When it ends.
    pub lifetime: Lifetime,
}

/// Where a running emulator is, as it says itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Addresses {
    /// Its process.
    pub pid: u32,
    /// For AWS SDKs and the AWS CLI, without a slash at its end.
    pub aws_endpoint: String,
    /// The deployed HTTP API, without a slash at its end.
    pub api_endpoint: String,
}

/// A running emulator.
#[derive(Debug)]
pub struct Emulator {
    folder: PathBuf,
    addresses: Addresses,
    child: Option<Child>,
}

impl Emulator {
    /// The emulator of this folder, if it runs.
    pub async fn find(folder: &Path) -> Option<Self> {
        let addresses = read_addresses(folder)?;
        let url = format!("{}/_local/status", addresses.aws_endpoint);
        let answer = client().get(url).send().await.ok()?;
        let status: serde_json::Value = answer.json().await.ok()?;
        (status["pid"] == addresses.pid).then(|| Self { folder: folder.to_owned(), addresses, child: None })
    }

    /// Starts one and waits until it answers.
    pub async fn start(
        checkout: &Checkout,
        installation: &Installation,
        options: &EmulatorOptions,
    ) -> Result<Self> {
        Self::start_behind(checkout, installation, options, None).await
    }

    /// The same, its functions finding AWS at another address: that of something in front of it.
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

    /// Where it is.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Stops it and waits until its state is written.
    pub async fn stop(mut self) -> Result<()> {
        let url = format!("{}/_local/stop", self.addresses.aws_endpoint);
        let asked = client().post(url).send().await;
        asked.map_err(|error| emulator_error(&self.folder, &error))?;
        let ready = ready_file(&self.folder);
        let begun = Instant::now();
        while ready.exists() {
            if begun.elapsed() > LONGEST_STOP {
                return Err(emulator_error(
                    &self.folder,
                    &format!("process {} was told to stop and did not", self.addresses.pid),
                ));
            }
            tokio::time::sleep(PAUSE).await;
        }
        if let Some(child) = &mut self.child {
            let ended = child.wait().await;
            ended.map_err(|error| emulator_error(&self.folder, &error))?;
        }
        Ok(())
    }
}

/// An HTTP client for addresses on this machine.
pub(crate) fn client() -> reqwest::Client {
    let built = reqwest::Client::builder().no_proxy().build();
    built.unwrap_or_default()
}

/// Whether nobody listens on this port of loopback.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn check_port(port: u16) -> Result<()> {
    if port == 0 || is_free(port) { Ok(()) } else { Err(Error::Port(format!("port {port} is in use"))) }
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
    let begun = Instant::now();
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
        if begun.elapsed() > LONGEST_START {
            return Err(emulator_error(folder, &"it does not answer"));
        }
        tokio::time::sleep(PAUSE).await;
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
