//! Resources of others and absent resources give identical answers: status, headers and body.

use domain::role::Permission;
use end_to_end::{ApiRequest, Caller, World};
use http_api::Operation;
use http_api::operation::{Credential, Needs};
use libtest_mimic::Trial;
use serde_json::json;

use crate::trial::{harness, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        inaccessible_and_absent_workspaces_give_the_same_answer,
        inaccessible_and_absent_resources_give_the_same_answer,
        a_workspace_cannot_use_another_workspaces_secrets,
        forged_tokens_of_existing_and_absent_runs_give_the_same_answer,
    ]
}

/// An unused id: ids are random numbers below 2^53.
const ABSENT: i64 = 4_503_599_627_370_497;
const ABSENT_RUN: &str = "ABCDEFGHIJKLMN";

async fn same(caller: &Caller, inaccessible: ApiRequest, absent: ApiRequest) {
    let (inaccessible, absent) = (caller.send(inaccessible).await, caller.send(absent).await);
    assert_eq!(inaccessible.status, 404, "{inaccessible:?}");
    assert_eq!(inaccessible.comparable_parts(), absent.comparable_parts());
}

async fn inaccessible_and_absent_workspaces_give_the_same_answer() {
    let world = World::make(harness().await).await;
    let secret = world.secret("THEIRS", "v").await;
    let stranger = world.caller("stranger");
    let mut checked = 0;
    for operation in Operation::ALL.iter().filter(|it| it.credential() == Credential::User) {
        let request = |org: i64, workspace: i64| {
            let path = operation
                .path()
                .replace("{secretId}", &secret.to_string())
                .replace("{workflowId}", ABSENT_RUN)
                .replace("{credentialsId}", &"0".repeat(22))
                .replace("{computeEnvId}", &"0".repeat(22))
                .replace("{orgId}", &org.to_string())
                .replace("{workspaceId}", &workspace.to_string())
                .replace("{participantId}", &world.person("view").id.to_string());
            let body = match *operation {
                Operation::LaunchRun | Operation::PreviewLaunch => json!({"platform": "aws-batch"}),
                Operation::UpdateWorkspacePlatforms => json!({"platforms": []}),
                Operation::CreateCredentials | Operation::UpdateCredentials => {
                    json!({"credentials": {"name": "AB", "provider": "aws",
                        "keys": {"assumeRoleArn": "arn:aws:iam::210987654321:role/pipeline-secrets-lab"}}})
                }
                Operation::CreateComputeEnv => json!({"computeEnv": {"name": "AB", "platform": "aws-batch",
                    "credentialsId": "0".repeat(22), "config": {"region": "eu-west-1"}}}),
                _ => json!({"name": "AB", "value": "v", "role": "view",
                    "memberId": world.person("stranger").id}),
            };
            let path = match operation.needs() {
                Needs::InWorkspace(_) if path.ends_with("/validate") => {
                    format!("{path}?workspaceId={workspace}&name=AB")
                }
                Needs::InWorkspace(_) => format!("{path}?workspaceId={workspace}"),
                Needs::OfPath(_) | Needs::Own => path,
            };
            match operation.method() {
                "GET" | "DELETE" => ApiRequest::new(operation.method(), path),
                method if *operation == Operation::ImportPipelineSecrets => {
                    ApiRequest::new(method, path).json(&json!({"AB": "v"}))
                }
                method => ApiRequest::new(method, path).json(&body),
            }
        };
        match operation.needs() {
            Needs::InWorkspace(_) => {
                same(&stranger, request(0, world.workspace), request(0, ABSENT)).await;
            }
            Needs::OfPath(_) => {
                same(&stranger, request(world.org, world.workspace), request(world.org, ABSENT)).await;
                same(&stranger, request(world.org, world.workspace), request(ABSENT, ABSENT)).await;
                // A member, with another organization in the path.
                same(
                    &world.caller("owner"),
                    request(world.other_org, world.workspace),
                    request(ABSENT, ABSENT),
                )
                .await;
            }
            Needs::Own => continue,
        }
        checked += 1;
    }
    assert!(checked >= 2 * Permission::ALL.len(), "{checked}");
}

