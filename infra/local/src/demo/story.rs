//! The chapters.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::denied::{Targets, denied_calls};
use super::hpc::Cluster;
use super::{Findings, Reporter, yes};
use crate::platform::{Platform, resolve};
use crate::{Caller, Error, JobStatus, Result, Stack, Tools};

/// The people of the story, and their two workspaces.
struct Actors {
    owner: Caller,
    launcher: Caller,
    viewer: Caller,
    organization: i64,
    workspace: i64,
    other_workspace: i64,
    other_owner: Caller,
}

/// What is stored, to compare with what arrives.
struct Values {
    licence: String,
    workspace_key: String,
    own_key: String,
}

impl Values {
    /// A licence of several kilobytes over many lines, as `base64` prints it, and two API keys.
    fn make() -> Self {
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
            own_key: "my own key, with \"quotes\" and $HOME".to_owned(),
        }
    }

    fn all(&self) -> [&str; 3] {
        [&self.licence, &self.workspace_key, &self.own_key]
    }
}

pub(super) async fn play<W: Write>(
    tools: &Tools,
    stack: &Stack,
    folder: &Path,
    tell: &mut Reporter<'_, W>,
) -> Result<Findings> {
    let mut findings = Findings::default();
    let actors = actors(stack).await?;
    let values = Values::make();
    let platform = Platform::new(stack).await;
    let secrets = format!("/pipeline-secrets?workspaceId={}", actors.workspace);

    tell.chapter("1. Olivia, an owner, stores two secrets in the workspace.")?;
    for (name, value) in
        [("SENTIEON_LICENSE_BASE64", &values.licence), ("NCBI_API_KEY", &values.workspace_key)]
    {
        actors.owner.post(&secrets, &json!({"name": name, "value": value})).await?;
        findings.stored += 1;
        tell.step(&format!("stored {name}, {} bytes", value.len()))?;
    }

    tell.chapter("2. Vera may only look on; Liam may launch, and has a key of his own.")?;
    let refused =
        actors.viewer.call(Method::POST, &secrets, Some(&json!({"name": "VERAS", "value": "v"}))).await?;
    findings.viewer_write_refused = refused.status.as_u16() == 403;
    tell.step(&format!("Vera tries to store a secret: {} {}", refused.status.as_u16(), refused.text))?;
    actors
        .launcher
        .post("/pipeline-secrets", &json!({"name": "NCBI_API_KEY", "value": values.own_key}))
        .await?;
    findings.stored += 1;
    tell.step("Liam stores his own NCBI_API_KEY")?;

    tell.chapter("3. Liam looks at what a launch would take, and launches.")?;
    let launches = format!("/launches?workspaceId={}", actors.workspace);
    let preview_path = format!("/launches/preview?workspaceId={}", actors.workspace);
    let preview = actors.launcher.post(&preview_path, &json!({"platform": "aws-batch"})).await?;
    findings.override_winner = winner(&preview);
    tell.table(&["secret", "from", "version", "takes the place of"], &preview_rows(&preview))?;
    let first = Run::launch(&actors.launcher, &launches, stack).await?;
    findings.copies_during_run = platform.copies(&first.id).await?;
    tell.step(&format!(
        "run {} launched; Secrets Manager holds {} copy, tower-{}",
        first.id, findings.copies_during_run, first.id
    ))?;
    let third = Run::launch(&actors.launcher, &launches, stack).await?;
    third.heartbeat().await?;
    let silent_since = Instant::now();
    tell.step(&format!("run {} launched too; it sends one heartbeat and is never heard of again", third.id))?;

    tell.chapter(
        "4. The head job starts; AWS Batch gives it its secrets under the role that the launch asked for.",
    )?;
    let job = platform.start_head_job().await?;
    first.record(&job).await?;
    let role = platform.role("demo-execution", &first.answer["iam"]["statements"]).await?;
    let role = stack.sdk_config(&role).await;
    findings.values_match = check_values(&role, &first.answer, &values).await?;
    tell.step(&format!("each valueFrom gives the stored bytes: {}", yes(findings.values_match)))?;
    let other = other_role(&actors, stack, &platform).await?;
    findings.other_workspace_refused = refuses(&other, &first.answer).await;
    tell.step(&format!("another workspace's role is refused: {}", yes(findings.other_workspace_refused)))?;

    tell.chapter("5. Nobody reads a value back; no function's role goes beyond its rights.")?;
    findings.read_back_refused = read_back_refused(&actors, &first, &values).await?;
    tell.step(&format!("no answer to any read holds a value: {}", yes(findings.read_back_refused)))?;
    let targets = Targets { copy: format!("tower-{}", first.id), scope: format!("WS#{}", actors.workspace) };
    findings.denied_calls = denied_calls(stack, platform.operator(), &targets).await?;
    for call in &findings.denied_calls {
        tell.step(&format!("IAM refused {call}"))?;
    }

    tell.chapter("6. The first run's head job succeeds, a second one's fails.")?;
    stack.move_job(&job, JobStatus::Succeeded).await?;
    first.ended(&actors.launcher, Duration::from_secs(30)).await?;
    findings.copies_after_success = platform.copies(&first.id).await?;
    let second = Run::launch(&actors.launcher, &launches, stack).await?;
    let job = platform.start_head_job().await?;
    second.record(&job).await?;
    stack.move_job(&job, JobStatus::Failed).await?;
    second.ended(&actors.launcher, Duration::from_secs(30)).await?;
    findings.copies_after_failure = platform.copies(&second.id).await?;
    tell.step("both ended by AWS Batch's event, confirmed by DescribeJobs")?;

    tell.chapter("7. On a Slurm cluster Nextflow brings its own store; the head job claims it.")?;
    let cluster = Cluster {
        tools,
        stack,
        folder,
        owner: &actors.owner,
        launcher: &actors.launcher,
        organization: actors.organization,
        workspace: actors.workspace,
    };
    cluster.play(tell, &mut findings, &values.workspace_key).await?;

    tell.chapter("8. The third run's lease is over: the sweep, every minute here, finds it.")?;
    third.ended(&actors.launcher, Duration::from_secs(150)).await?;
    findings.copies_after_lost_event = platform.copies(&third.id).await?;
    tell.step(&format!("gone {} s after its heartbeat", silent_since.elapsed().as_secs()))?;

    findings.audit_rows = look_back(&actors, &platform, [&first, &second, &third], tell).await?;
    Ok(findings)
}

