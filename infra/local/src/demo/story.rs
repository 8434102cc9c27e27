//! The chapters of the demo.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::denied::{Targets, denied_calls};
use super::head::Queue;
use super::hpc::Cluster;
use super::{Findings, Reporter, yes};
use crate::platform::{Platform, resolve};
use crate::{Caller, Error, Result, Stack, Tools};

/// The users of the story and their two workspaces.
pub(super) struct Actors {
    pub(super) owner: Caller,
    pub(super) launcher: Caller,
    viewer: Caller,
    organization: i64,
    pub(super) workspace: i64,
    pub(super) other_workspace: i64,
    pub(super) other_owner: Caller,
}

/// The stored values, to compare with the delivered ones.
struct Values {
    licence: String,
    workspace_key: String,
    user_key: String,
}

impl Values {
    /// A licence of several kilobytes in many lines, as `base64` prints it, and two API keys.
    fn new() -> Self {
        let line = |row: usize| -> String {
            (0..76)
                .map(|column| {
                    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
                    char::from(alphabet[(row * 31 + column * 17 + row * column) % alphabet.len()])
                })
                .collect()
        };
        let licence: Vec<String> = (0..64).map(line).collect();
        Self {
            licence: licence.join("\n") + "\n",
            workspace_key: "0f1e2d3c4b5a69788796a5b4c3d2e1f0".to_owned(),
            user_key: "my own key, with \"quotes\" and $HOME".to_owned(),
        }
    }

