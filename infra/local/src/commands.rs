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

/// Name of the stack that `up` deploys.
pub const DEPLOYMENT: &str = "pipeline-secrets";
/// The sweep every minute, the shortest that EventBridge offers: a local user does not want to wait.
const SWEEP: (&str, &str) = ("SweepSchedule", "rate(1 minute)");

/// What `up` was asked for.
#[derive(Clone, Default, Debug)]
pub struct Up {
    /// Port of the API; none = the one of last time, or a free one.
    pub port: Option<u16>,
    /// Port of the AWS endpoint; none = the one of last time, or a free one.
    pub aws_port: Option<u16>,
    /// Parameters of the template.
    pub parameters: BTreeMap<String, String>,
}

/// Brings the local stack up, or up to date, and says how to use it.
pub async fn up(order: &Up, progress: Progress, out: &mut impl Write) -> Result<()> {
    let tools = Tools::ready(progress).await?;
    let folder = stack_folder(&tools.checkout)?;
    let (emulator, was_running) = match Emulator::find(&folder).await {
        Some(running) => (check_ports(running, order)?, true),
        None => (start(&tools, &folder, order, progress).await?, false),
    };
    write_private(&folder.join("addresses.json"), emulator.addresses())?;
    progress.step("Deploying infra/template.yaml …");
    let mut parameters = BTreeMap::from([(SWEEP.0.to_owned(), SWEEP.1.to_owned())]);
    parameters.extend(order.parameters.clone());
    let stack = Stack::on(&tools, emulator, DEPLOYMENT, &parameters).await?;
    let example = example(&stack, &folder, progress).await?;
    if !was_running || stack.deployed.status != "unchanged" {
        stack.save().await?; // a kill or a power cut then loses only what follows
    }
    explain(&stack, &example, &tools.installation.aws(), out)
}

/// Stops the local stack; with `purge`, removes its data too.
pub async fn down(purge: bool, out: &mut impl Write) -> Result<()> {
    let folder = stack_folder(&Checkout::find()?)?;
    let line = match Emulator::find(&folder).await {
        Some(emulator) => {
            emulator.stop().await?;
            "The local stack is stopped."
        }
        None => "The local stack was not running.",
    };
    say(out, line)?;
    if purge && folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(Error::file(&folder))?;
        say(out, "Its data is removed.")?;
    }
    Ok(())
}

/// Says what runs, and where.
pub async fn status(out: &mut impl Write) -> Result<()> {
    let folder = stack_folder(&Checkout::find()?)?;
    let Some(emulator) = Emulator::find(&folder).await else {
        let kept = if folder.join("state").exists() { "; its data is kept" } else { "" };
        return say(out, &format!("The local stack does not run{kept}. Start it with: cargo local up"));
    };
    let addresses = emulator.addresses();
    say(out, &format!("API           {}", addresses.api_endpoint))?;
    say(out, &format!("AWS endpoint  {}", addresses.aws_endpoint))?;
    say(out, &format!("Process       {}", addresses.pid))?;
    say(
        out,
        &format!("Data          {} (values in clear: for trying, not for real secrets)", folder.display()),
    )
}

fn stack_folder(checkout: &Checkout) -> Result<PathBuf> {
    Ok(checkout.local_folder()?.join("stack"))
}

fn check_ports(running: Emulator, order: &Up) -> Result<Emulator> {
    let addresses = running.addresses();
    let fits = |wanted: Option<u16>, endpoint: &str| wanted.is_none_or(|port| port_of(endpoint) == port);
    if fits(order.port, &addresses.api_endpoint) && fits(order.aws_port, &addresses.aws_endpoint) {
        return Ok(running);
    }
    Err(Error::State(format!(
        "the local stack runs already, on {} and {}; stop it first: cargo local down",
        addresses.api_endpoint, addresses.aws_endpoint
    )))
}

async fn start(tools: &Tools, folder: &Path, order: &Up, progress: Progress) -> Result<Emulator> {
    progress.step("Starting the AWS emulator …");
    let last: Option<Addresses> = read(&folder.join("addresses.json"));
    let again = |endpoint: fn(&Addresses) -> &str| {
        let port = last.as_ref().map_or(0, |last| port_of(endpoint(last)));
        if is_free(port) { port } else { 0 }
    };
    let options = EmulatorOptions {
        folder: folder.to_owned(),
        deployment: DEPLOYMENT.to_owned(),
        aws_port: order.aws_port.unwrap_or_else(|| again(|last| &last.aws_endpoint)),
        api_port: order.port.unwrap_or_else(|| again(|last| &last.api_endpoint)),
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
        && let Some(known) = read(&path)
    {
        return Ok(known);
    }
    progress.step("Making an example organisation …");
    let made = bootstrap(stack).await?;
    write_private(&path, &made)?;
    Ok(made)
}

fn explain(stack: &Stack, example: &Example, aws: &Path, out: &mut impl Write) -> Result<()> {
    let api = &stack.api_endpoint;
    let workspace = example.workspace_id;
    say(
        out,
        &format!(
            "\nThe local stack is up. For trying, not for real secrets: its data is not encrypted.\n\n  API           {api}\n  AWS endpoint  {}\n  Workspace     {workspace}\n",
            stack.aws_endpoint
        ),
    )?;
    for user in &example.users {
        say(out, &format!("  export {}={}   # {}", token_variable(&user.user_name), user.token, user.role))?;
    }
    let owner = example.users.first().map(|user| token_variable(&user.user_name)).unwrap_or_default();
    say(
        out,
        &format!(
            r#"
  # A secret of the workspace, then the list; no call gives its value back.
  curl -sS {api}/pipeline-secrets?workspaceId={workspace} -H "Authorization: Bearer ${owner}" \
       -H 'Content-Type: application/json' -d '{{"name":"NCBI_API_KEY","value":"s3cret"}}'
  curl -sS {api}/pipeline-secrets?workspaceId={workspace} -H "Authorization: Bearer ${owner}"

  # What the service keeps, through the AWS CLI.
  AWS_ENDPOINT_URL={} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1 \
       {} dynamodb scan --table-name {}

  cargo local status | down | down --purge"#,
            stack.aws_endpoint,
            aws.display(),
            stack.output("TableName")?,
        ),
    )
}

fn token_variable(user: &str) -> String {
    format!("{}_TOKEN", user.to_uppercase())
}

fn say(out: &mut impl Write, line: &str) -> Result<()> {
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