/// The receipts, and the audit trail; gives the number of its rows.
async fn look_back<W: Write>(
    actors: &Actors,
    platform: &Platform<'_>,
    runs: [&Run; 3],
    tell: &mut Reporter<'_, W>,
) -> Result<usize> {
    tell.chapter("9. The receipts.")?;
    let mut rows = Vec::new();
    for run in runs {
        rows.push(receipt_row(&run.receipt(&actors.launcher).await?, platform.copies(&run.id).await?));
    }
    tell.table(&["run", "state", "result", "told by", "launched", "removed", "copies left"], &rows)?;

    tell.chapter("10. The audit trail of the workspace.")?;
    let path = format!("/audit-events?workspaceId={}&max=1000", actors.workspace);
    let trail = actors.owner.get(&path).await?;
    let events = trail["events"].as_array().cloned().unwrap_or_default();
    let rows: Vec<_> = events.iter().rev().map(audit_row).collect();
    tell.table(&["when", "who", "what", "run", "secrets and versions"], &rows)?;
    Ok(events.len())
}

async fn actors(stack: &Stack) -> Result<Actors> {
    let user = |name: &str| json!({"userName": name, "email": format!("{name}@example.org"), "tokens": [{"name": "demo"}]});
    let order = json!({"apply": {
        "users": [user("olivia"), user("liam"), user("vera"), user("oscar")],
        "organizations": [{"name": "example", "workspaces": [
            {"name": "genomics", "fullName": "Genomics", "platforms": ["aws-batch"], "participants": [
                {"user": "olivia", "role": "owner"}, {"user": "liam", "role": "launch"}, {"user": "vera", "role": "view"}]},
            {"name": "imaging", "fullName": "Imaging", "platforms": ["aws-batch"], "participants": [
                {"user": "oscar", "role": "owner"}]},
        ]}],
    }});
    let made = stack.invoke("identity", &order).await?;
    let caller = |index: usize| {
        let token = made["users"][index]["tokens"][0]["accessKey"].as_str().unwrap_or_default();
        Caller::new(&stack.api_endpoint, token)
    };
    let workspace = |index: usize| {
        made["organizations"][0]["workspaces"][index]["id"]
            .as_i64()
            .ok_or_else(|| Error::answer("identity's answer to apply", &"it lacks a workspace"))
    };
    Ok(Actors {
        owner: caller(0),
        launcher: caller(1),
        viewer: caller(2),
        other_owner: caller(3),
        organization: made["organizations"][0]["id"].as_i64().unwrap_or_default(),
        workspace: workspace(0)?,
        other_workspace: workspace(1)?,
    })
}

