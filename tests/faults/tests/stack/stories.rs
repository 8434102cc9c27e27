//! Requests of a client, and checks of the state after the answer.

use end_to_end::{Answer, ApiRequest, Caller, MARK, World};
use serde_json::{Value, json};

use crate::proxy::Fault;

/// A request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Story {
    Create,
    Import,
    Update,
    Delete,
    LaunchBundle,
    LaunchPerName,
    Claim,
    End,
    Heartbeat,
    Sweep,
}

/// The prepared state of a story.
pub(crate) struct Prepared {
    number: usize,
    secret: i64,
    run: Value,
}

/// The answer to a story.
pub(crate) struct StoryAnswer {
    pub(crate) status: u16,
    retry_after: bool,
    body: Value,
}

impl StoryAnswer {
    /// Whether the answer asks the client to retry.
    pub(crate) fn asks_for_retry(&self) -> bool {
        self.retry_after
    }
}

impl From<Answer> for StoryAnswer {
    fn from(answer: Answer) -> Self {
        let body = serde_json::from_str(&answer.body).unwrap_or_default();
        Self { status: answer.status, retry_after: !answer.header("retry-after").is_empty(), body }
    }
}

impl Story {
    pub(crate) const ALL: [Self; 10] = [
        Self::Create,
        Self::Import,
        Self::Update,
        Self::Delete,
        Self::LaunchBundle,
        Self::LaunchPerName,
        Self::Claim,
        Self::End,
        Self::Heartbeat,
        Self::Sweep,
    ];

    /// The function that serves the request.
    pub(crate) fn function(self) -> &'static str {
        match self {
            Self::Create | Self::Import | Self::Update | Self::Delete => "write-secrets",
            Self::LaunchBundle | Self::LaunchPerName => "launch-run",
            Self::Claim => "claim-run",
            Self::End | Self::Heartbeat => "report-run",
            Self::Sweep => "cleanup-run",
        }
    }

    pub(crate) async fn prepare(self, world: &World, number: usize) -> Prepared {
        let launches = matches!(
            self,
            Self::LaunchBundle
                | Self::LaunchPerName
                | Self::Claim
                | Self::End
                | Self::Heartbeat
                | Self::Sweep
        );
        let mut prepared = Prepared { number, secret: 0, run: Value::Null };
        if launches || matches!(self, Self::Update | Self::Delete) {
            let body = json!({ "name": prepared.name(0), "value": format!("{MARK} {number}") });
            let request = ApiRequest::post(world.inside("/pipeline-secrets"), &body);
            let request = request.header("idempotency-key", format!("first-{number:0>16}"));
            let created = retry_unavailable(&world.caller("owner"), request).await.json();
            prepared.secret = created["secretId"].as_i64().expect("an id");
        }
        match self {
            Self::Claim => prepared.run = launch(world, &prepared, "slurm", "bundle").await.body,
            Self::End | Self::Heartbeat | Self::Sweep => {
                prepared.run = launch(world, &prepared, "aws-batch", "per-name").await.body;
            }
            _ => {}
        }
        if self == Self::Sweep {
            // Its event also ends it, unless the sweep comes first.
            let _ = end(world, &prepared).await;
        }
        prepared
    }

    /// Sends the request once.
    pub(crate) async fn send(self, world: &World, prepared: &Prepared) -> StoryAnswer {
        let owner = world.caller("owner");
        let secret = world.inside(&format!("/pipeline-secrets/{}", prepared.secret));
        let value = |value: &str| json!({ "value": format!("{MARK} {value}") });
        let answer = match self {
            Self::Create => {
                let body = json!({ "name": prepared.name(0), "value": MARK });
                let request = ApiRequest::post(world.inside("/pipeline-secrets"), &body);
                owner.send(request.header("idempotency-key", prepared.key())).await
            }
            Self::Import => {
                let body = json!({ prepared.name(0): MARK, prepared.name(1): MARK });
                let request = ApiRequest::post(world.inside("/pipeline-secrets/import"), &body);
                owner.send(request.header("idempotency-key", prepared.key())).await
            }
            Self::Update => owner.put(secret, &value("new")).await,
            Self::Delete => owner.delete(secret).await,
            Self::LaunchBundle => return launch(world, prepared, "aws-batch", "bundle").await,
            Self::LaunchPerName => return launch(world, prepared, "aws-batch", "per-name").await,
            Self::Claim => {
                let token = text(&prepared.run, "claimToken");
                let path = format!("/runs/{}/claim", text(&prepared.run, "workflowId"));
                Caller::bearer(&world.harness, token)
                    .send(ApiRequest::new("POST", path).allowing_values())
                    .await
            }
            Self::End => return end(world, prepared).await,
            Self::Heartbeat => {
                let path = format!("/runs/{}/heartbeat", text(&prepared.run, "workflowId"));
                Caller::bearer(&world.harness, text(&prepared.run, "runToken"))
                    .send(ApiRequest::new("POST", path))
                    .await
            }
            Self::Sweep => {
                let sweep = json!({ "source": "pipeline-secrets.sweep" });
                let swept = world.harness.stack.invoke("cleanup-run", &sweep).await;
                let status = if swept.is_ok() { 200 } else { 503 };
                return StoryAnswer { status, retry_after: true, body: Value::Null };
            }
        };
        answer.into()
    }

    /// Checks the answer to the client, and the state.
    pub(crate) async fn violation(
        self,
        world: &World,
        prepared: &Prepared,
        answer: &StoryAnswer,
        fault: Option<Fault>,
    ) -> Option<String> {
        let expected = match (self, answer.status) {
            // After a lost answer, the retry conflicts with the first attempt.
            (Self::Delete, 404) | (Self::Claim, 410) => fault.is_some(),
            // A crashed launch is in progress until its provisioning time is over; then the sweep
            // ends it.
            (Self::LaunchBundle | Self::LaunchPerName, 409) if fault.is_some_and(Fault::kills) => {
                return None;
            }
            // Once its token is used, a claim that fails must not be retried.
            (Self::Claim, 503) => fault.is_some() && !answer.retry_after,
            (Self::Claim, 200) => answer.body.to_string().contains(MARK),
            (Self::LaunchBundle | Self::LaunchPerName, 200) => answer.body["runToken"].is_string(),
            (_, 200 | 204) => true,
            _ => false,
        };
        if !expected {
            return Some(format!("the client gets {} {}", answer.status, answer.body["message"]));
        }
        let list = ApiRequest::get(world.inside("/pipeline-secrets"));
        let list = retry_unavailable(&world.caller("owner"), list).await.json().to_string();
        let exists = |number| list.contains(&format!("\"{}\"", prepared.name(number)));
        let holds = match self {
            Self::Create | Self::Update => exists(0),
            Self::Import => exists(0) && exists(1),
            Self::Delete => !exists(0),
            Self::LaunchBundle | Self::LaunchPerName => delivered(world, prepared, &answer.body).await,
            _ => true,
        };
        if matches!(self, Self::LaunchBundle | Self::LaunchPerName) {
            let launched = Prepared { number: prepared.number, secret: 0, run: answer.body.clone() };
            let _ = end(world, &launched).await;
        }
        if !matches!(self, Self::Create | Self::Import | Self::Delete) {
            let path = world.inside(&format!("/pipeline-secrets/{}", prepared.secret));
            let _ = retry_unavailable(&world.caller("owner"), ApiRequest::delete(path)).await;
        }
        if matches!(self, Self::Claim | Self::Heartbeat) {
            let _ = end(world, prepared).await;
        }
        (!holds).then(|| "the state does not match the answer".to_owned())
    }
}

