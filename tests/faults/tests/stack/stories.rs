//! What a client asks, and what must be so once it was answered.

use end_to_end::{Answer, Ask, Caller, MARK, World};
use serde_json::{Value, json};

use crate::proxy::Way;

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

/// What a story begins with.
pub(crate) struct Prepared {
    number: usize,
    secret: i64,
    run: Value,
}

/// What the client was told.
pub(crate) struct Told {
    pub(crate) status: u16,
    retry_after: bool,
    body: Value,
}

impl Told {
    /// Whether the answer asks to be asked again, as every client does.
    pub(crate) fn retries(&self) -> bool {
        self.retry_after
    }
}

impl From<Answer> for Told {
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

    /// The function that serves it.
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
            let ask = Ask::post(world.inside("/pipeline-secrets"), &body);
            let ask = ask.header("idempotency-key", format!("first-{number:0>16}"));
            let made = patiently(&world.caller("owner"), ask).await.json();
            prepared.secret = made["secretId"].as_i64().expect("an id");
        }
        match self {
            Self::Claim => prepared.run = launch(world, &prepared, "slurm", "bundle").await.body,
            Self::End | Self::Heartbeat | Self::Sweep => {
                prepared.run = launch(world, &prepared, "aws-batch", "per-name").await.body;
            }
            _ => {}
        }
        if self == Self::Sweep {
            // Its event ends it as well, unless the sweep is first.
            let _ = end(world, &prepared).await;
        }
        prepared
    }

    /// Asks once.
    pub(crate) async fn tell(self, world: &World, prepared: &Prepared) -> Told {
        let owner = world.caller("owner");
        let secret = world.inside(&format!("/pipeline-secrets/{}", prepared.secret));
        let value = |value: &str| json!({ "value": format!("{MARK} {value}") });
        let asked = match self {
            Self::Create => {
                let body = json!({ "name": prepared.name(0), "value": MARK });
                let ask = Ask::post(world.inside("/pipeline-secrets"), &body);
                owner.ask(ask.header("idempotency-key", prepared.key())).await
            }
            Self::Import => {
                let body = json!({ prepared.name(0): MARK, prepared.name(1): MARK });
                let ask = Ask::post(world.inside("/pipeline-secrets/import"), &body);
                owner.ask(ask.header("idempotency-key", prepared.key())).await
            }
            Self::Update => owner.put(secret, &value("new")).await,
            Self::Delete => owner.delete(secret).await,
            Self::LaunchBundle => return launch(world, prepared, "aws-batch", "bundle").await,
            Self::LaunchPerName => return launch(world, prepared, "aws-batch", "per-name").await,
            Self::Claim => {
                let token = text(&prepared.run, "claimToken");
                let path = format!("/runs/{}/claim", text(&prepared.run, "workflowId"));
                Caller::bearer(&world.harness, token).ask(Ask::new("POST", path).showing_values()).await
            }
            Self::End => return end(world, prepared).await,
            Self::Heartbeat => {
                let path = format!("/runs/{}/heartbeat", text(&prepared.run, "workflowId"));
                Caller::bearer(&world.harness, text(&prepared.run, "runToken"))
                    .ask(Ask::new("POST", path))
                    .await
            }
            Self::Sweep => {
                let sweep = json!({ "source": "pipeline-secrets.sweep" });
                let swept = world.harness.stack.invoke("cleanup-run", &sweep).await;
                let status = if swept.is_ok() { 200 } else { 503 };
                return Told { status, retry_after: true, body: Value::Null };
            }
        };
        asked.into()
    }

    /// What is wrong with what the client was told, and with what is so.
    pub(crate) async fn wrong(
        self,
        world: &World,
        prepared: &Prepared,
        told: &Told,
        fault: Option<Way>,
    ) -> Option<String> {
        let good = match (self, told.status) {
            // What was done and not heard of shows as its own conflict.
            (Self::Delete, 404) | (Self::Claim, 410) => fault.is_some(),
            // A launch that died is under way until its time for provisioning is over; then the sweep ends it.
            (Self::LaunchBundle | Self::LaunchPerName, 409) if fault.is_some_and(Way::kills) => return None,
            (Self::Claim, 200) => told.body.to_string().contains(MARK),
            (Self::LaunchBundle | Self::LaunchPerName, 200) => told.body["runToken"].is_string(),
            (_, 200 | 204) => true,
            _ => false,
        };
        if !good {
            return Some(format!("the client is left with {} {}", told.status, told.body["message"]));
        }
        let list = Ask::get(world.inside("/pipeline-secrets"));
        let list = patiently(&world.caller("owner"), list).await.json().to_string();
        let there = |number| list.contains(&format!("\"{}\"", prepared.name(number)));
        let so = match self {
            Self::Create | Self::Update => there(0),
            Self::Import => there(0) && there(1),
            Self::Delete => !there(0),
            Self::LaunchBundle | Self::LaunchPerName => delivered(world, prepared, &told.body).await,
            _ => true,
        };
        if matches!(self, Self::LaunchBundle | Self::LaunchPerName) {
            let launched = Prepared { number: prepared.number, secret: 0, run: told.body.clone() };
            let _ = end(world, &launched).await;
        }
        if !matches!(self, Self::Create | Self::Import | Self::Delete) {
            let path = world.inside(&format!("/pipeline-secrets/{}", prepared.secret));
            let _ = patiently(&world.caller("owner"), Ask::delete(path)).await;
        }
        if matches!(self, Self::Claim | Self::Heartbeat) {
            let _ = end(world, prepared).await;
        }
        (!so).then(|| "what the client was told is not so".to_owned())
    }
}

impl Prepared {
    /// A name that no other trial has.
    fn name(&self, which: usize) -> String {
        format!("TRIAL_{}_{which}", self.number)
    }

    fn key(&self) -> String {
        format!("trial-{:0>16}", self.number)
    }
}

async fn launch(world: &World, prepared: &Prepared, platform: &str, layout: &str) -> Told {
    let mut body = json!({
        "platform": platform, "workspaceSecrets": [prepared.name(0)], "userSecrets": [],
    });
    if platform == "aws-batch" {
        body["layout"] = json!(layout);
    }
    let ask = Ask::post(world.inside("/launches"), &body).header("idempotency-key", prepared.key());
    world.caller("launch").ask(ask).await.into()
}

/// Asks what no fault is meant for: a loaded machine's emulator may be too slow for a function's time limits.
async fn patiently(caller: &Caller, ask: Ask) -> Answer {
    for _ in 0..10 {
        let answer = caller.ask(ask.clone()).await;
        if answer.status != 503 {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    caller.ask(ask).await
}

/// Reports the end, which is no error once it has ended.
async fn end(world: &World, prepared: &Prepared) -> Told {
    let path = format!("/runs/{}/end", text(&prepared.run, "workflowId"));
    let caller = Caller::bearer(&world.harness, text(&prepared.run, "runToken"));
    caller.post(path, &json!({ "success": true })).await.into()
}

/// Whether the copy that a launch answers with is there and holds the value.
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
