//! A release can be deployed to the local stack with only the AWS CLI, and the service works.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use local::{Caller, Credentials, Emulator, EmulatorOptions, Progress, REGION, Tools};
use package_functions::{Arch, assemble};
use serde_json::{Value, json};
use tokio::process::Command;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const STACK: &str = "released";
const BUCKET: &str = "released-code";

/// The AWS CLI for the emulator, with a search path that contains only the CLI and the system's
/// programs.
struct Cli {
    aws: PathBuf,
    endpoint: String,
}

impl Cli {
    fn command(&self, program: &Path) -> Outcome<Command> {
        let mut command = Command::new(program);
        let search = [self.aws.parent().ok_or("no folder")?, "/usr/bin".as_ref(), "/bin".as_ref()];
        let operator = Credentials::operator();
        command
            .env("PATH", std::env::join_paths(search)?)
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_ACCESS_KEY_ID", operator.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", operator.secret_access_key)
            .env("AWS_DEFAULT_REGION", REGION)
            .kill_on_drop(true);
        Ok(command)
    }

    async fn aws(&self, arguments: &[&str]) -> Outcome<Value> {
        let output = self.command(&self.aws)?.args(arguments).args(["--output", "json"]).output().await?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
    }

    /// Runs the release's deploy script and returns its exit code and output.
    async fn deploy(&self, release: &Path, arguments: &[&str]) -> Outcome<(Option<i32>, String)> {
        let arch = if cfg!(target_arch = "aarch64") { Arch::Arm64 } else { Arch::X86 };
        let mut deploy = self.command(&release.join("infra/deploy"))?;
        deploy.args(["--stack", STACK, "--arch", arch.name(), "--bucket"]).args(arguments);
        let output = deploy.current_dir(release).output().await?;
        let printed = [output.stdout, output.stderr].concat();
        Ok((output.status.code(), String::from_utf8(printed)?))
    }
}

/// Assembles a release from the functions that the tests build, without a release build.
fn release(tools: &Tools, folder: &Path) -> Outcome<PathBuf> {
    let arch = if cfg!(target_arch = "aarch64") { Arch::Arm64 } else { Arch::X86 };
    let zips = BTreeMap::from([(arch, tools.packages.zips().clone())]);
    let plugin = folder.join("plugin.zip");
    std::fs::write(&plugin, "not deployed")?;
    Ok(assemble(tools.checkout.root(), &folder.join("two words"), &zips, &plugin)?.folder)
}

