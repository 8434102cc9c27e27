//! Follows the recipe of `docs/envelope.md` like an operator: attaches its policy to a role and
//! runs its program with the AWS CLI, on a deployment with that role as its break-glass
//! principal.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Output;

use aws_sdk_dynamodb::types::AttributeValue;
use local::{ACCOUNT, Credentials, EmulatorOptions, ExampleUser, Progress, REGION, Stack, Tools};
use serde_json::{Value, json};
use tokio::process::Command;

type Failure = Box<dyn std::error::Error>;

/// Several lines, quotes, a dollar sign, a multi-byte character, and trailing newlines.
const LICENCE: &str = "line 1\n\"line 2\" $HOME €\n\n";
/// One byte more than a block of padding.
const LONG: usize = 257;

#[tokio::test]
async fn the_recipe_opens_values_of_workspaces_and_users_byte_for_byte() -> Result<(), Failure> {
    let harness = Harness::start().await?;
    harness.store(&harness.in_workspace(), "SENTIEON_LICENSE", LICENCE).await?;
    let user_scope = harness.owner_scope().await?;
    let long = "x".repeat(LONG);
    harness.store("", "OWN_KEY", &long).await?;

    let break_glass = harness.break_glass().await?;
    for (scope, name, value) in
        [(harness.scope(), "SENTIEON_LICENSE", LICENCE), (user_scope, "OWN_KEY", long.as_str())]
    {
        let opened = harness.open(&break_glass, &scope, name).await?;
        assert!(opened.status.success(), "{}", stderr(&opened));
        assert!(opened.stdout == value.as_bytes(), "{name} opened to a different value");
    }
    Ok(())
}

#[tokio::test]
async fn an_administrator_cannot_follow_the_recipe() -> Result<(), Failure> {
    let harness = Harness::start().await?;
    harness.store(&harness.in_workspace(), "NCBI_API_KEY", "s3cret").await?;
    let everything = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["dynamodb:*", "kms:*"], "Resource": "*"},
    ]});
    let administrator = harness.role("administrator", &everything).await?;
    let refused = harness.open(&administrator, &harness.scope(), "NCBI_API_KEY").await?;
    assert!(stderr(&refused).contains("AccessDenied"), "{}", stderr(&refused));
    assert!(!refused.status.success() && refused.stdout.is_empty());
    Ok(())
}

#[tokio::test]
async fn an_envelope_in_another_row_does_not_open() -> Result<(), Failure> {
    let harness = Harness::start().await?;
    let first = harness.store(&harness.in_workspace(), "FIRST_KEY", "first").await?;
    let second = harness.store(&harness.in_workspace(), "SECOND_KEY", "second").await?;
    let break_glass = harness.break_glass().await?;

    harness.copy_value(first, first).await?;
    let opened = harness.open(&break_glass, &harness.scope(), "FIRST_KEY").await?;
    assert!(opened.stdout == b"first", "copying a row changed it: {}", stderr(&opened));

    harness.copy_value(first, second).await?;
    let refused = harness.open(&break_glass, &harness.scope(), "SECOND_KEY").await?;
    assert!(stderr(&refused).contains("InvalidCiphertext"), "{}", stderr(&refused));
    assert!(!refused.status.success() && refused.stdout.is_empty());
    Ok(())
}

/// A deployment with a break-glass principal, and the owner of a workspace.
struct Harness {
    tools: Tools,
    stack: Stack,
    workspace: u64,
    owner: ExampleUser,
    folder: tempfile::TempDir,
}

