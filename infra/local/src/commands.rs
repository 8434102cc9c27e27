//! `cargo local up`, `down` and `status`: one stack per checkout, in `.local/stack`.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bootstrap::{Example, bootstrap};
use crate::emulator::{Addresses, Emulator, EmulatorOptions, Lifetime, is_free};
use crate::{Checkout, Error, Progress, Result, Stack, Tools};

/// The name of the stack that `up` deploys.
pub const DEPLOYMENT: &str = "pipeline-secrets";
/// Runs the sweep every minute, the shortest rate of EventBridge, to avoid long waits on the local
/// stack.
const SWEEP: (&str, &str) = ("SweepSchedule", "rate(1 minute)");

/// The options of `up`.
#[derive(Clone, Default, Debug)]
pub struct Up {
    /// The port of the API. `None`: the previous port if it is free, otherwise any free port.
    pub port: Option<u16>,
    /// The port of the AWS endpoint. `None`: the previous port if it is free, otherwise any free
    /// port.
    pub aws_port: Option<u16>,
    /// Parameters of the template.
    pub parameters: BTreeMap<String, String>,
}

/// Starts or updates the local stack, and prints how to use it.
pub async fn up(options: &Up, progress: Progress, out: &mut impl Write) -> Result<()> {
    let tools = Tools::ready(progress).await?;
    let folder = stack_folder(&tools.checkout)?;
    let (emulator, was_running) = match Emulator::find(&folder).await {
        Some(running) => (check_ports(running, options)?, true),
        None => (start(&tools, &folder, options, progress).await?, false),
    };
    write_private(&folder.join("addresses.json"), emulator.addresses())?;
    progress.step("Deploying infra/template.yaml …");
    let mut parameters = BTreeMap::from([(SWEEP.0.to_owned(), SWEEP.1.to_owned())]);
    parameters.extend(options.parameters.clone());
    let stack = Stack::on(&tools, emulator, DEPLOYMENT, &parameters).await?;
    let example = example(&stack, &folder, progress).await?;
    if !was_running || stack.deployed.status != "unchanged" {
        stack.save().await?; // a later crash loses only later changes
    }
    explain(&stack, &example, &tools.installation.aws(), out)
}

/// Stops the local stack. With `purge`, also deletes its data.
pub async fn down(purge: bool, out: &mut impl Write) -> Result<()> {
    let folder = stack_folder(&Checkout::find()?)?;
    let line = match Emulator::find(&folder).await {
        Some(emulator) => {
            emulator.stop().await?;
            "Stopped the local stack."
        }
        None => "The local stack was not running.",
    };
    print(out, line)?;
    if purge && folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(Error::file(&folder))?;
        print(out, "Deleted its data.")?;
    }
    Ok(())
}

/// Prints whether the local stack is running, and its addresses.
pub async fn status(out: &mut impl Write) -> Result<()> {
    let folder = stack_folder(&Checkout::find()?)?;
    let Some(emulator) = Emulator::find(&folder).await else {
        let kept = if folder.join("state").exists() { "; its data is kept" } else { "" };
        return print(
            out,
            &format!("The local stack is not running{kept}. To start it, run: cargo local up"),
        );
    };
    let addresses = emulator.addresses();
    print(out, "The local stack is running.\n")?;
    print(out, &format!("  API           {}", addresses.api_endpoint))?;
    print(out, &format!("  AWS endpoint  {}", addresses.aws_endpoint))?;
    print(out, &format!("  Process       {}", addresses.pid))?;
    print(out, &format!("  Data          {} (not encrypted: do not store real secrets)", folder.display()))
}

fn stack_folder(checkout: &Checkout) -> Result<PathBuf> {
    Ok(checkout.local_folder()?.join("stack"))
}

