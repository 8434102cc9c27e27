//! Repeated requests, concurrent requests, and changes with a stale version.

use std::collections::BTreeSet;

use end_to_end::{Answer, ApiRequest, MARK, World};
use futures_util::stream::{self, StreamExt as _};
use libtest_mimic::Trial;
use serde_json::json;

use crate::secrets::created;
use crate::trial::{harness, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        a_repeated_creation_with_the_same_key_is_replayed,
        idempotency_keys_are_scoped_to_the_user_and_the_operation,
        a_repeated_import_is_replayed,
        a_change_with_a_stale_version_is_rejected,
        a_hundred_writers_lose_no_version,
        one_of_a_hundred_creations_of_a_name_succeeds,
        a_repeated_launch_returns_the_same_run_with_new_tokens,
    ]
}

const KEY: &str = "a-key-of-one-request";

/// Sends requests concurrently, at most sixteen at a time: each runs in a separate function process
/// on few cores. The store's unit tests run a hundred concurrent writers.
async fn concurrently(requests: impl Iterator<Item = impl Future<Output = Answer>>) -> Vec<Answer> {
    stream::iter(requests).buffer_unordered(16).collect().await
}

async fn world() -> World {
    World::make(harness().await).await
}

fn create(world: &World, name: &str, value: &str, key: &str) -> ApiRequest {
    let body = json!({"name": name, "value": value});
    ApiRequest::post(world.inside("/pipeline-secrets"), &body).header("idempotency-key", key)
}

async fn a_repeated_creation_with_the_same_key_is_replayed() {
    let world = world().await;
    let owner = world.caller("owner");
    // Without a key, a repeated creation is a duplicate. Terraform relies on this after a lost
    // answer.
    created(&owner.post(world.inside("/pipeline-secrets"), &json!({"name": "PLAIN", "value": MARK})).await);
    let duplicate =
        owner.post(world.inside("/pipeline-secrets"), &json!({"name": "PLAIN", "value": MARK})).await;
    assert!(duplicate.problem(409).contains("already exists"));

    let id = created(&owner.send(create(&world, "KEYED", MARK, KEY)).await);
    let rows = world.rows().await;
    assert_eq!(created(&owner.send(create(&world, "KEYED", MARK, KEY)).await), id);
    let message = owner.send(create(&world, "KEYED", &format!("{MARK}2"), KEY)).await.problem(422);
    assert!(message.contains("Idempotency-Key"), "{message}");
    let _ = owner.send(create(&world, "OTHER", MARK, KEY)).await.problem(422);
    let elsewhere = ApiRequest::post("/pipeline-secrets", &json!({"name": "KEYED", "value": MARK}));
    let _ = owner.send(elsewhere.header("idempotency-key", KEY)).await.problem(422);
    assert_eq!(world.rows().await, rows);
    // After the secret is deleted, a replay does not create it again.
    owner.delete(world.inside(&format!("/pipeline-secrets/{id}"))).await.no_content();
    assert_eq!(created(&owner.send(create(&world, "KEYED", MARK, KEY)).await), id);
    assert_eq!(world.names().await, ["PLAIN"]);
}

async fn idempotency_keys_are_scoped_to_the_user_and_the_operation() {
    let world = world().await;
    let one = created(&world.caller("owner").send(create(&world, "AA", "v", KEY)).await);
    let other = created(&world.caller("admin").send(create(&world, "BB", "v", KEY)).await);
    assert_ne!(one, other);
    let next = created(&world.caller("owner").send(create(&world, "CC", "v", &format!("{KEY}-2"))).await);
    assert_ne!(next, one);
    // Launches have separate keys.
    let launch = || {
        ApiRequest::post(world.inside("/launches"), &json!({"platform": "slurm"}))
            .header("idempotency-key", KEY)
    };
    let launched = world.caller("owner").send(launch()).await.json();
    assert_eq!(world.caller("owner").send(launch()).await.json()["workflowId"], launched["workflowId"]);
    // A rejected request does not use up its key.
    let taken = world.caller("owner").send(create(&world, "AA", "v", &format!("{KEY}-3"))).await;
    let _ = taken.problem(409);
    created(&world.caller("owner").send(create(&world, "DD", "v", &format!("{KEY}-3"))).await);
}

async fn a_repeated_import_is_replayed() {
    let world = world().await;
    let import = |value: &str| {
        let body = json!({"AA": value, "BB": MARK});
        ApiRequest::post(world.inside("/pipeline-secrets/import"), &body).header("idempotency-key", KEY)
    };
    let first = world.caller("owner").send(import(MARK)).await.json();
    let rows = world.rows().await;
    assert_eq!(world.caller("owner").send(import(MARK)).await.json(), first);
    let _ = world.caller("owner").send(import("another")).await.problem(422);
    assert_eq!(world.rows().await, rows);
}