impl Prepared {
    /// A name that is unique among trials.
    fn name(&self, which: usize) -> String {
        format!("TRIAL_{}_{which}", self.number)
    }

    fn key(&self) -> String {
        format!("trial-{:0>16}", self.number)
    }
}

async fn launch(world: &World, prepared: &Prepared, platform: &str, layout: &str) -> StoryAnswer {
    let mut body = json!({
        "platform": platform, "workspaceSecrets": [prepared.name(0)], "userSecrets": [],
    });
    if platform == "aws-batch" {
        body["layout"] = json!(layout);
    }
    let request =
        ApiRequest::post(world.inside("/launches"), &body).header("idempotency-key", prepared.key());
    world.caller("launch").send(request).await.into()
}

/// Sends a request without faults. Retries after 503: on a busy machine the emulator may be too
/// slow for a function's timeouts.
async fn retry_unavailable(caller: &Caller, request: ApiRequest) -> Answer {
    for _ in 0..10 {
        let answer = caller.send(request.clone()).await;
        if answer.status != 503 {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    caller.send(request).await
}

/// Reports the end of a run. Succeeds if the run has already ended.
async fn end(world: &World, prepared: &Prepared) -> StoryAnswer {
    let path = format!("/runs/{}/end", text(&prepared.run, "workflowId"));
    let caller = Caller::bearer(&world.harness, text(&prepared.run, "runToken"));
    caller.post(path, &json!({ "success": true })).await.into()
}

/// Whether the copy in a launch's answer exists and contains the value.
async fn delivered(world: &World, prepared: &Prepared, run: &Value) -> bool {
    let id = text(run, "workflowId");
    let value = format!("{MARK} {}", prepared.number);
    for name in [format!("tower-{id}"), format!("tower-{id}/{}", prepared.name(0))] {
        if world.harness.copy(&name).await.is_some_and(|text| text.contains(&value)) {
            return true;
        }
    }
    false
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
