//! What exists elsewhere and what does not exist are one and the same answer: status, headers and body.

use domain::role::Permission;
use end_to_end::{Ask, Caller, World};
use http_api::Operation;
use http_api::operation::{Credential, Needs};
use libtest_mimic::Trial;
use serde_json::json;

use crate::trial::{harness, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        a_foreign_workspace_and_one_that_does_not_exist_are_one_answer,
        a_foreign_thing_and_one_that_does_not_exist_are_one_answer,
        what_one_workspace_has_another_one_cannot_name,
        a_run_token_of_another_run_and_of_none_are_one_answer,
    ]
}

/// An id that nothing has: they are random, below 2^53.
const ABSENT: i64 = 4_503_599_627_370_497;
const ABSENT_RUN: &str = "ABCDEFGHIJKLMN";

async fn same(caller: &Caller, foreign: Ask, absent: Ask) {
    let (foreign, absent) = (caller.ask(foreign).await, caller.ask(absent).await);
    assert_eq!(foreign.status, 404, "{foreign:?}");
    assert_eq!(foreign.distinguishable(), absent.distinguishable());
}

async fn a_foreign_workspace_and_one_that_does_not_exist_are_one_answer() {
    let world = World::make(harness().await).await;
    let secret = world.secret("THEIRS", "v").await;
    let stranger = world.caller("stranger");
    let mut checked = 0;
    for operation in Operation::ALL.iter().filter(|it| it.credential() == Credential::User) {
        let ask = |org: i64, workspace: i64| {
            let path = operation
                .path()
                .replace("{secretId}", &secret.to_string())
                .replace("{workflowId}", ABSENT_RUN)
                .replace("{orgId}", &org.to_string())
                .replace("{workspaceId}", &workspace.to_string())
                .replace("{participantId}", &world.person("view").id.to_string());
            let body = json!({"name": "AB", "value": "v", "platform": "aws-batch", "platforms": [], "role": "view",
                "memberId": world.person("stranger").id});
            let path = match operation.needs() {
                Needs::InWorkspace(_) => format!("{path}?workspaceId={workspace}&name=AB"),
                Needs::OfPath(_) | Needs::Own => path,
            };
            match operation.method() {
                "GET" | "DELETE" => Ask::new(operation.method(), path),
                method if *operation == Operation::ImportPipelineSecrets => {
                    Ask::new(method, path).json(&json!({"AB": "v"}))
                }
                method => Ask::new(method, path).json(&body),
            }
        };
        match operation.needs() {
            Needs::InWorkspace(_) => {
                same(&stranger, ask(0, world.workspace), ask(0, ABSENT)).await;
            }
            Needs::OfPath(_) => {
                same(&stranger, ask(world.org, world.workspace), ask(world.org, ABSENT)).await;
                same(&stranger, ask(world.org, world.workspace), ask(ABSENT, ABSENT)).await;
                // A member by another organization's path.
                same(&world.caller("owner"), ask(world.foreign_org, world.workspace), ask(ABSENT, ABSENT))
                    .await;
            }
            Needs::Own => continue,
        }
        checked += 1;
    }
    assert!(checked >= 2 * Permission::ALL.len(), "{checked}");
}

