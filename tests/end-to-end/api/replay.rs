//! The same request twice, requests at once, and changes that were decided on an older version.

use std::collections::BTreeSet;

use end_to_end::{Answer, Ask, MARK, World};
use futures_util::stream::{self, StreamExt as _};
use libtest_mimic::Trial;
use serde_json::json;

use crate::secrets::created;
use crate::trial::{harness, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        a_creation_that_is_repeated_under_its_key_is_answered_again,
        a_key_is_its_users_own_and_its_requests_own,
        a_repeated_import_is_answered_again,
        a_change_of_another_version_is_refused,
        a_hundred_writers_lose_no_version,
        a_hundred_creations_of_a_name_have_one_winner,
        a_repeated_launch_is_the_same_run_with_new_tokens,
    ]
}

const KEY: &str = "a-key-of-one-request";

/// Sixteen at any moment: each is served by a process of its own, and these share few cores. The store's own tests set
/// a hundred against one another.
async fn at_once(asked: impl Iterator<Item = impl Future<Output = Answer>>) -> Vec<Answer> {
    stream::iter(asked).buffer_unordered(16).collect().await
}

async fn world() -> World {
    World::make(harness().await).await
}

fn create(world: &World, name: &str, value: &str, key: &str) -> Ask {
    let body = json!({"name": name, "value": value});
    Ask::post(world.inside("/pipeline-secrets"), &body).header("idempotency-key", key)
}

async fn a_creation_that_is_repeated_under_its_key_is_answered_again() {
    let world = world().await;
    let owner = world.caller("owner");
    // Without a key it is a plain duplicate: so Terraform finds out that a lost answer was a success.
    created(&owner.post(world.inside("/pipeline-secrets"), &json!({"name": "PLAIN", "value": MARK})).await);
    let again = owner.post(world.inside("/pipeline-secrets"), &json!({"name": "PLAIN", "value": MARK})).await;
    assert!(again.problem(409).contains("already exists"));

    let id = created(&owner.ask(create(&world, "KEYED", MARK, KEY)).await);
    let rows = world.rows().await;
    assert_eq!(created(&owner.ask(create(&world, "KEYED", MARK, KEY)).await), id);
    let message = owner.ask(create(&world, "KEYED", &format!("{MARK}2"), KEY)).await.problem(422);
    assert!(message.contains("Idempotency-Key"), "{message}");
    let _ = owner.ask(create(&world, "OTHER", MARK, KEY)).await.problem(422);
    let elsewhere = Ask::post("/pipeline-secrets", &json!({"name": "KEYED", "value": MARK}));
    let _ = owner.ask(elsewhere.header("idempotency-key", KEY)).await.problem(422);
    assert_eq!(world.rows().await, rows);
    // What it made may be gone by now: it is not made a second time.
    owner.delete(world.inside(&format!("/pipeline-secrets/{id}"))).await.no_content();
    assert_eq!(created(&owner.ask(create(&world, "KEYED", MARK, KEY)).await), id);
    assert_eq!(world.names().await, ["PLAIN"]);
}

async fn a_key_is_its_users_own_and_its_requests_own() {
    let world = world().await;
    let one = created(&world.caller("owner").ask(create(&world, "AA", "v", KEY)).await);
    let other = created(&world.caller("admin").ask(create(&world, "BB", "v", KEY)).await);
    assert_ne!(one, other);
    let next = created(&world.caller("owner").ask(create(&world, "CC", "v", &format!("{KEY}-2"))).await);
    assert_ne!(next, one);
    // Launches have keys of their own.
    let launch =
        || Ask::post(world.inside("/launches"), &json!({"platform": "slurm"})).header("idempotency-key", KEY);
    let launched = world.caller("owner").ask(launch()).await.json();
    assert_eq!(world.caller("owner").ask(launch()).await.json()["workflowId"], launched["workflowId"]);
    // A refused request is not remembered.
    let taken = world.caller("owner").ask(create(&world, "AA", "v", &format!("{KEY}-3"))).await;
    let _ = taken.problem(409);
    created(&world.caller("owner").ask(create(&world, "DD", "v", &format!("{KEY}-3"))).await);
}

async fn a_repeated_import_is_answered_again() {
    let world = world().await;
    let import = |value: &str| {
        let body = json!({"AA": value, "BB": MARK});
        Ask::post(world.inside("/pipeline-secrets/import"), &body).header("idempotency-key", KEY)
    };
    let first = world.caller("owner").ask(import(MARK)).await.json();
    let rows = world.rows().await;
    assert_eq!(world.caller("owner").ask(import(MARK)).await.json(), first);
    let _ = world.caller("owner").ask(import("another")).await.problem(422);
    assert_eq!(world.rows().await, rows);
}

