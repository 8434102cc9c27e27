//! Jobs of an executing queue (docs/emulator.md): what a head job or a task gets from AWS Batch and
//! from the ECS agent.

use std::error::Error;
use std::time::{Duration, Instant};

use aws_sdk_batch::types::ArrayProperties;
use local::platform::Platform;
use local::{Credentials, EmulatorOptions, Job, Progress, Stack, Tools};
use serde_json::{Value, json};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// The longest wait for a job of a fraction of a second.
const LONGEST: Duration = Duration::from_mins(1);
/// A multi-line licence, quotes, a trailing newline, and characters outside ASCII.
const LICENCE: &str = "-----BEGIN-----\nx\\y \"double\" 'single' $HOME €\n-----END-----\n\n";
const KEY: &str = "ü";

struct Jobs {
    stack: Stack,
    queue: String,
    _folder: tempfile::TempDir,
}

impl Jobs {
    async fn start() -> Outcome<Self> {
        let tools = Tools::ready(Progress::Quiet).await?;
        let folder = tempfile::tempdir()?;
        let options = EmulatorOptions::for_test(folder.path(), "pipeline-secrets");
        let stack = Stack::start(&tools, &options, &[].into()).await?;
        let queue = stack.create_executing_queue("tasks").await?;
        Ok(Self { stack, queue, _folder: folder })
    }

    async fn submit(&self, job: Job<'_>) -> Outcome<String> {
        Ok(Platform::new(&self.stack).await.submit(&Job { queue: &self.queue, ..job }).await?)
    }

    /// Runs a job, and returns it and the output of its attempts.
    async fn run(&self, status: &str, job: Job<'_>) -> Outcome<(Value, Vec<String>)> {
        let id = self.submit(job).await?;
        let found = self.stack.wait_for_job(&id, status, LONGEST).await?;
        Ok((found, self.stack.job_output(&id).await?))
    }

    /// Creates a secret of two keys, and returns its ARN.
    async fn secret(&self) -> Outcome<String> {
        let secrets =
            aws_sdk_secretsmanager::Client::new(&self.stack.sdk_config(&Credentials::operator()).await);
        let text = json!({"LICENCE": LICENCE, "KEY": KEY}).to_string();
        let created = secrets.create_secret().name("bundle").secret_string(text).send().await?;
        Ok(created.arn().unwrap_or_default().to_owned())
    }