    /// The values that a run of Liam on AWS Batch gets, by name.
    fn delivered(&self) -> [(&'static str, &str); 2] {
        [("NCBI_API_KEY", &self.user_key), ("SENTIEON_LICENSE_BASE64", &self.licence)]
    }

    fn all(&self) -> [&str; 3] {
        [&self.licence, &self.workspace_key, &self.user_key]
    }
}

pub(super) async fn run<W: Write>(
    tools: &Tools,
    stack: &Stack,
    folder: &Path,
    log: &mut Reporter<'_, W>,
) -> Result<Findings> {
    let mut findings = Findings::default();
    let actors = actors(stack).await?;
    let values = Values::new();
    let platform = Platform::new(stack).await;
    let secrets = format!("/pipeline-secrets?workspaceId={}", actors.workspace);

    log.chapter("1. Olivia has the owner role. She creates two workspace secrets.")?;
    for (name, value) in
        [("SENTIEON_LICENSE_BASE64", &values.licence), ("NCBI_API_KEY", &values.workspace_key)]
    {
        actors.owner.post(&secrets, &json!({"name": name, "value": value})).await?;
        findings.stored += 1;
        log.step(&format!("created {name}, {} bytes", value.len()))?;
    }

    log.chapter(
        "2. Vera has the view role and cannot write. Liam has the launch role and creates a user secret.",
    )?;
    let refused =
        actors.viewer.call(Method::POST, &secrets, Some(&json!({"name": "VERAS", "value": "v"}))).await?;
    findings.viewer_write_refused = refused.status.as_u16() == 403;
    log.step(&format!("Vera tries to create a secret: {} {}", refused.status.as_u16(), refused.text))?;
    actors
        .launcher
        .post("/pipeline-secrets", &json!({"name": "NCBI_API_KEY", "value": values.user_key}))
        .await?;
    findings.stored += 1;
    log.step("Liam creates his user secret NCBI_API_KEY")?;

    log.chapter("3. Liam previews a launch, then launches two runs on AWS Batch.")?;
    let launches = format!("/launches?workspaceId={}", actors.workspace);
    let preview_path = format!("/launches/preview?workspaceId={}", actors.workspace);
    let preview = actors.launcher.post(&preview_path, &json!({"platform": "aws-batch"})).await?;
    findings.override_winner = owner_of_key(&preview);
    log.table(&["secret", "from", "version", "overrides"], &preview_rows(&preview))?;
    let first = Run::launch(&actors.launcher, &launches, stack).await?;
    findings.copies_during_run = platform.copies(&first.id).await?;
    log.step(&format!(
        "run {} is launched: Secrets Manager has {} copy, tower-{}",
        first.id, findings.copies_during_run, first.id
    ))?;
    let third = Run::launch(&actors.launcher, &launches, stack).await?;
    third.heartbeat().await?;
    let last_heartbeat = Instant::now();
    log.step(&format!("run {} is launched too: it sends one heartbeat and then stops reporting", third.id))?;

    log.chapter(
        "4. The head job starts. AWS Batch reads secrets with the permissions that the launch returned.",
    )?;
    let queue = Queue::create(stack, &platform, folder).await?;
    let job = queue.start_head_job(&first.answer).await?;
    queue.wait_until_recorded(&job, async || first.receipt(&actors.launcher).await).await?;
    log.step("the head job sources the prelude, which records it for its run")?;
    let role = platform.role("demo-execution", &first.answer["iam"]["statements"]).await?;
    findings.values_match = check_values(&stack.sdk_config(&role).await, &first.answer, &values).await?;
    log.step(&format!("each valueFrom resolves to the stored bytes: {}", yes(findings.values_match)))?;
    findings.job_values_match = queue.job_has(&values.delivered(), &first.answer).await?;
    log.step(&format!(
        "a job prints their digests from its environment: {}",
        yes(findings.job_values_match)
    ))?;
    let other = other_role(&actors, stack, &platform).await?;
    findings.other_workspace_refused = is_denied(&other, &first.answer).await;
    log.step(&format!("another workspace's role is denied: {}", yes(findings.other_workspace_refused)))?;

    log.chapter("5. No call returns a value, and no function's role exceeds its permissions.")?;
    findings.read_back_refused = read_back_refused(&actors, &first, &values).await?;
    log.step(&format!("no read returns a value: {}", yes(findings.read_back_refused)))?;
    let targets = Targets { copy: format!("tower-{}", first.id), scope: format!("WS#{}", actors.workspace) };
    findings.denied_calls = denied_calls(stack, platform.operator(), &targets).await?;
    for call in &findings.denied_calls {
        log.step(&format!("IAM denied {call}"))?;
    }

    log.chapter("6. The head job of the first run succeeds. That of a second run fails.")?;
    queue.finish(&first.id, 0)?;
    first.wait_for_end(&actors.launcher, Duration::from_secs(30)).await?;
    findings.copies_after_success = platform.copies(&first.id).await?;
    let second = Run::launch(&actors.launcher, &launches, stack).await?;
    queue.finish(&second.id, 1)?;
    queue.start_head_job(&second.answer).await?;
    second.wait_for_end(&actors.launcher, Duration::from_secs(30)).await?;
    findings.copies_after_failure = platform.copies(&second.id).await?;
    log.step("both runs ended after an event from AWS Batch, confirmed with DescribeJobs")?;

    log.chapter("7. On a Slurm cluster, the head job claims its secrets into a secrets store for Nextflow.")?;
    let cluster = Cluster {
        tools,
        stack,
        folder,
        owner: &actors.owner,
        launcher: &actors.launcher,
        organization: actors.organization,
        workspace: actors.workspace,
    };
    cluster.run(log, &mut findings, &values.workspace_key).await?;

    log.chapter(
        "8. The lease of the third run expires. The sweep, which runs every minute here, ends the run.",
    )?;
    third.wait_for_end(&actors.launcher, Duration::from_secs(150)).await?;
    findings.copies_after_lost_event = platform.copies(&third.id).await?;
    log.step(&format!("its copy was deleted {} s after the heartbeat", last_heartbeat.elapsed().as_secs()))?;

    super::elsewhere::run(tools, stack, &actors, log, &mut findings).await?;

    findings.audit_rows = show_records(&actors, &platform, [&first, &second, &third], log).await?;
    Ok(findings)
}

/// Prints the receipts and the audit trail, and returns the number of audit records.
async fn show_records<W: Write>(
    actors: &Actors,
    platform: &Platform<'_>,
    runs: [&Run; 3],
    log: &mut Reporter<'_, W>,
) -> Result<usize> {
    log.chapter("10. The receipts of the first three runs.")?;
    let mut rows = Vec::new();
    for run in runs {
        rows.push(receipt_row(&run.receipt(&actors.launcher).await?, platform.copies(&run.id).await?));
    }
    log.table(&["run", "state", "result", "reported by", "launched", "removed", "copies left"], &rows)?;

    log.chapter("11. The audit trail of the workspace.")?;
    let path = format!("/audit-events?workspaceId={}&max=1000", actors.workspace);
    let trail = actors.owner.get(&path).await?;
    let events = trail["events"].as_array().cloned().unwrap_or_default();
    let rows: Vec<_> = events.iter().rev().map(audit_row).collect();
    log.table(&["time", "actor", "action", "run", "secrets and versions"], &rows)?;
    Ok(events.len())
}

async fn actors(stack: &Stack) -> Result<Actors> {
    let user = |name: &str| json!({"userName": name, "email": format!("{name}@example.org"), "tokens": [{"name": "demo"}]});
    let request = json!({"apply": {
        "users": [user("olivia"), user("liam"), user("vera"), user("oscar")],
        "organizations": [{"name": "example", "workspaces": [
            {"name": "genomics", "fullName": "Genomics", "platforms": ["aws-batch"], "participants": [
                {"user": "olivia", "role": "owner"}, {"user": "liam", "role": "launch"}, {"user": "vera", "role": "view"}]},
            {"name": "imaging", "fullName": "Imaging", "platforms": ["aws-batch"], "participants": [
                {"user": "oscar", "role": "owner"}]},
        ]}],
    }});
    let created = stack.invoke("identity", &request).await?;
    let caller = |index: usize| {
        let token = created["users"][index]["tokens"][0]["accessKey"].as_str().unwrap_or_default();
        Caller::new(&stack.api_endpoint, token)
    };
    let workspace = |index: usize| {
        created["organizations"][0]["workspaces"][index]["id"]
            .as_i64()
            .ok_or_else(|| Error::answer("the response of identity", &"a workspace is missing"))
    };
    Ok(Actors {
        owner: caller(0),
        launcher: caller(1),
        viewer: caller(2),
        other_owner: caller(3),
        organization: created["organizations"][0]["id"].as_i64().unwrap_or_default(),
        workspace: workspace(0)?,
        other_workspace: workspace(1)?,
    })
}

/// A launched run.
pub(super) struct Run {
    pub(super) id: String,
    answer: Value,
    reporter: Caller,
}

impl Run {
    async fn launch(caller: &Caller, path: &str, stack: &Stack) -> Result<Self> {
        Self::launch_with(caller, path, stack, &json!({"platform": "aws-batch"})).await
    }