async fn a_change_with_a_stale_version_is_rejected() {
    let world = world().await;
    let id = world.secret("GUARDED", "v").await;
    let one = world.inside(&format!("/pipeline-secrets/{id}"));
    let owner = world.caller("owner");
    let put = |tag: &str| ApiRequest::put(&one, &json!({"value": MARK})).header("if-match", tag);
    let first = owner.get(&one).await.header("etag").to_owned();
    let updated = owner.send(put(&first)).await;
    updated.no_content();
    let second = updated.header("etag").to_owned();
    assert_ne!(first, second);
    let rows = world.rows().await;
    for stale in [first.as_str(), "\"0\"", "\"99\"", "W/\"2\"", "\"x\"", "x", ""] {
        let message = owner.send(put(stale)).await.problem(412);
        assert!(message.contains("changed after you read it"), "{message}");
        let _ = owner.send(ApiRequest::delete(&one).header("if-match", stale)).await.problem(412);
    }
    assert_eq!(world.rows().await, rows);
    owner.send(put("*")).await.no_content();
    owner.put(&one, &json!({"value": MARK})).await.no_content();
    let tag = owner.get(&one).await.header("etag").to_owned();
    assert_eq!(tag, "\"4\"");
    owner.send(ApiRequest::delete(&one).header("if-match", tag)).await.no_content();
}

async fn a_hundred_writers_lose_no_version() {
    let world = world().await;
    let id = world.secret("CONTENDED", "v").await;
    let one = world.inside(&format!("/pipeline-secrets/{id}"));
    let (owner, admin) = (world.caller("owner"), world.caller("admin"));
    let writers = (0..100).map(|writer| {
        let caller = if writer % 2 == 0 { &owner } else { &admin };
        caller.send(ApiRequest::put(&one, &json!({"value": format!("{MARK} {writer}")})))
    });
    let answers = concurrently(writers).await;
    let mut written = BTreeSet::from([1]);
    for answer in &answers {
        if answer.status == 204 {
            answer.no_content();
            let version: u64 = answer.header("etag").trim_matches('"').parse().expect("a version");
            assert!(written.insert(version), "version {version} was written twice");
        } else {
            let _ = answer.problem(429);
            assert!(answer.header("retry-after").parse::<u32>().is_ok(), "{answer:?}");
        }
    }
    let last = written.len() as u64;
    assert_eq!(written, (1..=last).collect());
    let history = owner.get(world.inside(&format!("/pipeline-secrets/{id}/history"))).await.json();
    let versions: Vec<_> = history["versions"]
        .as_array()
        .expect("versions")
        .iter()
        .filter_map(|it| it["version"].as_u64())
        .collect();
    assert_eq!(versions, (1..=last).rev().collect::<Vec<_>>());
    assert!(last > 1, "no writer succeeded");
}

async fn one_of_a_hundred_creations_of_a_name_succeeds() {
    let world = world().await;
    let owner = world.caller("owner");
    let path = world.inside("/pipeline-secrets");
    let body = json!({"name": "ONCE", "value": MARK});
    let answers = concurrently((0..100).map(|_| owner.post(&path, &body))).await;
    let mut ids = Vec::new();
    for answer in &answers {
        match answer.status {
            200 => ids.push(created(answer)),
            _ => assert!(answer.problem(409).contains("already exists")),
        }
    }
    assert_eq!(ids.len(), 1);
    let list = owner.get(&path).await.json();
    assert_eq!((&list["totalSize"], &list["pipelineSecrets"][0]["id"]), (&json!(1), &json!(ids[0])));
}

async fn a_repeated_launch_returns_the_same_run_with_new_tokens() {
    let world = world().await;
    let launcher = world.caller("launch");
    let launch = |platform: &str| {
        let body = json!({"platform": platform, "userSecrets": [], "workspaceSecrets": []});
        ApiRequest::post(world.inside("/launches"), &body).header("idempotency-key", KEY)
    };
    let first = launcher.send(launch("slurm")).await.json();
    let replayed = launcher.send(launch("slurm")).await.json();
    for token in ["runToken", "claimToken"] {
        for answer in [&first, &replayed] {
            world.harness.record_token(answer[token].as_str().expect("a token"));
        }
        assert_ne!(first[token], replayed[token]);
    }
    assert_eq!(first["workflowId"], replayed["workflowId"]);
    let _ = launcher.send(launch("aws-batch")).await.problem(422);
    let run = first["workflowId"].as_str().expect("an id");
    let claim = |answer: &serde_json::Value| {
        let token = answer["claimToken"].as_str().expect("a token").to_owned();
        let caller = end_to_end::Caller::bearer(&world.harness, &token);
        async move { caller.send(ApiRequest::new("POST", format!("/runs/{run}/claim"))).await }
    };
    // The old tokens no longer work.
    let _ = claim(&first).await.problem(404);
    assert_eq!(claim(&replayed).await.json(), json!([]));
    let _ = claim(&replayed).await.problem(410);
    // After the claim, a replay returns the run without tokens.
    let shown = launcher.send(launch("slurm")).await.json();
    assert_eq!((&shown["workflowId"], &shown["state"]), (&first["workflowId"], &json!("running")));
    assert!(shown["runToken"].is_null() && shown["claimToken"].is_null(), "{shown}");
}
