//! `cargo local up`, `down` and `status`: one stack per checkout, in `.local/stack`.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bootstrap::{Example, bootstrap};
use crate::describe::{ago, describe_fallback, describe_saved, describe_stopped};
use crate::emulator::{Addresses, Emulator, EmulatorOptions, Lifetime, is_free, snapshot_time};
use crate::{Caller, Checkout, Error, Progress, Result, Stack, Tools};

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
    up_in(&tools, &folder, options, progress, out).await.map(drop)
}

/// Starts or updates the local stack of a folder, and prints how to use it.
pub async fn up_in(
    tools: &Tools,
    folder: &Path,
    options: &Up,
    progress: Progress,
    out: &mut impl Write,
) -> Result<Stack> {
    let (emulator, was_running) = match Emulator::find(folder).await {
        Some(running) => (check_ports(running, options)?, true),
        None => (start(tools, folder, options, progress).await?, false),
    };
    if !was_running && let Some(damage) = emulator.saved().await?.and_then(|saved| saved.fallback) {
        print(out, &describe_fallback(&damage, folder))?;
    }
    write_private(&folder.join("addresses.json"), emulator.addresses())?;
    progress.step("Deploying infra/template.yaml …");
    let mut parameters = BTreeMap::from([(SWEEP.0.to_owned(), SWEEP.1.to_owned())]);
    parameters.extend(options.parameters.clone());
    let stack = Stack::on(tools, emulator, DEPLOYMENT, &parameters).await?;
    let example = example(&stack, folder, was_running, progress).await?;
    explain(&stack, &example, &tools.installation.aws(), out)?;
    Ok(stack)
}

/// Stops the local stack. With `purge`, also deletes its data.
pub async fn down(purge: bool, out: &mut impl Write) -> Result<()> {
    let folder = stack_folder(&Checkout::find()?)?;
    let line = match Emulator::find(&folder).await {
        Some(emulator) => {
            if !purge {
                emulator.save().await?; // a stop saves too, but cannot report a failure
            }
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

/// Prints whether the local stack is running, its addresses, and when its data was saved.
pub async fn status(out: &mut impl Write) -> Result<()> {
    status_of(&stack_folder(&Checkout::find()?)?, out).await
}

/// Prints whether the local stack of a folder is running, its addresses, and when its data was
/// saved.
pub async fn status_of(folder: &Path, out: &mut impl Write) -> Result<()> {
    let Some(emulator) = Emulator::find(folder).await else {
        return print(out, &describe_stopped(folder));
    };
    let addresses = emulator.addresses();
    print(out, "The local stack is running.\n")?;
    print(out, &format!("  API           {}", addresses.api_endpoint))?;
    print(out, &format!("  AWS endpoint  {}", addresses.aws_endpoint))?;
    print(out, &format!("  Process       {}", addresses.pid))?;
    print(out, &format!("  Data          {} (not encrypted: do not store real secrets)", folder.display()))?;
    if let Some(saved) = emulator.saved().await? {
        print(out, &format!("  Saved         {}", describe_saved(&saved)))?;
    }
    Ok(())
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
    let saved = snapshot_time(folder).filter(|_| Emulator::was_killed(folder));
    progress.step(&match saved {
        Some(saved) => {
            format!("Starting the AWS emulator, which was killed, with its data of {} …", ago(saved))
        }
        None => "Starting the AWS emulator …".to_owned(),
    });
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

async fn example(stack: &Stack, folder: &Path, was_running: bool, progress: Progress) -> Result<Example> {
    let path = folder.join("example.json");
    if let Some(existing) = read(&path)
        && stack.deployed.status != "created"
        && (was_running || is_known(stack, &existing).await?)
    {
        if !was_running || stack.deployed.status != "unchanged" {
            stack.save().await?;
        }
        return Ok(existing);
    }
    progress.step("Creating the example organization …");
    let created = bootstrap(stack).await?;
    stack.save().await?; // before the file: its tokens must work after a kill
    write_private(&path, &created)?;
    Ok(created)
}

/// Whether the data has the example's tokens. A snapshot can be older than the tokens.
async fn is_known(stack: &Stack, example: &Example) -> Result<bool> {
    let path = format!("/pipeline-secrets?workspaceId={}", example.workspace_id);
    let token = example.users.first().map(|user| user.token.as_str()).unwrap_or_default();
    let answer = Caller::new(&stack.api_endpoint, token).call(Method::GET, &path, None).await?;
    Ok(answer.status.is_success())
}

fn explain(stack: &Stack, example: &Example, aws: &Path, out: &mut impl Write) -> Result<()> {
    let api = &stack.api_endpoint;
    let workspace = example.workspace_id;
    let console = match stack.output("ConsoleFunction") {
        Ok(_) => format!("  Console       {api}/console (sign in with a token)\n"),
        Err(_) => String::new(),
    };
    print(
        out,
        &format!(
            "\nThe local stack is running. Do not store real secrets in it: its data is not encrypted.\n\n  API           {api}\n{console}  AWS endpoint  {}\n  Workspace     {workspace}\n\n  # Access tokens of the example users, with their roles in the workspace.",
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