/// A launched run.
struct Run {
    id: String,
    answer: Value,
    reporter: Caller,
}

impl Run {
    async fn launch(caller: &Caller, path: &str, stack: &Stack) -> Result<Self> {
        let answer = caller.post(path, &json!({"platform": "aws-batch"})).await?;
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let reporter = Caller::new(&stack.api_endpoint, &text("runToken"));
        Ok(Self { id: text("workflowId"), reporter, answer })
    }

    async fn heartbeat(&self) -> Result<()> {
        self.reporter.post(&format!("/runs/{}/heartbeat", self.id), &json!({})).await.map(drop)
    }

    async fn record(&self, job: &str) -> Result<()> {
        self.reporter.put(&format!("/runs/{}/head-job", self.id), &Platform::head_job(job)).await.map(drop)
    }

    async fn receipt(&self, caller: &Caller) -> Result<Value> {
        caller.get(&format!("/runs/{}", self.id)).await
    }

    /// Waits until the run has ended.
    async fn ended(&self, caller: &Caller, at_most: Duration) -> Result<()> {
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

fn winner(preview: &Value) -> String {
    let secrets = preview["secrets"].as_array().cloned().unwrap_or_default();
    let found = secrets.iter().find(|secret| secret["name"] == "NCBI_API_KEY");
    found.and_then(|secret| secret["owner"].as_str()).unwrap_or("nobody").to_owned()
}

async fn check_values(role: &aws_config::SdkConfig, answer: &Value, values: &Values) -> Result<bool> {
    let entries = answer["batch"]["secrets"].as_array().cloned().unwrap_or_default();
    let mut equal = entries.len() == 2;
    for entry in &entries {
        let expected = match entry["name"].as_str() {
            Some("NCBI_API_KEY") => &values.own_key,
            _ => &values.licence,
        };
        equal &= &resolve(role, entry["valueFrom"].as_str().unwrap_or_default()).await? == expected;
    }
    Ok(equal)
}

/// A role that may read the other workspace's copies: made from a launch there.
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
    // It does read what it is for: a refusal elsewhere is then the tags' doing.
    let own = run.answer["batch"]["secrets"][0]["valueFrom"].as_str().unwrap_or_default();
    resolve(&role, own).await?;
    run.reporter.post(&format!("/runs/{}/end", run.id), &json!({"success": true})).await?;
    Ok(role)
}

async fn refuses(role: &aws_config::SdkConfig, answer: &Value) -> bool {
    let value_from = answer["batch"]["secrets"][0]["valueFrom"].as_str().unwrap_or_default();
    match resolve(role, value_from).await {
        Ok(_) => false,
        Err(error) => error.to_string().contains("AccessDenied"),
    }
}

/// Every read of the API, by everyone, searched for every value as it is and as JSON writes it.
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
            let shows = |value: &str| {
                let json = Value::from(value).to_string();
                answer.text.contains(value) || answer.text.contains(json.trim_matches('"'))
            };
            if values.all().into_iter().any(shows) {
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
        let replaced = if secret["overrides"].is_null() { "-" } else { "the workspace's" };
        vec![text(&secret["name"]), text(&secret["owner"]), text(&secret["version"]), replaced.to_owned()]
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
    let who =
        if event["actor"].is_null() { "the service".to_owned() } else { format!("user {}", event["actor"]) };
    vec![text(&event["date"]), who, text(&event["action"]), text(&event["run"]), subjects.join(", ")]
}
