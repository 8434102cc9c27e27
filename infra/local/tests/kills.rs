//! The local stack after `kill -9`: what was saved is there again, and a damaged snapshot is
//! reported.

use std::error::Error;
use std::future::Future;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_secretsmanager::config::{Credentials, SharedCredentialsProvider};
use local::commands::{Up, status_of, up_in};
use local::platform::{Platform, resolve};
use local::{Addresses, Caller, Emulator, EmulatorOptions, Example, Job, JobStatus, Lifetime};
use local::{Progress, REGION, Stack, Tools};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const TIMEOUT: Duration = Duration::from_mins(1);

/// A folder whose stack does not outlive the test.
struct StackFolder(tempfile::TempDir);

impl StackFolder {
    fn new() -> Outcome<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Outcome<T> {
        Ok(serde_json::from_slice(&std::fs::read(self.0.path().join(name))?)?)
    }

    async fn up(&self, tools: &Tools, options: &Up) -> Outcome<Stack> {
        Ok(up_in(tools, self.0.path(), options, Progress::Quiet, &mut Vec::new()).await?)
    }

    async fn status(&self) -> Outcome<String> {
        let mut out = Vec::new();
        status_of(self.0.path(), &mut out).await?;
        Ok(String::from_utf8(out)?)
    }

    /// Kills the emulator and the functions, which are in its process group.
    fn kill(&self) -> Outcome {
        kill(&format!("-{}", self.read::<Addresses>("emulator.json")?.pid))
    }
}

