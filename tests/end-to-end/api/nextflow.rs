//! The two ways in which Nextflow sends a token: Bearer if it is in the platform's format,
//! otherwise Basic with the user `@token`. `tests/real-clients` replays complete recorded
//! conversations.

use end_to_end::{ApiRequest, Caller, World};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::trial::{harness, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![a_run_token_works_as_bearer_and_as_basic, a_claim_token_works_as_bearer_and_as_basic]
}

async fn launch(world: &World) -> Value {
    let body = json!({"platform": "slurm", "userSecrets": [], "workspaceSecrets": []});
    let run = world.caller("launch").post(world.inside("/launches"), &body).await.json();
    for token in ["runToken", "claimToken"] {
        world.harness.record_token(run[token].as_str().expect("a token"));
    }
    run
}

async fn a_run_token_works_as_bearer_and_as_basic() {
    let world = World::make(harness().await).await;
    for with_token in [Caller::bearer, Caller::basic] {
        let launched = launch(&world).await;
        let environment = &launched["environment"];
        let run = environment["PIPELINE_SECRETS_WORKFLOW_ID"].as_str().expect("an id");
        let caller =
            with_token(&world.harness, environment["PIPELINE_SECRETS_RUN_TOKEN"].as_str().expect("a token"));
        let message = |method: &str, path: &str, body: &Value| {
            ApiRequest::new(method, world.inside(path)).json(body).header("user-agent", "Nextflow/25.04.4")
        };
        let body =
            json!({"sessionId": "s", "runName": "r", "projectName": "p", "workflowId": run, "instant": 1});
        let created = caller.send(message("POST", "/trace/create", &body)).await.json();
        assert_eq!(created["workflowId"], run);
        assert_eq!(created["watchUrl"], format!("{}/runs/{run}", world.harness.stack.api_endpoint));
        for (step, body) in [
            ("begin", json!({"workflow": {"id": run}})),
            ("progress", json!({"tasks": [], "progress": {}})),
            ("heartbeat", json!({"progress": {}})),
            ("complete", json!({"workflow": {"success": true, "exitStatus": 0}})),
        ] {
            let answer = caller.send(message("PUT", &format!("/trace/{run}/{step}"), &body)).await.json();
            assert_eq!(answer["workflowId"], run);
        }
        let receipt = world.caller("launch").get(world.inside(&format!("/runs/{run}"))).await.json();
        assert_eq!(receipt["outcome"]["result"], "succeeded", "{receipt}");
        // Late messages succeed and change nothing.
        let late = caller.send(message("PUT", &format!("/trace/{run}/progress"), &json!({}))).await.json();
        assert_eq!(late["workflowId"], run);
    }
}

async fn a_claim_token_works_as_bearer_and_as_basic() {
    let world = World::make(harness().await).await;
    for with_token in [Caller::bearer, Caller::basic] {
        let launched = launch(&world).await;
        let run = launched["workflowId"].as_str().expect("an id");
        let caller = with_token(&world.harness, launched["claimToken"].as_str().expect("a token"));
        assert_eq!(
            caller.send(ApiRequest::new("POST", format!("/runs/{run}/claim"))).await.json(),
            json!([])
        );
    }
}
