//! Compares with credstash (<https://github.com/fugue/credstash>), the best known secret store over
//! DynamoDB and KMS: storing one secret, listing a hundred.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::Serialize;
use serde_json::{Value, json};

use crate::Effort;
use crate::error::{Error, Result};
use crate::fixture::{Fixture, KEY, expect, wrong};
use crate::function::Program;
use crate::install::Peers;
use crate::stats::Summary;

/// Processor time, in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Credstash {
    /// Storing one secret with its command line, as its users do: the whole process.
    pub(crate) command: Summary,
    /// Storing one with its library, in a long-lived process.
    pub(crate) put: Summary,
    /// Reading one. Our API has no such operation.
    pub(crate) get: Summary,
    /// Listing a hundred.
    pub(crate) list: Summary,
    /// Storing one with ours, from the start of the process.
    pub(crate) our_command: Summary,
    /// Storing one with ours, in a long-lived process.
    pub(crate) our_put: Summary,
    /// Listing a hundred with ours.
    pub(crate) our_list: Summary,
}

const SECRETS: usize = 100;
const VALUE: &str = "a value of some length, as licence keys have it: 0123456789abcdef";

/// Measures credstash and our functions; `None` if credstash is not installed.
pub(crate) async fn measure(fixture: &Fixture, peers: &Peers, effort: Effort) -> Result<Option<Credstash>> {
    let Some(python) = &peers.python else {
        return Ok(None);
    };
    fixture.aws.restore(&fixture.empty_workspace);
    let (status, _) = fixture.aws.with(|aws| aws.services.database.answer("CreateTable", &table()));
    if status != 200 {
        return Err(wrong("credstash", "could not create its table"));
    }
    let mut environment = fixture.environment();
    environment.push(("PYTHONPATH".to_owned(), peers.sources.join("python").into()));
    let command = ["-m", "awslambdaric", "credstash_handler.handler"].map(Into::into);
    let command = std::iter::once(python.into()).chain(command).collect();
    let mut theirs = fixture.start(&Program { name: "credstash".to_owned(), command, environment }).await?;
    let mut writer = fixture.start(&fixture.ours("write-secrets")).await?;
    let mut reader = fixture.start(&fixture.ours("read-secrets")).await?;

    let (mut put, mut get, mut list) = (Vec::new(), Vec::new(), Vec::new());
    let (mut our_put, mut our_list) = (Vec::new(), Vec::new());
    for number in 0..SECRETS {
        let name = format!("SECRET_{number}");
        let (_, spent) = theirs.invoke(&json!({ "do": "put", "name": name, "value": VALUE })).await?;
        put.push(spent.cpu);
        let (answer, spent) = writer.invoke(&fixture.create(&name, VALUE)).await?;
        expect("write-secrets", &answer, 200)?;
        our_put.push(spent.cpu);
        let (answer, spent) = theirs.invoke(&json!({ "do": "get", "name": name })).await?;
        if answer["value"] != VALUE {
            return Err(wrong("credstash", "the value it read differs from the value it stored"));
        }
        get.push(spent.cpu);
    }
    for _ in 0..effort.growth * 4 {
        let (answer, spent) = theirs.invoke(&json!({ "do": "list" })).await?;
        if answer["names"].as_array().map(Vec::len) != Some(SECRETS) {
            return Err(wrong("credstash", "a list of a hundred secrets has the wrong length"));
        }
        list.push(spent.cpu);
        let (answer, spent) = reader.invoke(&fixture.list()).await?;
        if expect("read-secrets", &answer, 200)?["totalSize"] != SECRETS {
            return Err(wrong("read-secrets", "a list of a hundred secrets has the wrong length"));
        }
        our_list.push(spent.cpu);
    }
    let (commands, ours) = commands(fixture, python, effort).await?;
    let [put, get, list, our_put, our_list] = [put, get, list, our_put, our_list].map(Summary::of_times);
    let [command, our_command] = [commands, ours].map(Summary::of_times);
    Ok(Some(Credstash { command, put, get, list, our_command, our_put, our_list }))
}

/// Stores each secret in a separate process: with credstash's command, and with our function from
/// its start.
async fn commands(
    fixture: &Fixture,
    python: &Path,
    effort: Effort,
) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for number in 0..effort.growth {
        let name = format!("COMMAND_{number}");
        let mut command = tokio::process::Command::new(python);
        command.args(["-m", "credstash", "put", "-k", KEY, &name, VALUE]).current_dir(&fixture.folder);
        command.env_clear().envs(fixture.environment()).stdin(Stdio::null());
        let before = children_cpu_time()?;
        let output = command.kill_on_drop(true).output().await.map_err(Error::machine("credstash put"))?;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
            return Err(wrong("credstash put", error));
        }
        theirs.push(children_cpu_time()?.saturating_sub(before));
        let mut writer = fixture.start(&fixture.ours("write-secrets")).await?;
        let (answer, spent) = writer.invoke(&fixture.create(&name, VALUE)).await?;
        expect("write-secrets", &answer, 200)?;
        ours.push(writer.init.cpu + spent.cpu);
    }
    Ok((theirs, ours))
}

/// Processor time of the child processes that have exited.
fn children_cpu_time() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(Error::machine("processor time of a child"))?;
    let microseconds = [usage.user_time(), usage.system_time()].map(|time| time.num_microseconds());
    Ok(microseconds.into_iter().map(|time| Duration::from_micros(time.unsigned_abs())).sum())
}

/// The table that `credstash setup` creates.
fn table() -> Value {
    json!({
        "TableName": "credential-store",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [
            { "AttributeName": "name", "KeyType": "HASH" }, { "AttributeName": "version", "KeyType": "RANGE" },
        ],
        "AttributeDefinitions": [
            { "AttributeName": "name", "AttributeType": "S" }, { "AttributeName": "version", "AttributeType": "S" },
        ],
    })
}