impl Drop for StackFolder {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn kill(process: &str) -> Outcome {
    let killed = Command::new("kill").args(["-9", "--", process]).status()?;
    if killed.success() { Ok(()) } else { Err(format!("kill -9 {process}: {killed}").into()) }
}

/// Repeats a check until it returns true.
async fn wait_until<F: Future<Output = Outcome<bool>>>(what: &str, check: impl Fn() -> F) -> Outcome {
    let started = Instant::now();
    while !check().await? {
        if started.elapsed() > TIMEOUT {
            return Err(format!("{what}: not within {} seconds", TIMEOUT.as_secs()).into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Launches a run and returns the response.
async fn launch(caller: &Caller, workspace: u64) -> Outcome<Value> {
    let path = format!("/launches?workspaceId={workspace}");
    Ok(caller.post(&path, &json!({"platform": "aws-batch"})).await?)
}

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_job_that_is_executed_is_killed_with_the_emulator_and_tried_again_by_the_next_one() -> Outcome {
    let tools = Tools::ready(Progress::Quiet).await?;
    let folder = StackFolder::new()?;
    let stack = folder.up(&tools, &Up::default()).await?;
    let queue = stack.create_executing_queue("tasks").await?;
    let script = r#"echo $$; [ "$AWS_BATCH_JOB_ATTEMPT" = 2 ] || sleep 1000"#;
    let command = ["sh", "-c", script];
    let job = Job { queue: &queue, command: &command, attempts: 2, ..Job::default() };
    let job = Platform::new(&stack).await.submit(&job).await?;
    wait_until("the job runs", async || Ok(!stack.job_output(&job).await?.concat().is_empty())).await?;
    let process = stack.job_output(&job).await?.concat();
    stack.save().await?;
    folder.kill()?;
    let is_gone = || Ok(!Command::new("kill").args(["-0", process.trim()]).output()?.status.success());
    wait_until("the job is killed", async || is_gone()).await?;

    let stack = folder.up(&tools, &Up::default()).await?;
    let found = stack.wait_for_job(&job, "SUCCEEDED", TIMEOUT).await?;
    assert_eq!(found["attempts"].as_array().map(Vec::len), Some(2));
    let reason = found["attempts"][0]["statusReason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("Host EC2"), "{reason}");
    stack.stop().await?;
    Ok(())
}

#[tokio::test]
async fn answered_calls_survive_a_kill_of_every_process() -> Outcome {
    let tools = Tools::ready(Progress::Quiet).await?;
    let folder = StackFolder::new()?;
    let parameters = [("LeaseSeconds".to_owned(), "1".to_owned())].into();
    let options = Up { parameters, ..Up::default() };
    let stack = folder.up(&tools, &options).await?;
    let example: Example = folder.read("example.json")?;
    let (workspace, token) = (example.workspace_id, &example.users[0].token);
    let secrets = format!("/pipeline-secrets?workspaceId={workspace}");
    let owner = Caller::new(&stack.api_endpoint, token);
    owner.post(&secrets, &json!({"name": "NCBI_API_KEY", "value": "kept"})).await?;
    let silent = launch(&owner, workspace).await?;
    let reporter = Caller::new(&stack.api_endpoint, text(&silent, "runToken"));
    reporter.post(&format!("/runs/{}/heartbeat", text(&silent, "workflowId")), &json!({})).await?;
    let with_job = launch(&owner, workspace).await?;
    let job = Platform::new(&stack).await.start_head_job(text(&with_job, "workflowId")).await?;
    let reporter = Caller::new(&stack.api_endpoint, text(&with_job, "runToken"));
    let head_job = format!("/runs/{}/head-job", text(&with_job, "workflowId"));
    reporter.put(&head_job, &Platform::head_job(&job)).await?;

    wait_until("everything is saved", async || {
        Ok(stack.saved().await?.is_some_and(|saved| !saved.unsaved_changes))
    })
    .await?;
    assert!(folder.status().await?.contains("\n  Saved         "), "{}", folder.status().await?);
    folder.kill()?;
    wait_until("the emulator has ended", async || Ok(folder.status().await?.contains("was killed"))).await?;
    assert!(folder.status().await?.contains("its data is kept, as it was "), "{}", folder.status().await?);

    let stack = folder.up(&tools, &options).await?;
    assert_eq!(stack.deployed.status, "unchanged");
    assert_eq!(&folder.read::<Example>("example.json")?.users[0].token, token);
    let owner = Caller::new(&stack.api_endpoint, token);
    assert_eq!(owner.get(&secrets).await?["pipelineSecrets"][0]["name"], "NCBI_API_KEY");
    let launched = launch(&owner, workspace).await?;
    let operator = Platform::new(&stack).await;
    let value = resolve(operator.operator(), text(&launched["batch"]["secrets"][0], "valueFrom")).await?;
    assert_eq!(value, "kept");
    stack.move_job(&job, JobStatus::Succeeded).await?;
    for (run, how) in [(&with_job, "the event of its job"), (&silent, "the sweep")] {
        let receipt = format!("/runs/{}", text(run, "workflowId"));
        wait_until(&format!("a run ends because of {how}"), async || {
            if how == "the sweep" {
                stack.invoke("cleanup-run", &json!({"source": "pipeline-secrets.sweep"})).await?;
            }
            Ok(owner.get(&receipt).await?["state"] == "ended")
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_stack_that_was_killed_during_its_first_deployment_is_deployed_again() -> Outcome {
    let tools = Tools::ready(Progress::Quiet).await?;
    let folder = StackFolder::new()?;
    let options = Up::default();
    let kill_during_deployment = async {
        wait_until("the API is created", async || {
            let Ok(addresses) = folder.read::<Addresses>("emulator.json") else { return Ok(false) };
            let status = reqwest::get(format!("{}/_local/status", addresses.aws_endpoint)).await?;
            Ok(status.json::<Value>().await?["deployments"] != json!([]))
        })
        .await?;
        folder.kill()
    };
    let (first, killed) = tokio::join!(folder.up(&tools, &options), kill_during_deployment);
    killed?;
    assert!(first.is_err());

    let stack = folder.up(&tools, &options).await?;
    assert_eq!(stack.deployed.status, "created");
    let example: Example = folder.read("example.json")?;
    launch(&Caller::new(&stack.api_endpoint, &example.users[0].token), example.workspace_id).await?;
    Ok(())
}

async fn start(tools: &Tools, folder: &Path) -> local::Result<Emulator> {
    let options = EmulatorOptions { lifetime: Lifetime::Bound, ..EmulatorOptions::for_test(folder, "none") };
    Emulator::start(&tools.checkout, &tools.installation, &options).await
}

fn secrets(emulator: &Emulator) -> aws_sdk_secretsmanager::Client {
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&emulator.addresses().aws_endpoint)
        .region(Region::new(REGION))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "test", "test", None, None, "",
        )))
        .build();
    aws_sdk_secretsmanager::Client::new(&config)
}

/// Cuts a file in half.
fn truncate(path: &Path) -> Outcome {
    let file = std::fs::OpenOptions::new().write(true).open(path)?;
    Ok(file.set_len(file.metadata()?.len() / 2)?)
}

#[tokio::test]
async fn a_damaged_snapshot_is_replaced_by_the_one_before_it_or_refused() -> Outcome {
    let tools = Tools::ready(Progress::Quiet).await?;
    let folder = tempfile::tempdir()?;
    let emulator = start(&tools, folder.path()).await?;
    for name in ["first", "second"] {
        secrets(&emulator).create_secret().name(name).secret_string("value").send().await?;
        emulator.save().await?;
    }
    kill(&emulator.addresses().pid.to_string())?;
    drop(emulator);
    let snapshot = |name: &str| folder.path().join("state").join(name);
    // A kill during a save leaves a part of the next snapshot under another name.
    std::fs::write(snapshot("snapshot.new"), "{")?;
    truncate(&snapshot("snapshot"))?;

    let emulator = start(&tools, folder.path()).await?;
    let fallback = emulator.saved().await?.and_then(|saved| saved.fallback).unwrap_or_default();
    assert!(fallback.contains("bytes are present"), "{fallback}");
    let listed = secrets(&emulator).list_secrets().send().await?;
    let names: Vec<_> = listed.secret_list().iter().filter_map(|secret| secret.name()).collect();
    assert_eq!(names, ["first"]);
    assert!(snapshot("snapshot.damaged").exists());
    emulator.stop().await?;

    for name in ["snapshot", "snapshot.previous"] {
        truncate(&snapshot(name))?;
    }
    let before = std::fs::read(snapshot("snapshot"))?;
    let refused = start(&tools, folder.path()).await.err().ok_or("it started")?.to_string();
    assert!(refused.contains("the saved state is damaged"), "{refused}");
    assert!(refused.contains("cargo local down --purge"), "{refused}");
    assert_eq!(std::fs::read(snapshot("snapshot"))?, before);
    Ok(())
}
