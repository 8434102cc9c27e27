//! Open-source Nextflow like on AWS Batch: an executor that leaves secrets to the platform, the
//! generated config and prelude, the real AWS CLI, and a role with only the generated statements.

use std::collections::BTreeMap;
use std::path::Path;

use local::platform::Platform;
use local::{Credentials, JobStatus};
use real_clients::deployed::{DeployedStack, Outcome};
use real_clients::real::{self, nextflow as install_nextflow};
use real_clients::script;
use serde_json::{Value, json};
use tokio::process::Command;

/// Values that shells, the CLI or Nextflow might change.
fn values() -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("NEW_LINES", "a\n\nb\n\n\n".to_owned()),
        ("QUOTES", "\"x\" 'y' \"".to_owned()),
        ("BACKSLASHES", "a\\b\\n\\".to_owned()),
        ("DOLLARS", "$HOME ${X} $(touch pwned) `touch pwned`".to_owned()),
        ("DASHES", "--output json -n".to_owned()),
        ("EMOJI", "é😀\u{2028}\u{feff}".to_owned()),
        ("LARGE", "x\n".repeat(16_384)),
        ("LOOKS_LIKE", "QUOTES=1\nexport QUOTES=2".to_owned()),
        ("BLANKS", " \t x \r\n".to_owned()),
        ("NUMBER", "007".to_owned()),
        ("JSON_TEXT", "{\"QUOTES\":1}".to_owned()),
    ])
}

/// A pipeline whose task writes each named variable in hexadecimal, to compare values byte for
/// byte.
fn pipeline(names: &[&str]) -> String {
    let directives: Vec<_> = names.iter().map(|name| format!("  secret '{name}'\n")).collect();
    let directives = directives.concat();
    format!(
        "process READS {{\n{directives}  output: path 'out'\n  publishDir '.', mode: 'copy'\n  script:\n  '''\n  \
         for name in {} ABSENT; do printf '%s ' \"$name\"; printf %s \"${{!name-}}\" | od -An -v -tx1 | tr -d ' \\n'; echo; done > out\n  \
         '''\n}}\nprocess READS_NONE {{\n  script:\n  '''\n  test -z \"${{QUOTES-}}\"\n  '''\n}}\nworkflow {{ READS(); READS_NONE() }}\n",
        names.join(" ")
    )
}

/// The environment of an image without a UTF-8 locale, where Python's output is ASCII.
const NO_UTF_8: [(&str, &str); 3] = [("LC_ALL", "C"), ("PYTHONUTF8", "0"), ("PYTHONCOERCECLOCALE", "0")];

/// A process with its own `beforeScript`, one with that of the site's config, and one that runs on
/// the host of the head job. Each checks its value.
const OTHER_PROCESSES: &str = r#"
process OWN {
  secret 'NUMBER'
  beforeScript { "${task.ext.pipelineSecrets ?: ''}\nexport OWN=yes" }
  script:
  '''
  test "$NUMBER/$OWN/${SITE-}" = 007/yes/
  '''
}
process SITE {
  secret 'NUMBER'
  script:
  '''
  test "$NUMBER/${OWN-}/$SITE" = 007//yes
  '''
}
process LOCAL {
  executor 'local'
  secret 'NUMBER'
  script:
  '''
  test "$NUMBER/$SITE" = 007/yes
  '''
}
workflow { OWN(); SITE(); LOCAL() }
"#;

/// A host on which the script runs pipelines with a real Nextflow.
struct Head<'a> {
    deployed: &'a DeployedStack,
    folder: &'a Path,
    launcher: &'a Path,
    role: &'a Credentials,
}