fn check_ports(running: Emulator, options: &Up) -> Result<Emulator> {
    let addresses = running.addresses();
    let matches = |wanted: Option<u16>, endpoint: &str| wanted.is_none_or(|port| port_of(endpoint) == port);
    if matches(options.port, &addresses.api_endpoint) && matches(options.aws_port, &addresses.aws_endpoint) {
        return Ok(running);
    }
    Err(Error::State(format!(
        "the local stack is already running on {} and {}. To change its ports, stop it first: cargo local down",
        addresses.api_endpoint, addresses.aws_endpoint
    )))
}

async fn start(tools: &Tools, folder: &Path, up: &Up, progress: Progress) -> Result<Emulator> {
    progress.step("Starting the AWS emulator …");
    let previous: Option<Addresses> = read(&folder.join("addresses.json"));
    let previous_port = |endpoint: fn(&Addresses) -> &str| {
        let port = previous.as_ref().map_or(0, |previous| port_of(endpoint(previous)));
        if is_free(port) { port } else { 0 }
    };
    let options = EmulatorOptions {
        folder: folder.to_owned(),
        deployment: DEPLOYMENT.to_owned(),
        aws_port: up.aws_port.unwrap_or_else(|| previous_port(|it| &it.aws_endpoint)),
        api_port: up.port.unwrap_or_else(|| previous_port(|it| &it.api_endpoint)),
        lifetime: Lifetime::Detached,
    };
    Emulator::start(&tools.checkout, &tools.installation, &options).await
}

fn port_of(endpoint: &str) -> u16 {
    let port = endpoint.rsplit(':').next().and_then(|port| port.parse().ok());
    port.unwrap_or_default()
}

async fn example(stack: &Stack, folder: &Path, progress: Progress) -> Result<Example> {
    let path = folder.join("example.json");
    if stack.deployed.status != "created"
        && let Some(existing) = read(&path)
    {
        return Ok(existing);
    }
    progress.step("Creating the example organization …");
    let created = bootstrap(stack).await?;
    write_private(&path, &created)?;
    Ok(created)
}

fn explain(stack: &Stack, example: &Example, aws: &Path, out: &mut impl Write) -> Result<()> {
    let api = &stack.api_endpoint;
    let workspace = example.workspace_id;
    print(
        out,
        &format!(
            "\nThe local stack is running. Do not store real secrets in it: its data is not encrypted.\n\n  API           {api}\n  AWS endpoint  {}\n  Workspace     {workspace}\n\n  # Access tokens of the example users, with their roles in the workspace.",
            stack.aws_endpoint
        ),
    )?;
    for user in &example.users {
        print(
            out,
            &format!("  export {}={}   # {}", token_variable(&user.user_name), user.token, user.role),
        )?;
    }
    let owner = example.users.first().map(|user| token_variable(&user.user_name)).unwrap_or_default();
    print(
        out,
        &format!(
            r#"
  # Create a workspace secret, then list the workspace's secrets. No call returns a value.
  curl -sS '{api}/pipeline-secrets?workspaceId={workspace}' -H "Authorization: Bearer ${owner}" \
       -H 'Content-Type: application/json' -d '{{"name":"NCBI_API_KEY","value":"s3cret"}}'
  curl -sS '{api}/pipeline-secrets?workspaceId={workspace}' -H "Authorization: Bearer ${owner}"

  # Read the service's table with the AWS CLI.
  AWS_ENDPOINT_URL={} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1 \
       {} dynamodb scan --table-name {}

  cargo local status        # shows whether the stack is running, and its addresses
  cargo local down          # stops the stack and keeps its data
  cargo local down --purge  # stops the stack and deletes its data"#,
            stack.aws_endpoint,
            aws.display(),
            stack.output("TableName")?,
        ),
    )
}

fn token_variable(user: &str) -> String {
    format!("{}_TOKEN", user.to_uppercase())
}

fn print(out: &mut impl Write, line: &str) -> Result<()> {
    writeln!(out, "{line}").map_err(Error::file("standard output"))
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let content = std::fs::read(path).ok()?;
    serde_json::from_slice(&content).ok()
}

fn write_private(path: &Path, content: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec_pretty(content).map_err(|error| Error::State(error.to_string()))?;
    let file = std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(&text)).map_err(Error::file(path))
}
