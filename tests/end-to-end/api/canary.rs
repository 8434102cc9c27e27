//! Sends a value to every operation, in valid and invalid bodies, and checks that no answer
//! contains it. After all tests, `leaks` searches every other place.

use end_to_end::{ApiRequest, Caller, MARK, World};
use http_api::Operation;
use http_api::operation::{Credential, Needs};
use libtest_mimic::Trial;
use serde_json::{Map, Value, json};

use crate::trial::{harness, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![no_operation_returns_the_value_it_was_sent]
}

/// Every field that any operation reads.
const FIELDS: [&str; 20] = [
    "name",
    "value",
    "description",
    "expires",
    "platform",
    "layout",
    "workspaceSecrets",
    "userSecrets",
    "optional",
    "platforms",
    "role",
    "memberId",
    "userNameOrEmail",
    "success",
    "exitStatus",
    "jobId",
    "jobQueue",
    "region",
    "workflow",
    "workspaceId",
];

/// Bodies with a value in each place. Only the operations that store values may store it.
fn bodies() -> Vec<(&'static str, String)> {
    let json = "application/json";
    // Not valid as a name, an id or a token's name.
    let odd = format!("{MARK}!\n");
    let all = |value: &Value| -> Value {
        FIELDS.iter().map(|field| ((*field).to_owned(), value.clone())).collect::<Map<_, _>>().into()
    };
    let mut bodies = vec![
        (json, all(&json!(odd)).to_string()),
        (json, all(&json!([odd])).to_string()),
        (json, all(&json!({"success": odd, "key": odd})).to_string()),
        (json, format!("{{\"name\":\"AB\",\"value\":\"{MARK}")),
        (json, format!("[\"{MARK}\"]")),
        (json, format!("{{\"value\":\"{MARK}\",\"value\":\"{MARK}\"}}")),
        (json, format!("{{\"value\":\"{MARK}\\ud800\"}}")),
        ("text/plain", format!("CANARY_LINE={MARK}\n{MARK}\n")),
        ("text/plain", format!("CANARY_LINE=\"{MARK}")),
        ("application/x-www-form-urlencoded", format!("name=AB&value={MARK}")),
    ];
    for field in FIELDS {
        bodies.push((
            json,
            json!({"name": "CANARY_ONE", "value": format!("{MARK} 1"), field: odd}).to_string(),
        ));
    }
    bodies.push((
        json,
        json!({"name": "CANARY_GOOD", "value": format!("{MARK} 2"), "success": false}).to_string(),
    ));
    bodies
}

async fn no_operation_returns_the_value_it_was_sent() {
    let world = World::make(harness().await).await;
    let secret = world.secret("STORED", &format!("{MARK} 0")).await;
    let launch = json!({"platform": "slurm"});
    let run = world.caller("launch").post(world.inside("/launches"), &launch).await.json();
    let token = |name: &str| run[name].as_str().expect("a token").to_owned();
    for name in ["runToken", "claimToken"] {
        world.harness.record_token(&token(name));
    }
    for operation in Operation::ALL {
        let caller = match operation.credential() {
            Credential::None => Caller::with_authorization(&world.harness, None),
            Credential::User => world.caller("owner"),
            Credential::Run => Caller::bearer(&world.harness, &token("runToken")),
            // An invalid token: only the answer to the valid one contains values.
            Credential::Claim => Caller::bearer(&world.harness, &"w".repeat(43)),
        };
        let path = operation
            .path()
            .replace("{secretId}", &secret.to_string())
            .replace("{workflowId}", run["workflowId"].as_str().expect("an id"))
            .replace("{credentialsId}", &"0".repeat(22))
            .replace("{computeEnvId}", &"0".repeat(22))
            .replace("{orgId}", &world.org.to_string())
            .replace("{workspaceId}", &world.workspace.to_string())
            .replace("{participantId}", &world.person("view").id.to_string())
            .replace("{userId}", &world.person("owner").id.to_string())
            .replace("{tokenId}", "4503599627370497");
        assert!(!path.contains('{'), "{path}");
        let path = match operation.needs() {
            Needs::InWorkspace(_) => world.inside(&path),
            Needs::OfPath(_) | Needs::Own => path,
        };
        for (content_type, body) in bodies() {
            let request = ApiRequest::new(operation.method(), &path).body(content_type, body);
            let request = request.header("idempotency-key", format!("{MARK} too")).header("if-match", MARK);
            // `send` checks that the answer does not contain the value.
            let answer = caller.send(request).await;
            assert!(answer.status < 500, "{answer:?}");
        }
    }
}