impl Head<'_> {
    /// Returns the variables of the host: programs, Nextflow's home, no UTF-8 locale.
    fn environment(&self) -> BTreeMap<String, String> {
        let programs = [self.deployed.tools.installation.aws(), self.launcher.to_owned(), script()];
        let folders = programs.map(|program| program.parent().unwrap_or(&program).display().to_string());
        let path = folders.join(":") + ":/usr/local/bin:/usr/bin:/bin";
        let folder = self.folder.display();
        let mut variables = BTreeMap::from([
            ("PATH".to_owned(), path),
            ("HOME".to_owned(), folder.to_string()),
            ("NXF_HOME".to_owned(), format!("{folder}/home")),
        ]);
        variables.extend(NO_UTF_8.map(|(name, value)| (name.to_owned(), value.to_owned())));
        variables
    }

    /// Writes the pipeline and its config, in which tasks have their CLI not in PATH, but at
    /// `aws.batch.cliPath`.
    fn write_pipeline(&self, pipeline: &str) -> std::io::Result<()> {
        std::fs::write(self.folder.join("main.nf"), pipeline)?;
        let config = format!(
            "plugins {{ id 'nf-batchlike@0.1.0' }}\nprocess.executor = 'batchlike'\naws.batch.cliPath = '{}'\n",
            self.deployed.tools.installation.aws().display()
        );
        std::fs::write(self.folder.join("nextflow.config"), config)
    }

    /// Runs the pipeline by the script with these options, with another config.
    async fn run(&self, options: &[&str], pipeline: &str, config: &str) -> Outcome<std::process::Output> {
        self.write_pipeline(pipeline)?;
        std::fs::write(self.folder.join("site.config"), config)?;
        let words = ["nextflow", "run", "main.nf", "-c", "site.config"];
        let words = ["--platform", "aws-batch"].iter().chain(options).chain(&["--"]).chain(&words);
        Ok(self.command("nextflow-with-secrets").args(words).output().await?)
    }

    /// Returns a command of the script's folder, with the user's token.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(script().with_file_name(name));
        command
            .env_clear()
            .envs(self.environment())
            .envs(self.deployed.stack.environment(self.role))
            .env("PIPELINE_SECRETS_ENDPOINT", &self.deployed.stack.api_endpoint)
            .env("PIPELINE_SECRETS_WORKSPACE", self.deployed.workspace.to_string())
            .env("PIPELINE_SECRETS_TOKEN", self.deployed.owner.token())
            .current_dir(self.folder)
            .stdin(std::process::Stdio::null());
        command
    }
}

/// Installs the executor that leaves secrets to the platform into Nextflow's home in this folder.
async fn install_executor(launcher: &Path, folder: &Path) -> Outcome {
    let installed = Command::new(real::folder().join("batch-like-executor/install.sh"))
        .args([launcher.parent().unwrap_or(launcher), &folder.join("home")])
        .output()
        .await?;
    assert!(installed.status.success(), "{}", printed(&installed));
    Ok(())
}