async fn a_change_of_another_version_is_refused() {
    let world = world().await;
    let id = world.secret("GUARDED", "v").await;
    let one = world.inside(&format!("/pipeline-secrets/{id}"));
    let owner = world.caller("owner");
    let put = |tag: &str| Ask::put(&one, &json!({"value": MARK})).header("if-match", tag);
    let first = owner.get(&one).await.header("etag").to_owned();
    let updated = owner.ask(put(&first)).await;
    updated.no_content();
    let second = updated.header("etag").to_owned();
    assert_ne!(first, second);
    let rows = world.rows().await;
    for stale in [first.as_str(), "\"0\"", "\"99\"", "W/\"2\"", "\"x\"", "x", ""] {
        let message = owner.ask(put(stale)).await.problem(412);
        assert!(message.contains("changed since"), "{message}");
        let _ = owner.ask(Ask::delete(&one).header("if-match", stale)).await.problem(412);
    }
    assert_eq!(world.rows().await, rows);
    owner.ask(put("*")).await.no_content();
    owner.put(&one, &json!({"value": MARK})).await.no_content();
    let tag = owner.get(&one).await.header("etag").to_owned();
    assert_eq!(tag, "\"4\"");
    owner.ask(Ask::delete(&one).header("if-match", tag)).await.no_content();
}

async fn a_hundred_writers_lose_no_version() {
    let world = world().await;
    let id = world.secret("CONTENDED", "v").await;
    let one = world.inside(&format!("/pipeline-secrets/{id}"));
    let (owner, admin) = (world.caller("owner"), world.caller("admin"));
    let writers = (0..100).map(|writer| {
        let caller = if writer % 2 == 0 { &owner } else { &admin };
        caller.ask(Ask::put(&one, &json!({"value": format!("{MARK} {writer}")})))
    });
    let answers = at_once(writers).await;
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
    assert!(last > 1, "nobody got through");
}

async fn a_hundred_creations_of_a_name_have_one_winner() {
    let world = world().await;
    let owner = world.caller("owner");
    let path = world.inside("/pipeline-secrets");
    let body = json!({"name": "ONCE", "value": MARK});
    let answers = at_once((0..100).map(|_| owner.post(&path, &body))).await;
    let mut winners = Vec::new();
    for answer in &answers {
        match answer.status {
            200 => winners.push(created(answer)),
            _ => assert!(answer.problem(409).contains("already exists")),
        }
    }
    assert_eq!(winners.len(), 1);
    let list = owner.get(&path).await.json();
    assert_eq!((&list["totalSize"], &list["pipelineSecrets"][0]["id"]), (&json!(1), &json!(winners[0])));
}

async fn a_repeated_launch_is_the_same_run_with_new_tokens() {
    let world = world().await;
    let launcher = world.caller("launch");
    let launch = |platform: &str| {
        let body = json!({"platform": platform, "userSecrets": [], "workspaceSecrets": []});
        Ask::post(world.inside("/launches"), &body).header("idempotency-key", KEY)
    };
    let first = launcher.ask(launch("slurm")).await.json();
    let again = launcher.ask(launch("slurm")).await.json();
    for token in ["runToken", "claimToken"] {
        for answer in [&first, &again] {
            world.harness.handed_out(answer[token].as_str().expect("a token"));
        }
        assert_ne!(first[token], again[token]);
    }
    assert_eq!(first["workflowId"], again["workflowId"]);
    let _ = launcher.ask(launch("aws-batch")).await.problem(422);
    let run = first["workflowId"].as_str().expect("an id");
    let claim = |answer: &serde_json::Value| {
        let token = answer["claimToken"].as_str().expect("a token").to_owned();
        let caller = end_to_end::Caller::bearer(&world.harness, &token);
        async move { caller.ask(Ask::new("POST", format!("/runs/{run}/claim"))).await }
    };
    // The old tokens are dead.
    let _ = claim(&first).await.problem(404);
    assert_eq!(claim(&again).await.json(), json!([]));
    let _ = claim(&again).await.problem(410);
    // Once it is claimed the run is shown, and no tokens.
    let shown = launcher.ask(launch("slurm")).await.json();
    assert_eq!((&shown["workflowId"], &shown["state"]), (&first["workflowId"], &json!("running")));
    assert!(shown["runToken"].is_null() && shown["claimToken"].is_null(), "{shown}");
}