async fn inaccessible_and_absent_resources_give_the_same_answer() {
    let world = World::make(harness().await).await;
    let (owner, stranger) = (world.caller("owner"), world.caller("stranger"));
    let elsewhere = |path: &str| format!("{path}?workspaceId={}", world.other_workspace);
    let body = json!({"name": "THEIRS", "value": "v"});
    let workspace_secret = stranger.post(elsewhere("/pipeline-secrets"), &body).await.json();
    let user_secret = stranger.post("/pipeline-secrets", &body).await.json();
    for secret in [&workspace_secret["secretId"], &user_secret["secretId"]] {
        for path in [world.inside("/pipeline-secrets/ID"), "/pipeline-secrets/ID".to_owned()] {
            let (inaccessible, absent) =
                (path.replace("ID", &secret.to_string()), path.replace("ID", &ABSENT.to_string()));
            let value = json!({"value": "w"});
            same(&owner, ApiRequest::get(&inaccessible), ApiRequest::get(&absent)).await;
            same(&owner, ApiRequest::put(&inaccessible, &value), ApiRequest::put(&absent, &value)).await;
            same(&owner, ApiRequest::delete(&inaccessible), ApiRequest::delete(&absent)).await;
            let history = |path: &str| ApiRequest::get(path.replacen(['?'], "/history?", 1));
            if path.contains('?') {
                same(&owner, history(&inaccessible), history(&absent)).await;
            }
        }
    }
    let launch = json!({"platform": "aws-batch", "userSecrets": [], "workspaceSecrets": []});
    let run = stranger.post(elsewhere("/launches"), &launch).await.json();
    let user_run = stranger.post("/launches", &launch).await.json();
    for run in [&run["workflowId"], &user_run["workflowId"]] {
        let run = run.as_str().expect("an id");
        let request = |id: &str| ApiRequest::get(format!("/runs/{id}"));
        same(&owner, request(run), request(ABSENT_RUN)).await;
        let request = |id: &str| ApiRequest::get(world.inside(&format!("/runs/{id}")));
        same(&owner, request(run), request(ABSENT_RUN)).await;
    }
    let token = stranger.get("/tokens").await.json()["tokens"][0]["id"].clone();
    same(
        &owner,
        ApiRequest::delete(format!("/tokens/{token}")),
        ApiRequest::delete(format!("/tokens/{ABSENT}")),
    )
    .await;
    let workspaces = |user: i64| ApiRequest::get(format!("/user/{user}/workspaces"));
    same(&owner, workspaces(world.person("stranger").id), workspaces(ABSENT)).await;
    for path in ["", "/members", "/workspaces"] {
        let org = |org: i64| ApiRequest::get(format!("/orgs/{org}{path}"));
        same(&owner, org(world.other_org), org(ABSENT)).await;
    }
    let leave = |org: i64, workspace: i64| {
        ApiRequest::delete(format!("/orgs/{org}/workspaces/{workspace}/participants"))
    };
    same(&owner, leave(world.other_org, world.other_workspace), leave(world.other_org, ABSENT)).await;
    same(&owner, leave(world.other_org, world.workspace), leave(ABSENT, world.workspace)).await;
    let participant = |user: i64| ApiRequest::delete(world.below(&format!("/participants/{user}")));
    same(&owner, participant(world.person("stranger").id), participant(ABSENT)).await;
    // The stranger's resources still exist.
    let _ = stranger.get("/user-info").await.json();
    assert_eq!(stranger.get(elsewhere("/pipeline-secrets")).await.json()["totalSize"], 1);
    assert_eq!(stranger.get("/pipeline-secrets").await.json()["totalSize"], 1);
}

async fn a_workspace_cannot_use_another_workspaces_secrets() {
    let world = World::make(harness().await).await;
    world.secret("OURS", "v").await;
    let stranger = world.caller("stranger");
    let elsewhere = format!("?workspaceId={}", world.other_workspace);
    let launch = json!({"platform": "aws-batch", "workspaceSecrets": ["OURS"]});
    let ours = stranger.post(format!("/launches{elsewhere}"), &launch).await;
    let launch = json!({"platform": "aws-batch", "workspaceSecrets": ["NONE"]});
    let none = stranger.post(format!("/launches{elsewhere}"), &launch).await;
    assert_eq!(ours.problem(422).replace("OURS", "NONE"), none.problem(422));
    let runs = stranger.get(format!("/runs{elsewhere}")).await.json();
    assert_eq!(runs["runs"], json!([]), "nothing was created");
    stranger.get(format!("/pipeline-secrets/validate{elsewhere}&name=OURS")).await.no_content();
}

async fn forged_tokens_of_existing_and_absent_runs_give_the_same_answer() {
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
        let request = |run: &str| {
            let path = operation.path().replace("{workflowId}", run);
            let body = json!({"success": true, "jobId": "j", "jobQueue": "q", "region": "us-east-1"});
            ApiRequest::new(operation.method(), path).json(&body)
        };
        let existing = forged(id).send(request(id)).await;
        let absent = forged(ABSENT_RUN).send(request(ABSENT_RUN)).await;
        if operation.is_trace() {
            // Any well-formed run token gets the answer for the run that it names.
            for answer in [existing, absent] {
                assert_eq!(answer.json()["status"], "OK", "{}", operation.id());
            }
            continue;
        }
        let _ = existing.problem(404);
        assert_eq!(existing.comparable_parts(), absent.comparable_parts(), "{}", operation.id());
    }
    let claim = |run: &str| ApiRequest::new("POST", format!("/runs/{run}/claim"));
    let wrong = Caller::bearer(&world.harness, &"w".repeat(43));
    same(&wrong, claim(id), claim(ABSENT_RUN)).await;
    let receipt = world.caller("launch").get(world.inside(&format!("/runs/{id}"))).await.json();
    assert_eq!(receipt["state"], "pending");
}