    async fn role(&self, name: &str, action: &str, resource: &str) -> Outcome<String> {
        let statement = json!([{"Effect": "Allow", "Action": action, "Resource": resource}]);
        Ok(Platform::new(&self.stack).await.task_role(name, &statement).await?)
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a process exists.
fn is_alive(pid: &str) -> bool {
    std::process::Command::new("kill").args(["-0", pid]).output().is_ok_and(|ended| ended.status.success())
}

async fn wait_until_gone(pid: &str) {
    let start = Instant::now();
    while is_alive(pid) {
        assert!(start.elapsed() < LONGEST, "process {pid} outlives its job");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_command_runs_with_the_documented_environment_and_its_exit_code_ends_the_job() -> Outcome {
    let jobs = Jobs::start().await?;
    let command = ["sh", "-c", "env; echo cwd=$PWD; touch \"$TMPDIR/left\""];
    let environment = [("GREETING", "a 'b' \"c\" €\nd"), ("TERM", "")];
    let job = Job { command: &command, environment: &environment, ..Job::default() };
    let (found, output) = jobs.run("SUCCEEDED", job).await?;
    let lines: Vec<_> = output[0].lines().collect();
    let value = |name: &str| lines.iter().find_map(|line| line.strip_prefix(&format!("{name}=")));
    for (name, expected) in [
        ("AWS_BATCH_JOB_ID", text(&found, "/jobId")),
        ("AWS_BATCH_JOB_ATTEMPT", "1"),
        ("AWS_BATCH_JQ_NAME", "tasks"),
        ("AWS_BATCH_CE_NAME", "tasks"),
        ("AWS_ENDPOINT_URL", jobs.stack.aws_endpoint.as_str()),
        ("AWS_REGION", local::REGION),
        ("TERM", ""),
    ] {
        assert_eq!(value(name), Some(expected), "{name}");
    }
    assert!(output[0].contains("GREETING=a 'b' \"c\" €\nd\n"), "{}", output[0]);
    let mut names: Vec<_> = lines.iter().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    names.retain(|name| !name.starts_with("AWS_"));
    names.sort_unstable();
    let shell = ["GREETING", "HOME", "PATH", "PWD", "TERM", "TMPDIR", "cwd"];
    names.retain(|name| !matches!(*name, "OLDPWD" | "SHLVL" | "_"));
    assert_eq!(names, shell, "nothing of the user's environment is in it, and no credentials");
    let home = value("HOME").unwrap_or_default();
    assert_eq!(value("cwd"), Some(home));
    assert!(!std::path::Path::new(home).exists(), "the directory is deleted");
    assert_eq!(found["container"]["exitCode"], 0);
    assert_eq!(found["statusReason"], "Essential container in task exited");

    let command = ["sh", "-c", "echo $AWS_BATCH_JOB_ATTEMPT; exit $((40 + AWS_BATCH_JOB_ATTEMPT))"];
    let (found, output) =
        jobs.run("FAILED", Job { command: &command, attempts: 2, ..Job::default() }).await?;
    assert_eq!(output, ["1\n", "2\n"]);
    let codes: Vec<_> = (0..2).map(|attempt| &found["attempts"][attempt]["container"]["exitCode"]).collect();
    assert_eq!(codes, [41, 42]);
    assert_eq!(found["container"]["exitCode"], 42);

    let command = ["/no/such/program"];
    let (found, output) = jobs.run("FAILED", Job { command: &command, ..Job::default() }).await?;
    assert_eq!(found["container"]["exitCode"], 127, "{output:?}");
    jobs.stack.stop().await?;
    Ok(())
}

#[tokio::test]
async fn secrets_arrive_byte_for_byte_and_a_refused_one_fails_the_job_before_its_command() -> Outcome {
    let jobs = Jobs::start().await?;
    let arn = jobs.secret().await?;
    let reader = jobs.role("reader", "secretsmanager:GetSecretValue", &arn).await?;
    let other = jobs.role("other", "secretsmanager:GetSecretValue", &format!("{arn}-other")).await?;
    let secret = |name: &str, value_from: String| json!({"name": name, "valueFrom": value_from});
    let both = json!([
        secret("LICENCE", format!("{arn}:LICENCE::")),
        secret("KEY", format!("{arn}:KEY:AWSCURRENT:"))
    ]);
    let command = ["sh", "-c", "printf '%s<%s>' \"$LICENCE\" \"$KEY\""];
    let job = Job { command: &command, secrets: &both, execution_role: Some(&reader), ..Job::default() };
    let (found, output) = jobs.run("SUCCEEDED", job.clone()).await?;
    assert_eq!(output, [format!("{LICENCE}<{KEY}>")]);
    assert!(!found.to_string().contains("BEGIN"), "DescribeJobs shows no value");

    let whole = json!([secret("ALL", arn.clone())]);
    let command = ["sh", "-c", "printf %s \"$ALL\""];
    let (_, output) =
        jobs.run("SUCCEEDED", Job { command: &command, secrets: &whole, ..job.clone() }).await?;
    assert_eq!(serde_json::from_str::<Value>(&output[0])?, json!({"LICENCE": LICENCE, "KEY": KEY}));

    let trusted_by_users = format!("arn:aws:iam::{}:role/users", local::ACCOUNT);
    let users = json!([{"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": arn}]);
    Platform::new(&jobs.stack).await.role("users", &users).await?;
    let pulled = "ResourceInitializationError: unable to pull secrets or registry auth: ";
    let refused = [
        ("a role without the right", both.clone(), other.as_str(), pulled, "AccessDeniedException"),
        ("a missing key", json!([secret("X", format!("{arn}:X::"))]), &reader, pulled, "json key X"),
        (
            "a missing version",
            json!([secret("X", format!("{arn}::v2:"))]),
            &reader,
            pulled,
            "ResourceNotFound",
        ),
        (
            "half a reference",
            json!([secret("X", format!("{arn}:KEY"))]),
            &reader,
            pulled,
            "unexpected ARN format",
        ),
        ("a role of users", both.clone(), &trusted_by_users, "ECS was unable to assume the role", "users"),
    ];
    for (case, secrets, role, start, contained) in refused {
        let refused = Job { secrets: &secrets, execution_role: Some(role), ..job.clone() };
        let (found, output) = jobs.run("FAILED", refused).await?;
        let reason = text(&found, "/statusReason");
        assert!(reason.starts_with(start) && reason.contains(contained), "{case}: {reason}");
        assert_eq!(
            (output.len(), found["container"]["exitCode"].is_null()),
            (0, true),
            "{case}: it never started"
        );
    }
    jobs.stack.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_job_has_the_rights_of_its_job_role_until_it_ends() -> Outcome {
    let jobs = Jobs::start().await?;
    let arn = jobs.secret().await?;
    let reader = jobs.role("reader", "secretsmanager:GetSecretValue", &arn).await?;
    let script = "curl -sS \"$AWS_CONTAINER_CREDENTIALS_FULL_URI\" > session.json && cat session.json; echo
        aws secretsmanager get-secret-value --secret-id bundle --query Name --output text
        aws secretsmanager list-secrets 2>&1 | grep -o AccessDenied";
    let command = ["sh", "-c", script];
    let job = Job { command: &command, job_role: Some(&reader), ..Job::default() };
    let (_, output) = jobs.run("SUCCEEDED", job).await?;
    let (session, rest) = output[0].split_once('\n').ok_or("no session")?;
    assert_eq!(rest, "bundle\nAccessDenied\n");

    let session: Value = serde_json::from_str(session)?;
    let credentials = Credentials {
        access_key_id: text(&session, "/AccessKeyId").to_owned(),
        secret_access_key: text(&session, "/SecretAccessKey").to_owned(),
        session_token: Some(text(&session, "/Token").to_owned()),
    };
    let secrets = aws_sdk_secretsmanager::Client::new(&jobs.stack.sdk_config(&credentials).await);
    assert!(
        secrets.get_secret_value().secret_id("bundle").send().await.is_err(),
        "the session ends with the job"
    );
    jobs.stack.stop().await?;
    Ok(())
}

#[tokio::test]
async fn an_array_job_ends_after_its_children_and_parameters_are_filled_in() -> Outcome {
    let jobs = Jobs::start().await?;
    let script = r#"echo "$0 $AWS_BATCH_JOB_ARRAY_INDEX"; exit "$AWS_BATCH_JOB_ARRAY_INDEX""#;
    let command = ["sh", "-c", script, "Ref::who"];
    let platform = Platform::new(&jobs.stack).await;
    let definition = platform.register(&Job { command: &command, ..Job::default() }).await?;
    let submitted = aws_sdk_batch::Client::new(platform.operator())
        .submit_job()
        .job_name("array")
        .job_queue(&jobs.queue)
        .job_definition(definition)
        .parameters("who", "child")
        .array_properties(ArrayProperties::builder().size(2).build())
        .send()
        .await?;
    let id = submitted.job_id.ok_or("no id")?;
    let parent = jobs.stack.wait_for_job(&id, "FAILED", LONGEST).await?;
    assert_eq!(parent["arrayProperties"]["statusSummary"], json!({"SUCCEEDED": 1, "FAILED": 1}));
    for (index, status) in [(0, "SUCCEEDED"), (1, "FAILED")] {
        let child = format!("{id}:{index}");
        assert_eq!(jobs.stack.job(&child).await?["status"], status);
        assert_eq!(jobs.stack.job_output(&child).await?, [format!("child {index}\n")]);
    }
    jobs.stack.stop().await?;
    Ok(())
}

#[tokio::test]
async fn no_process_outlives_its_job_or_the_stack() -> Outcome {
    let jobs = Jobs::start().await?;
    // One child in the process group and one in a session of its own.
    let script = "sleep 1000 & echo $!; setsid sleep 1000 & echo $!; wait";
    let command = ["sh", "-c", script];
    let started = async || -> Outcome<(String, Vec<String>)> {
        let id = jobs.submit(Job { command: &command, ..Job::default() }).await?;
        jobs.stack.wait_for_job(&id, "RUNNING", LONGEST).await?;
        let start = Instant::now();
        loop {
            let output = jobs.stack.job_output(&id).await?;
            let pids: Vec<_> = output.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
            if pids.len() == 2 {
                return Ok((id, pids));
            }
            assert!(start.elapsed() < LONGEST, "the job prints no process ids");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let (terminated, first) = started().await?;
    let batch = aws_sdk_batch::Client::new(&jobs.stack.sdk_config(&Credentials::operator()).await);
    batch.terminate_job().job_id(&terminated).reason("no longer needed").send().await?;
    let found = jobs.stack.wait_for_job(&terminated, "FAILED", LONGEST).await?;
    assert_eq!(found["statusReason"], "no longer needed");
    assert_eq!(found["container"]["exitCode"], 143);
    let (_, second) = started().await?;
    jobs.stack.stop().await?;
    let shared = if cfg!(target_os = "linux") { 2 } else { 1 };
    for pid in first.iter().take(shared).chain(second.iter().take(shared)) {
        wait_until_gone(pid).await;
    }
    Ok(())
}