/// Returns what a run printed.
fn printed(output: &std::process::Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

fn text<'a>(answer: &'a Value, pointer: &str) -> &'a str {
    answer.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn hex(value: &str) -> String {
    value.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// Whether a file below the folder contains this text.
fn contains_text(folder: &Path, needle: &str) -> std::io::Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let found = match path.is_dir() && !path.is_symlink() {
            true => contains_text(&path, needle)?,
            false => std::fs::read(&path)
                .is_ok_and(|bytes| bytes.windows(needle.len()).any(|window| window == needle.as_bytes())),
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

#[tokio::test]
async fn each_task_gets_exactly_the_secrets_it_names_byte_for_byte() -> Outcome {
    let versions = ["24.10.0", "25.04.4"];
    let launchers: Vec<_> = versions
        .iter()
        .filter_map(|version| install_nextflow(env!("CARGO_TARGET_TMPDIR"), version))
        .collect();
    if launchers.len() < versions.len() {
        return Ok(()); // `install_nextflow` printed the reason
    }
    let deployed = DeployedStack::new(&[]).await?;
    for (name, value) in values() {
        deployed.store(name, &value).await?;
    }
    let platform = Platform::new(&deployed.stack).await;
    let role = platform.role("tasks", &deployed.preview().await?["iam"]["statements"]).await?;
    let names: Vec<_> = values().into_keys().collect();
    let one = ["--workspace-secrets", "NUMBER"];

    for launcher in &launchers {
        let folder = tempfile::tempdir()?;
        install_executor(launcher, folder.path()).await?;
        let head = Head { deployed: &deployed, folder: folder.path(), launcher, role: &role };

        let ran = head.run(&[], &pipeline(&names), "").await?;
        assert!(ran.status.success(), "{}", printed(&ran));
        let received = std::fs::read_to_string(folder.path().join("out"))?;
        for (name, value) in values() {
            assert!(
                received.contains(&format!("{name} {}\n", hex(&value))),
                "{name} arrived with a different value"
            );
        }
        assert!(received.contains("ABSENT \n"));
        // Neither the wrapper nor Nextflow's logs contain a value.
        std::fs::remove_file(folder.path().join("out"))?;
        for needle in ["touch pwned", "QUOTES=1"] {
            assert!(!contains_text(folder.path(), needle)?, "{needle} is in a file");
        }

        let missing = head.run(&one, &pipeline(&["NOT_IN_THE_RUN"]), "").await?;
        assert!(!missing.status.success());
        assert!(printed(&missing).contains("the secret NOT_IN_THE_RUN of run"), "{}", printed(&missing));

        let site = r#"process.beforeScript = { "${task.ext.pipelineSecrets ?: ''}\nexport SITE=yes" }"#;
        let ran = head.run(&one, OTHER_PROCESSES, site).await?;
        assert!(ran.status.success(), "{}", printed(&ran));
        let lost = head.run(&one, OTHER_PROCESSES, "process.beforeScript = 'export SITE=yes'").await?;
        assert_eq!(lost.status.code(), Some(64), "{}", printed(&lost));
        assert!(printed(&lost).contains("your config sets process.beforeScript"), "{}", printed(&lost));

        let ran = head.run(&one, &pipeline(&["NUMBER"]), "aws.batch.cliPath = '/opt/missing/aws'").await?;
        assert!(!ran.status.success());
        assert!(printed(&ran).contains("the AWS CLI (/opt/missing/aws) was not found"), "{}", printed(&ran));
        let fusion = head.run(&one, &pipeline(&["NUMBER"]), "fusion.enabled = true").await?;
        assert_eq!(fusion.status.code(), Some(64), "{}", printed(&fusion));
        assert!(printed(&fusion).contains("with Fusion, tasks have no AWS CLI"), "{}", printed(&fusion));
    }
    let runs = deployed.owner.get(&format!("/runs?workspaceId={}", deployed.workspace)).await?;
    let runs = runs["runs"].as_array().cloned().unwrap_or_default();
    assert_eq!(runs.len(), 4 * launchers.len(), "what was refused was not launched");
    for run in &runs {
        assert_eq!(run["state"], "ended", "{run}");
        assert_eq!(platform.copies(text(run, "/workflowId")).await?, 0, "{run}");
    }
    deployed.stack.stop().await?;
    Ok(())
}

#[tokio::test]
async fn the_prelude_records_the_head_job_and_writes_the_store_that_nextflow_reads() -> Outcome {
    let deployed = DeployedStack::new(&[]).await?;
    for (name, value) in values() {
        deployed.store(name, &value).await?;
    }
    let platform = Platform::new(&deployed.stack).await;
    for layout in ["per-name", "plugin"] {
        the_head_job_has_the_store(&deployed, &platform, layout).await?;
    }
    deployed.stack.stop().await?;
    Ok(())
}

async fn the_head_job_has_the_store(
    deployed: &DeployedStack,
    platform: &Platform<'_>,
    layout: &str,
) -> Outcome {
    let answer = deployed.launch(&json!({"platform": "aws-batch", "layout": layout})).await?;
    let run = text(&answer, "/workflowId").to_owned();
    let role = platform.role(&format!("head-{layout}"), &answer["iam"]["statements"]).await?;
    let job = platform.start_head_job(&run).await?;

    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("prelude.sh"), text(&answer, "/nextflow/prelude"))?;
    let script = "set -euo pipefail; source ./prelude.sh; stat -c '%a %n' \"$NXF_SECRETS_FILE\" \"$(dirname \"$NXF_SECRETS_FILE\")\" >&2; cat \"$NXF_SECRETS_FILE\"";
    let aws = deployed.tools.installation.aws();
    let path =
        format!("{}:{}", aws.parent().unwrap_or(&aws).display(), std::env::var("PATH").unwrap_or_default());
    let queue = Platform::head_job(&job)["jobQueue"].as_str().unwrap_or_default().to_owned();
    let head = |token: &str| {
        let mut command = Command::new("bash");
        command
            .args(["-c", script])
            .current_dir(folder.path())
            .envs(deployed.stack.environment(&role))
            .env("PATH", &path)
            .env("TMPDIR", folder.path())
            .envs(NO_UTF_8)
            .env("PIPELINE_SECRETS_RUN_TOKEN", token)
            .env("AWS_BATCH_JOB_ID", &job)
            .env("AWS_BATCH_JQ_NAME", &queue);
        command
    };
    let ran = head(text(&answer, "/environment/PIPELINE_SECRETS_RUN_TOKEN")).output().await?;
    let stderr = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{layout}: {stderr}");
    let store: Vec<BTreeMap<String, String>> = serde_json::from_slice(&ran.stdout)?;
    let mut received: BTreeMap<_, _> =
        store.iter().map(|entry| (entry["name"].as_str(), entry["value"].clone())).collect();
    assert_eq!(received.remove("PIPELINE_SECRETS_SALT").map(|salt| salt.len()), Some(32));
    assert_eq!(received, values(), "{layout}");
    let modes: Vec<_> = stderr.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(modes, ["600", "700"], "{stderr}");
    let left: Vec<_> = std::fs::read_dir(folder.path())?.filter_map(Result::ok).collect();
    assert_eq!(left.len(), 1, "only the prelude is left");

    assert_eq!(deployed.receipt(&run).await?["headJob"]["jobId"], job.as_str());
    let rejected = head("wrong").output().await?;
    assert!(!rejected.status.success());
    assert!(String::from_utf8_lossy(&rejected.stderr).contains("could not record the head job"));
    let without = head("").output().await?;
    assert!(!without.status.success());
    assert!(String::from_utf8_lossy(&without.stderr).contains("PIPELINE_SECRETS_RUN_TOKEN is not set"));

    deployed.stack.move_job(&job, JobStatus::Succeeded).await?;
    let receipt = deployed.until(&run, "ended").await?;
    assert_eq!(receipt["outcome"]["reportedBy"], "head-job");
    assert_eq!(platform.copies(&run).await?, 0);
    Ok(())
}

/// A pipeline whose head and task check the secret. The task fails if `params.fail` is true.
const CHECKED: &str = r#"
process CHECK {
  secret 'NUMBER'
  script:
  """
  test "\$NUMBER/${params.fail}" = 007/false
  """
}
workflow {
  assert secrets.NUMBER == '007'
  CHECK()
}
"#;

#[tokio::test]
async fn a_submitted_head_job_runs_a_pipeline_and_its_run_ends_with_it() -> Outcome {
    let Some(launcher) = install_nextflow(env!("CARGO_TARGET_TMPDIR"), "25.04.4") else {
        return Ok(()); // `install_nextflow` printed the reason
    };
    let deployed = DeployedStack::new(&[]).await?;
    deployed.store("NUMBER", "007").await?;
    let platform = Platform::new(&deployed.stack).await;
    let folder = tempfile::tempdir()?;
    install_executor(&launcher, folder.path()).await?;
    let operator = Credentials::operator();
    let head = Head { deployed: &deployed, folder: folder.path(), launcher: &launcher, role: &operator };
    head.write_pipeline(CHECKED)?;
    let role = platform.task_role("head", &deployed.preview().await?["iam"]["statements"]).await?;
    let environment: Vec<_> =
        head.environment().iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let properties = json!({
        "image": "nextflow", "jobRoleArn": role, "environment": environment,
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}],
    });
    let definition =
        ["batch", "register-job-definition", "--job-definition-name", "nextflow", "--type", "container"];
    let properties = ["--container-properties".to_owned(), properties.to_string()];
    let registered = Command::new(deployed.tools.installation.aws())
        .args(definition)
        .args(properties)
        .envs(deployed.stack.environment(&operator))
        .output()
        .await?;
    assert!(registered.status.success(), "{}", printed(&registered));
    let queue = deployed.stack.create_executing_queue("heads").await?;

    let pipeline = folder.path().join("main.nf");
    let pipeline = pipeline.to_str().ok_or("a path is not UTF-8")?;
    for (fail, status, result) in [("false", "SUCCEEDED", "succeeded"), ("true", "FAILED", "failed")] {
        let submitted = head
            .command("submit")
            .args(["--job-queue", &queue, "--job-definition", "nextflow"])
            .args(["--", "nextflow", "run", pipeline, "--fail", fail])
            .output()
            .await?;
        assert!(submitted.status.success(), "{}", printed(&submitted));
        let job = String::from_utf8(submitted.stdout.clone())?.trim().to_owned();
        let ended = deployed.stack.wait_for_job(&job, status, std::time::Duration::from_mins(3)).await;
        let output = deployed.stack.job_output(&job).await?.concat();
        assert!(ended.is_ok(), "{output}");
        assert!(output.contains("has its secrets; tasks get them with the config"), "{output}");
        let run = deployed.owner.get(&format!("/runs?workspaceId={}", deployed.workspace)).await?;
        let run = text(&run, "/runs/0/workflowId").to_owned();
        let receipt = deployed.until(&run, "ended").await?;
        assert_eq!(receipt["headJob"]["jobId"], job.as_str(), "{receipt}");
        assert_eq!(receipt["outcome"]["reportedBy"], "head-job", "{receipt}");
        assert_eq!(receipt["outcome"]["result"], result, "{receipt}");
        assert_eq!(platform.copies(&run).await?, 0);
    }
    deployed.stack.stop().await?;
    Ok(())
}