    pub(super) async fn launch_with(
        caller: &Caller,
        path: &str,
        stack: &Stack,
        body: &Value,
    ) -> Result<Self> {
        let answer = caller.post(path, body).await?;
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let reporter = Caller::new(&stack.api_endpoint, &text("runToken"));
        Ok(Self { id: text("workflowId"), reporter, answer })
    }

    async fn heartbeat(&self) -> Result<()> {
        self.reporter.post(&format!("/runs/{}/heartbeat", self.id), &json!({})).await.map(drop)
    }

    pub(super) async fn record_head_job(&self, job: &Value) -> Result<()> {
        let path = format!("/runs/{}/head-job", self.id);
        self.reporter.put(&path, job).await.map(drop)
    }

    pub(super) async fn receipt(&self, caller: &Caller) -> Result<Value> {
        caller.get(&format!("/runs/{}", self.id)).await
    }

    /// Waits until the run has ended.
    pub(super) async fn wait_for_end(&self, caller: &Caller, at_most: Duration) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < at_most {
            if self.receipt(caller).await?["state"] == "ended" {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err(Error::answer(format!("run {}", self.id), &"it did not end in time"))
    }
}

fn owner_of_key(preview: &Value) -> String {
    let secrets = preview["secrets"].as_array().cloned().unwrap_or_default();
    let found = secrets.iter().find(|secret| secret["name"] == "NCBI_API_KEY");
    found.and_then(|secret| secret["owner"].as_str()).unwrap_or("none").to_owned()
}

async fn check_values(role: &aws_config::SdkConfig, answer: &Value, values: &Values) -> Result<bool> {
    let entries = answer["batch"]["secrets"].as_array().cloned().unwrap_or_default();
    let mut equal = entries.len() == 2;
    for (entry, (name, value)) in entries.iter().zip(values.delivered()) {
        let received = resolve(role, entry["valueFrom"].as_str().unwrap_or_default()).await?;
        equal &= entry["name"] == name && received == value;
    }
    Ok(equal)
}

/// Creates a role from a launch in the other workspace, with permission to read that workspace's
/// copies.
async fn other_role(
    actors: &Actors,
    stack: &Stack,
    platform: &Platform<'_>,
) -> Result<aws_config::SdkConfig> {
    let secrets = format!("/pipeline-secrets?workspaceId={}", actors.other_workspace);
    actors.other_owner.post(&secrets, &json!({"name": "IMAGING_KEY", "value": "other"})).await?;
    let path = format!("/launches?workspaceId={}", actors.other_workspace);
    let run = Run::launch(&actors.other_owner, &path, stack).await?;
    let role = platform.role("demo-other-execution", &run.answer["iam"]["statements"]).await?;
    let role = stack.sdk_config(&role).await;
    // The role can read its workspace's copies, so that a denial elsewhere results from the tags.
    let value_from = run.answer["batch"]["secrets"][0]["valueFrom"].as_str().unwrap_or_default();
    resolve(&role, value_from).await?;
    run.reporter.post(&format!("/runs/{}/end", run.id), &json!({"success": true})).await?;
    Ok(role)
}

async fn is_denied(role: &aws_config::SdkConfig, answer: &Value) -> bool {
    let value_from = answer["batch"]["secrets"][0]["valueFrom"].as_str().unwrap_or_default();
    match resolve(role, value_from).await {
        Ok(_) => false,
        Err(error) => error.to_string().contains("AccessDenied"),
    }
}

/// Searches the response of every read, by every user, for every value in plain and JSON-escaped
/// form.
async fn read_back_refused(actors: &Actors, run: &Run, values: &Values) -> Result<bool> {
    let scope = format!("workspaceId={}", actors.workspace);
    let list = actors.owner.get(&format!("/pipeline-secrets?{scope}")).await?;
    let mut paths = vec![
        format!("/pipeline-secrets?{scope}"),
        "/pipeline-secrets".to_owned(),
        format!("/pipeline-secrets/validate?name=NCBI_API_KEY&{scope}"),
        format!("/runs?{scope}"),
        format!("/runs/{}", run.id),
        format!("/audit-events?{scope}"),
        "/audit-events".to_owned(),
        "/user-info".to_owned(),
        "/tokens".to_owned(),
        "/service-info".to_owned(),
    ];
    for secret in list["pipelineSecrets"].as_array().into_iter().flatten() {
        paths.push(format!("/pipeline-secrets/{}?{scope}", secret["id"]));
        paths.push(format!("/pipeline-secrets/{}/history?{scope}", secret["id"]));
    }
    for caller in [&actors.owner, &actors.launcher, &actors.viewer, &actors.other_owner] {
        for path in &paths {
            let answer = caller.call(Method::GET, path, None).await?;
            let contains = |value: &str| {
                let json = Value::from(value).to_string();
                answer.text.contains(value) || answer.text.contains(json.trim_matches('"'))
            };
            if values.all().into_iter().any(contains) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| if value.is_null() { "-".to_owned() } else { value.to_string() }, str::to_owned)
}

fn preview_rows(preview: &Value) -> Vec<Vec<String>> {
    let secrets = preview["secrets"].as_array().cloned().unwrap_or_default();
    let row = |secret: &Value| {
        let overridden = if secret["overrides"].is_null() { "-" } else { "workspace secret" };
        vec![text(&secret["name"]), text(&secret["owner"]), text(&secret["version"]), overridden.to_owned()]
    };
    secrets.iter().map(row).collect()
}

fn receipt_row(receipt: &Value, copies: usize) -> Vec<String> {
    vec![
        text(&receipt["workflowId"]),
        text(&receipt["state"]),
        text(&receipt["outcome"]["result"]),
        text(&receipt["outcome"]["reportedBy"]),
        text(&receipt["dateLaunched"]),
        text(&receipt["dateRemoved"]),
        copies.to_string(),
    ]
}

fn audit_row(event: &Value) -> Vec<String> {
    let subjects = event["subjects"].as_array().cloned().unwrap_or_default();
    let subjects: Vec<_> = subjects
        .iter()
        .map(|subject| {
            format!("{} v{} ({})", text(&subject["name"]), subject["version"], text(&subject["owner"]))
        })
        .collect();
    let actor =
        if event["actor"].is_null() { "the service".to_owned() } else { format!("user {}", event["actor"]) };
    vec![text(&event["date"]), actor, text(&event["action"]), text(&event["run"]), subjects.join(", ")]
}
