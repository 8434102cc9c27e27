//! Nextflow's two forms of a token: Bearer for one of our shape, Basic with the user `@token` for any other. The whole
//! recorded conversations are replayed in `tests/real-clients`.

use end_to_end::{Ask, Caller, World};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::trial::{harness, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![a_run_reports_itself_in_either_form, a_claim_token_is_taken_in_either_form]
}

async fn launch(world: &World) -> Value {
    let body = json!({"platform": "slurm", "userSecrets": [], "workspaceSecrets": []});
    let run = world.caller("launch").post(world.inside("/launches"), &body).await.json();
    for token in ["runToken", "claimToken"] {
        world.harness.handed_out(run[token].as_str().expect("a token"));
    }
    run
}

async fn a_run_reports_itself_in_either_form() {
    let world = World::make(harness().await).await;
    for form in [Caller::bearer, Caller::basic] {
        let launched = launch(&world).await;
        let environment = &launched["environment"];
        let run = environment["TOWER_WORKFLOW_ID"].as_str().expect("an id");
        assert_eq!(environment["TOWER_WORKSPACE_ID"], world.workspace.to_string());
        let caller = form(&world.harness, environment["TOWER_ACCESS_TOKEN"].as_str().expect("a token"));
        let message = |method: &str, path: &str, body: &Value| {
            Ask::new(method, world.inside(path)).json(body).header("user-agent", "Nextflow/25.04.4")
        };
        let body =
            json!({"sessionId": "s", "runName": "r", "projectName": "p", "workflowId": run, "instant": 1});
        let created = caller.ask(message("POST", "/trace/create", &body)).await.json();
        assert_eq!(created["workflowId"], run);
        for (step, body) in [
            ("begin", json!({"workflow": {"id": run}})),
            ("progress", json!({"tasks": [], "progress": {}})),
            ("heartbeat", json!({"progress": {}})),
            ("complete", json!({"workflow": {"success": true, "exitStatus": 0}})),
        ] {
            let answer = caller.ask(message("PUT", &format!("/trace/{run}/{step}"), &body)).await.json();
            assert_eq!(answer["workflowId"], run);
        }
        let receipt = world.caller("launch").get(world.inside(&format!("/runs/{run}"))).await.json();
        assert_eq!(receipt["outcome"]["result"], "succeeded", "{receipt}");
        // Messages that come late change nothing and are no error.
        let late = caller.ask(message("PUT", &format!("/trace/{run}/progress"), &json!({}))).await.json();
        assert_eq!(late["workflowId"], run);
    }
}

async fn a_claim_token_is_taken_in_either_form() {
    let world = World::make(harness().await).await;
    for form in [Caller::bearer, Caller::basic] {
        let launched = launch(&world).await;
        let run = launched["workflowId"].as_str().expect("an id");
        let caller = form(&world.harness, launched["claimToken"].as_str().expect("a token"));
        assert_eq!(caller.ask(Ask::new("POST", format!("/runs/{run}/claim"))).await.json(), json!([]));
    }
}