impl Harness {
    async fn start() -> Result<Self, Failure> {
        let tools = Tools::ready(Progress::Quiet).await?;
        let folder = tempfile::tempdir()?;
        let options = EmulatorOptions::for_test(folder.path().join("stack"), "break-glass");
        let principal = format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}");
        let parameters = BTreeMap::from([("BreakGlassPrincipal".to_owned(), principal)]);
        let stack = Stack::start(&tools, &options, &parameters).await?;
        let example = local::bootstrap(&stack).await?;
        let owner = example.users.into_iter().find(|user| user.role == "owner").ok_or("no owner")?;
        std::fs::write(folder.path().join("open-value.py"), block("python")?)?;
        Ok(Self { tools, stack, workspace: example.workspace_id, owner, folder })
    }

    fn in_workspace(&self) -> String {
        format!("?workspaceId={}", self.workspace)
    }

    fn scope(&self) -> String {
        format!("WS#{}", self.workspace)
    }

    async fn owner_scope(&self) -> Result<String, Failure> {
        let url = format!("{}/user-info", self.stack.api_endpoint);
        let answer = reqwest::Client::new().get(url).bearer_auth(&self.owner.token).send().await?;
        let answer: Value = answer.error_for_status()?.json().await?;
        Ok(format!("USER#{}", answer["user"]["id"].as_u64().ok_or("no id")?))
    }

    async fn store(&self, query: &str, name: &str, value: &str) -> Result<u64, Failure> {
        let url = format!("{}/pipeline-secrets{query}", self.stack.api_endpoint);
        let request = reqwest::Client::new().post(url).bearer_auth(&self.owner.token);
        let answer = request.json(&json!({"name": name, "value": value})).send().await?;
        let answer: Value = answer.error_for_status()?.json().await?;
        Ok(answer["secretId"].as_u64().ok_or("no id")?)
    }

    /// Returns a session of the break-glass principal with only the policy of the recipe.
    async fn break_glass(&self) -> Result<Credentials, Failure> {
        let policy = block("json")?
            .replace("REGION", REGION)
            .replace("ACCOUNT", ACCOUNT)
            .replace("TABLE_NAME", self.stack.output("TableName")?)
            .replace("AT_REST_KEY_ARN", self.stack.output("AtRestKeyArn")?);
        self.role(ROLE, &serde_json::from_str(&policy)?).await
    }

    /// Creates a role with this policy, and returns a session.
    async fn role(&self, name: &str, policy: &Value) -> Result<Credentials, Failure> {
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")},
        }]});
        let (trust, policy) = (trust.to_string(), policy.to_string());
        let create = ["iam", "create-role", "--role-name", name, "--assume-role-policy-document", &trust];
        self.aws(&create).await?;
        let attach = ["iam", "put-role-policy", "--role-name", name, "--policy-name", "rights"];
        self.aws(&[&attach[..], &["--policy-document", &policy]].concat()).await?;
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/{name}");
        let assume = ["sts", "assume-role", "--role-arn", &arn, "--role-session-name", "test"];
        let session = self.aws(&assume).await?;
        let text =
            |field: &str| session["Credentials"][field].as_str().map(str::to_owned).ok_or("no session");
        Ok(Credentials {
            access_key_id: text("AccessKeyId")?,
            secret_access_key: text("SecretAccessKey")?,
            session_token: Some(text("SessionToken")?),
        })
    }

    /// Overwrites the value of one secret of the workspace with another's, as a principal with
    /// write access to the table could.
    async fn copy_value(&self, from: u64, to: u64) -> Result<(), Failure> {
        // Not with the AWS CLI: version 1 treats binary attributes as text.
        let table = aws_sdk_dynamodb::Client::new(&self.stack.sdk_config(&Credentials::operator()).await);
        let name = self.stack.output("TableName")?;
        let sort_key = |id: u64| AttributeValue::S(format!("VALUE#{id}"));
        let read = table
            .get_item()
            .table_name(name)
            .key("pk", AttributeValue::S(format!("SECRETS#{}", self.scope())));
        let row = read.key("sk", sort_key(from)).send().await?.item.ok_or("no row")?;
        let write = table.put_item().table_name(name).set_item(Some(row));
        write.item("sk", sort_key(to)).send().await?;
        Ok(())
    }

    /// Runs the AWS CLI as the account's operator.
    async fn aws(&self, words: &[&str]) -> Result<Value, Failure> {
        let mut command = Command::new(self.tools.installation.aws());
        command.args(words).args(["--output", "json"]);
        let output = self.run(command, &Credentials::operator()).await?;
        if !output.status.success() {
            return Err(format!("{words:?}: {}", stderr(&output)).into());
        }
        // Some calls print nothing.
        Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
    }

    /// Runs the recipe's program as this principal.
    async fn open(&self, credentials: &Credentials, scope: &str, name: &str) -> Result<Output, Failure> {
        let mut command = Command::new(self.tools.installation.python());
        command.arg(self.folder.path().join("open-value.py")).arg(self.stack.name());
        command.args([self.stack.output("TableName")?, self.stack.output("EnvelopeKeyArn")?, scope, name]);
        self.run(command, credentials).await
    }

    /// Runs a program with these credentials and the AWS CLI on its path, isolated from this
    /// machine's AWS configuration.
    async fn run(&self, mut command: Command, credentials: &Credentials) -> Result<Output, Failure> {
        let tools = self.tools.installation.aws();
        let mut path = vec![tools.parent().ok_or("no folder")?.to_owned()];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        command.env_clear().env("PATH", std::env::join_paths(path)?).env("HOME", self.folder.path());
        Ok(command.envs(self.stack.environment(credentials)).kill_on_drop(true).output().await?)
    }
}

/// Returns the document's only code block in this language.
fn block(language: &str) -> Result<String, Failure> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/envelope.md");
    let text = std::fs::read_to_string(path)?;
    let fence = format!("```{language}\n");
    let mut blocks = text.split(&fence).skip(1).filter_map(|rest| rest.split("\n```").next());
    match (blocks.next(), blocks.next()) {
        (Some(block), None) => Ok(format!("{block}\n")),
        _ => Err(format!("docs/envelope.md must have exactly one {language} block").into()),
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The break-glass principal's name.
const ROLE: &str = "break-glass";