#[tokio::test]
async fn a_release_deploys_itself_without_rust_and_the_service_works() -> Outcome {
    let tools = Tools::ready(Progress::Quiet).await?;
    let folder = tempfile::tempdir()?;
    let release = release(&tools, folder.path())?;
    let options = EmulatorOptions::for_test(folder.path().join("emulator"), STACK);
    let emulator = Emulator::start(&tools.checkout, &tools.installation, &options).await?;
    let addresses = emulator.addresses().clone();
    let cli = Cli { aws: tools.installation.aws(), endpoint: addresses.aws_endpoint };

    let (code, printed) = cli.deploy(&release, &[BUCKET]).await?;
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains(&format!("the bucket {BUCKET} does not exist; create it")), "{printed}");
    cli.aws(&["s3", "mb", &format!("s3://{BUCKET}")]).await?;
    let (code, printed) = cli.deploy(&release, &[BUCKET, "--bucket-owner", "111122223333"]).await?;
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("The bucket must belong to account 111122223333"), "{printed}");
    // Another principal has written an object under the name of a zip. The deploy replaces it.
    let zips = release.join("functions").join(if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" });
    let key = format!("s3://{BUCKET}/{}/identity.zip", tools.packages.prefix());
    cli.aws(&["s3", "cp", &zips.join("authorizer.zip").to_string_lossy(), &key]).await?;
    let endpoint = format!("PublicEndpoint={}", addresses.api_endpoint);
    let (code, printed) = cli.deploy(&release, &[BUCKET, &endpoint]).await?;
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains(&format!("code prefix {}", tools.packages.prefix())), "{printed}");

    let (token, workspace) = first_token(&cli, folder.path()).await?;
    let caller = Caller::new(&addresses.api_endpoint, &token);
    let secrets = format!("/pipeline-secrets?workspaceId={workspace}");
    caller.post(&secrets, &json!({"name": "NCBI_API_KEY", "value": "a value"})).await?;
    let launch = json!({"platform": "aws-batch"});
    let launched = caller.post(&format!("/launches?workspaceId={workspace}"), &launch).await?;
    let copy = format!("tower-{}", launched["workflowId"].as_str().ok_or("no run")?);
    let stored = cli.aws(&["secretsmanager", "get-secret-value", "--secret-id", &copy]).await?;
    assert!(stored["SecretString"].as_str().is_some_and(|bundle| bundle.contains("a value")));

    // Deploying the same release again changes nothing.
    let stack_before = stack(&cli).await?;
    let (code, printed) = cli.deploy(&release, &[BUCKET]).await?;
    assert_eq!(code, Some(0), "{printed}");
    assert_eq!(stack(&cli).await?["Parameters"], stack_before["Parameters"]);

    // Code that was not built is detected.
    let authorizer = format!("fileb://{}", zips.join("authorizer.zip").display());
    let output = |name: &str| {
        let outputs = stack_before["Outputs"].as_array().cloned().unwrap_or_default();
        let found = outputs.into_iter().find(|output| output["OutputKey"] == name);
        found.and_then(|output| output["OutputValue"].as_str().map(str::to_owned)).unwrap_or_default()
    };
    let identity = output("IdentityFunction");
    let update = ["lambda", "update-function-code", "--function-name", &identity, "--zip-file", &authorizer];
    cli.aws(&update).await?;
    let (code, printed) = cli.deploy(&release, &[BUCKET]).await?;
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains(&format!("{identity} does not have the code of")), "{printed}");
    emulator.stop().await?;
    Ok(())
}

async fn stack(cli: &Cli) -> Outcome<Value> {
    Ok(cli.aws(&["cloudformation", "describe-stacks", "--stack-name", STACK]).await?["Stacks"][0].take())
}

/// Declares a user and a workspace, as in docs/operations.md, and returns the user's token and the
/// workspace id.
async fn first_token(cli: &Cli, folder: &Path) -> Outcome<(String, u64)> {
    let participant = json!({"user": "olivia", "role": "owner"});
    let workspace = json!({"name": "genomics", "platforms": ["aws-batch"], "participants": [participant]});
    let apply = json!({"apply": {
        "users": [{"userName": "olivia", "email": "olivia@example.org", "tokens": [{"name": "first"}]}],
        "organizations": [{"name": "example", "workspaces": [workspace]}],
    }});
    let (request, answer) = (folder.join("people.json"), folder.join("answer.json"));
    std::fs::write(&request, apply.to_string())?;
    let outputs = stack(cli).await?["Outputs"].take();
    let outputs = outputs.as_array().ok_or("no outputs")?;
    let identity =
        outputs.iter().find(|output| output["OutputKey"] == "IdentityFunction").ok_or("no function")?;
    let identity = identity["OutputValue"].as_str().ok_or("no name")?;
    let payload = format!("fileb://{}", request.display());
    let invoke = ["lambda", "invoke", "--function-name", identity, "--payload", &payload];
    cli.aws(&[&invoke[..], &[&answer.to_string_lossy()]].concat()).await?;
    let answer: Value = serde_json::from_slice(&std::fs::read(&answer)?)?;
    let token = answer["users"][0]["tokens"][0]["accessKey"].as_str().ok_or("no token")?;
    let workspace = answer["organizations"][0]["workspaces"][0]["id"].as_u64().ok_or("no workspace")?;
    Ok((token.to_owned(), workspace))
}
