//! A deployed local stack with one workspace and its owner, and read access to its rows and logs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use local::{Caller, Credentials, EmulatorOptions, Progress, Stack, Tools};
use serde_json::{Value, json};

/// A test's result with any error.
pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// A stack with one workspace and its owner.
pub struct DeployedStack {
    /// The tools that deployed it.
    pub tools: Tools,
    /// The stack.
    pub stack: Stack,
    /// The owner of the workspace.
    pub owner: Caller,
    /// The workspace.
    pub workspace: i64,
    _folder: tempfile::TempDir,
}

impl DeployedStack {
    /// Deploys a stack for one test with these parameters.
    pub async fn new(parameters: &[(&str, &str)]) -> Outcome<Self> {
        let tools = Tools::ready(Progress::Quiet).await?;
        let folder = tempfile::tempdir()?;
        let options = EmulatorOptions::for_test(folder.path(), "nextflow");
        let parameters: BTreeMap<_, _> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let stack = Stack::start(&tools, &options, &parameters).await?;
        let event = json!({"apply": {
            "users": [{"userName": "olivia", "email": "olivia@example.org", "tokens": [{"name": "test"}]}],
            "organizations": [{"name": "example", "workspaces": [{
                "name": "genomics", "fullName": "Genomics", "platforms": ["aws-batch", "slurm"],
                "participants": [{"user": "olivia", "role": "owner"}],
            }]}],
        }});
        let applied = stack.invoke("identity", &event).await?;
        let token = applied["users"][0]["tokens"][0]["accessKey"].as_str().ok_or("no token")?;
        let workspace = applied["organizations"][0]["workspaces"][0]["id"].as_i64().ok_or("no workspace")?;
        let owner = Caller::new(&stack.api_endpoint, token);
        Ok(Self { tools, stack, owner, workspace, _folder: folder })
    }

    /// Stores a workspace secret.
    pub async fn store(&self, name: &str, value: &str) -> Outcome {
        let path = format!("/pipeline-secrets?workspaceId={}", self.workspace);
        self.owner.post(&path, &json!({"name": name, "value": value})).await?;
        Ok(())
    }

    /// Launches a run and returns the answer.
    pub async fn launch(&self, body: &Value) -> Outcome<Value> {
        Ok(self.owner.post(&format!("/launches?workspaceId={}", self.workspace), body).await?)
    }

    /// Previews a launch on AWS Batch and returns the answer.
    pub async fn preview(&self) -> Outcome<Value> {
        let path = format!("/launches/preview?workspaceId={}", self.workspace);
        Ok(self.owner.post(&path, &json!({"platform": "aws-batch"})).await?)
    }

    /// Returns the description of a run.
    pub async fn receipt(&self, run: &str) -> Outcome<Value> {
        Ok(self.owner.get(&format!("/runs/{run}")).await?)
    }

    /// Waits until a run is in this state.
    pub async fn until(&self, run: &str, state: &str) -> Outcome<Value> {
        let start = Instant::now();
        loop {
            let receipt = self.receipt(run).await?;
            if receipt["state"] == state {
                return Ok(receipt);
            }
            if start.elapsed() > Duration::from_mins(1) {
                return Err(format!("run {run} is {}, not {state}", receipt["state"]).into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Returns every row of the table as text.
    pub async fn rows(&self) -> Outcome<String> {
        let config = self.stack.sdk_config(&Credentials::operator()).await;
        let table = aws_sdk_dynamodb::Client::new(&config);
        let scanned = table.scan().table_name(self.stack.output("TableName")?).send().await?;
        Ok(format!("{:?}", scanned.items()))
    }

    /// Returns every log line and metric of every function as text.
    pub async fn logs(&self) -> Outcome<String> {
        let aws = self.tools.installation.aws();
        let environment = self.stack.environment(&Credentials::operator());
        let groups = self.stack.deployed.outputs.iter().filter(|(name, _)| name.ends_with("LogGroup"));
        let mut text = String::new();
        for (_, group) in groups {
            let output = tokio::process::Command::new(&aws)
                .args(["logs", "filter-log-events", "--log-group-name", group, "--output", "json"])
                .envs(&environment)
                .output()
                .await?;
            text.push_str(&String::from_utf8_lossy(&output.stdout));
        }
        Ok(text)
    }
}