async fn a_foreign_thing_and_one_that_does_not_exist_are_one_answer() {
    let world = World::make(harness().await).await;
    let (owner, stranger) = (world.caller("owner"), world.caller("stranger"));
    let elsewhere = |path: &str| format!("{path}?workspaceId={}", world.foreign_workspace);
    let body = json!({"name": "THEIRS", "value": "v"});
    let theirs = stranger.post(elsewhere("/pipeline-secrets"), &body).await.json();
    let own = stranger.post("/pipeline-secrets", &body).await.json();
    for secret in [&theirs["secretId"], &own["secretId"]] {
        for path in [world.inside("/pipeline-secrets/ID"), "/pipeline-secrets/ID".to_owned()] {
            let (foreign, absent) =
                (path.replace("ID", &secret.to_string()), path.replace("ID", &ABSENT.to_string()));
            let value = json!({"value": "w"});
            same(&owner, Ask::get(&foreign), Ask::get(&absent)).await;
            same(&owner, Ask::put(&foreign, &value), Ask::put(&absent, &value)).await;
            same(&owner, Ask::delete(&foreign), Ask::delete(&absent)).await;
            let history = |path: &str| Ask::get(path.replacen(['?'], "/history?", 1));
            if path.contains('?') {
                same(&owner, history(&foreign), history(&absent)).await;
            }
        }
    }
    let launch = json!({"platform": "aws-batch", "userSecrets": [], "workspaceSecrets": []});
    let run = stranger.post(elsewhere("/launches"), &launch).await.json();
    let alone = stranger.post("/launches", &launch).await.json();
    for run in [&run["workflowId"], &alone["workflowId"]] {
        let run = run.as_str().expect("an id");
        let ask = |id: &str| Ask::get(format!("/runs/{id}"));
        same(&owner, ask(run), ask(ABSENT_RUN)).await;
        let ask = |id: &str| Ask::get(world.inside(&format!("/runs/{id}")));
        same(&owner, ask(run), ask(ABSENT_RUN)).await;
    }
    let token = stranger.get("/tokens").await.json()["tokens"][0]["id"].clone();
    same(&owner, Ask::delete(format!("/tokens/{token}")), Ask::delete(format!("/tokens/{ABSENT}"))).await;
    let workspaces = |user: i64| Ask::get(format!("/user/{user}/workspaces"));
    same(&owner, workspaces(world.person("stranger").id), workspaces(ABSENT)).await;
    let org = |org: i64| Ask::get(format!("/orgs/{org}/workspaces"));
    same(&owner, org(world.foreign_org), org(ABSENT)).await;
    let participant = |user: i64| Ask::delete(world.below(&format!("/participants/{user}")));
    same(&owner, participant(world.person("stranger").id), participant(ABSENT)).await;
    // Nothing of theirs is gone.
    let _ = stranger.get("/user-info").await.json();
    assert_eq!(stranger.get(elsewhere("/pipeline-secrets")).await.json()["totalSize"], 1);
    assert_eq!(stranger.get("/pipeline-secrets").await.json()["totalSize"], 1);
}

async fn what_one_workspace_has_another_one_cannot_name() {
    let world = World::make(harness().await).await;
    world.secret("OURS", "v").await;
    let stranger = world.caller("stranger");
    let elsewhere = format!("?workspaceId={}", world.foreign_workspace);
    let launch = json!({"platform": "aws-batch", "workspaceSecrets": ["OURS"]});
    let ours = stranger.post(format!("/launches{elsewhere}"), &launch).await;
    let launch = json!({"platform": "aws-batch", "workspaceSecrets": ["NONE"]});
    let none = stranger.post(format!("/launches{elsewhere}"), &launch).await;
    assert_eq!(ours.problem(422).replace("OURS", "NONE"), none.problem(422));
    let runs = stranger.get(format!("/runs{elsewhere}")).await.json();
    assert_eq!(runs["runs"], json!([]), "nothing was created");
    stranger.get(format!("/pipeline-secrets/validate{elsewhere}&name=OURS")).await.no_content();
}

async fn a_run_token_of_another_run_and_of_none_are_one_answer() {
    let world = World::make(harness().await).await;
    let launch = json!({"platform": "slurm", "userSecrets": [], "workspaceSecrets": []});
    let run = world.caller("launch").post(world.inside("/launches"), &launch).await.json();
    let id = run["workflowId"].as_str().expect("an id");
    let forged = |run: &str| {
        use base64::Engine as _;
        let text = format!("{{\"tid\":\"{run}\"}}.{}", "0".repeat(40));
        Caller::bearer(&world.harness, &base64::engine::general_purpose::STANDARD.encode(text))
    };
    for operation in Operation::ALL.iter().filter(|it| it.credential() == Credential::Run) {
        let ask = |run: &str| {
            let path = operation.path().replace("{workflowId}", run);
            let body = json!({"success": true, "jobId": "j", "jobQueue": "q", "region": "us-east-1"});
            Ask::new(operation.method(), path).json(&body)
        };
        let foreign = forged(id).ask(ask(id)).await;
        let absent = forged(ABSENT_RUN).ask(ask(ABSENT_RUN)).await;
        let status = if *operation == Operation::TraceCreate { 403 } else { 404 };
        let _ = foreign.problem(status);
        assert_eq!(foreign.distinguishable(), absent.distinguishable(), "{}", operation.id());
    }
    let claim = |run: &str| Ask::new("POST", format!("/runs/{run}/claim"));
    let wrong = Caller::bearer(&world.harness, &"w".repeat(43));
    same(&wrong, claim(id), claim(ABSENT_RUN)).await;
    let receipt = world.caller("launch").get(world.inside(&format!("/runs/{id}"))).await.json();
    assert_eq!(receipt["state"], "pending");
}
