//! Pipeline secrets over HTTP: status codes, fields, nulls, dates, messages.

use end_to_end::{Answer, ApiRequest, MARK, World};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::trial::{harness, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        a_workspace_secret_has_the_documented_lifecycle,
        a_user_secret_has_the_same_lifecycle_and_is_separate,
        an_empty_list_is_an_empty_array,
        description_and_expiry_appear_only_if_set,
        a_name_can_be_validated,
        a_taken_name_is_rejected_in_any_case_with_the_message_that_clients_match,
        the_history_lists_every_version,
        the_workspace_in_the_body_must_match_the_query,
        unknown_fields_are_ignored,
    ]
}

async fn world() -> World {
    World::make(harness().await).await
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap_or_else(|| panic!("{value} is not an object"))
        .keys()
        .map(String::as_str)
        .collect()
}

/// `2026-01-31T23:59:59Z`
pub(crate) fn is_date(value: &Value) -> bool {
    value.as_str().is_some_and(|text| {
        let shape: String = text.chars().map(|it| if it.is_ascii_digit() { '0' } else { it }).collect();
        shape == "0000-00-00T00:00:00Z"
    })
}

/// Returns the id in the answer to a creation.
#[track_caller]
pub(crate) fn created(answer: &Answer) -> i64 {
    let body = answer.json();
    assert_eq!(keys(&body), ["secretId"]);
    let id = body["secretId"].as_i64().unwrap_or_default();
    assert!((1..1 << 53).contains(&id), "{body}");
    id
}

async fn a_workspace_secret_has_the_documented_lifecycle() {
    let world = world().await;
    full_lifecycle(&world, |path| world.inside(path)).await;
}

async fn a_user_secret_has_the_same_lifecycle_and_is_separate() {
    let world = world().await;
    world.secret("LICENCE", "the workspace's").await;
    full_lifecycle(&world, str::to_owned).await;
    assert_eq!(world.names().await, ["LICENCE"]);
}

async fn full_lifecycle(world: &World, path: impl Fn(&str) -> String) {
    let owner = world.caller("owner");
    let body = json!({"name": "LICENCE", "value": format!("{MARK} one\ntwo\n")});
    let id = created(&owner.post(path("/pipeline-secrets"), &body).await);
    let one = path(&format!("/pipeline-secrets/{id}"));

    let list = owner.get(path("/pipeline-secrets")).await.json();
    assert_eq!(keys(&list), ["pipelineSecrets", "totalSize"]);
    assert_eq!(list["totalSize"], 1);
    let listed = &list["pipelineSecrets"][0];
    assert_eq!(keys(listed), ["dateCreated", "id", "lastUpdated", "lastUsed", "name"]);
    assert_eq!((&listed["id"], &listed["name"]), (&json!(id), &json!("LICENCE")));
    assert!(listed["lastUsed"].is_null() && is_date(&listed["dateCreated"]), "{listed}");
    assert_eq!(listed["dateCreated"], listed["lastUpdated"]);

    let described = owner.get(&one).await;
    assert_eq!(described.json(), json!({"pipelineSecret": listed}));
    assert_eq!(described.header("etag"), "\"1\"");

    let updated = owner.put(&one, &json!({"value": format!("{MARK} three")})).await;
    updated.no_content();
    assert_eq!(updated.header("etag"), "\"2\"");
    let described = owner.get(&one).await.json();
    let secret = &described["pipelineSecret"];
    assert_eq!((&secret["id"], &secret["dateCreated"]), (&listed["id"], &listed["dateCreated"]));
    assert!(secret["lastUpdated"].as_str() >= listed["lastUpdated"].as_str(), "{secret}");

    owner.delete(&one).await.no_content();
    let message = owner.delete(&one).await.problem(404);
    assert_eq!(message, "Not found: the resource does not exist, or you do not have access to it.");
    let _ = owner.get(&one).await.problem(404);
    let _ = owner.put(&one, &json!({"value": "v"})).await.problem(404);
    let _ = owner.get(path(&format!("/pipeline-secrets/{id}/history"))).await.problem(404);
    assert_eq!(owner.get(path("/pipeline-secrets")).await.json()["totalSize"], 0);
    // The name can be used again, for another secret.
    assert_ne!(created(&owner.post(path("/pipeline-secrets"), &body).await), id);
}

async fn an_empty_list_is_an_empty_array() {
    let world = world().await;
    let empty = json!({"pipelineSecrets": [], "totalSize": 0});
    assert_eq!(world.caller("view").get(world.inside("/pipeline-secrets")).await.json(), empty);
    assert_eq!(world.caller("view").get("/pipeline-secrets").await.json(), empty);
}

async fn description_and_expiry_appear_only_if_set() {
    let world = world().await;
    let owner = world.caller("owner");
    let described = "=cmd|' /C calc'!A0 <b>é</b>";
    let body = json!({"name": "NOTED", "value": "v", "description": described, "expires": "2999-01-31T00:00:00+01:00"});
    let id = created(&owner.post(world.inside("/pipeline-secrets"), &body).await);
    let one = world.inside(&format!("/pipeline-secrets/{id}"));
    let secret = owner.get(&one).await.json();
    assert_eq!(secret["pipelineSecret"]["description"], described);
    assert_eq!(secret["pipelineSecret"]["expires"], "2999-01-30T23:00:00Z");

    owner.put(&one, &json!({"value": "v2"})).await.no_content();
    let kept = owner.get(&one).await.json();
    assert_eq!(kept["pipelineSecret"]["description"], described);

    owner.put(&one, &json!({"value": "v3", "description": null, "expires": null})).await.no_content();
    let secret = owner.get(&one).await.json();
    let fields = keys(&secret["pipelineSecret"]);
    assert_eq!(fields, ["dateCreated", "id", "lastUpdated", "lastUsed", "name"]);
}

async fn a_name_can_be_validated() {
    let world = world().await;
    world.secret("TAKEN", "v").await;
    let path = |name: &str| world.inside(&format!("/pipeline-secrets/validate?name={name}"));
    let viewer = world.caller("view");
    viewer.get(path("FREE")).await.no_content();
    assert!(viewer.get(path("TAKEN")).await.problem(409).contains("already exists"));
    assert!(viewer.get(path("taken")).await.problem(409).contains("already exists"));
    assert!(viewer.get(path("1X")).await.problem(400).contains("name"));
    assert!(viewer.get(world.inside("/pipeline-secrets/validate")).await.problem(400).contains("name"));
    viewer.get("/pipeline-secrets/validate?name=TAKEN").await.no_content();
}

async fn a_taken_name_is_rejected_in_any_case_with_the_message_that_clients_match() {
    let world = world().await;
    world.secret("NCBI_API_KEY", "v").await;
    let rows = world.rows().await;
    for name in ["NCBI_API_KEY", "ncbi_api_key", "Ncbi_Api_Key"] {
        let body = json!({"name": name, "value": MARK});
        let refused = world.caller("admin").post(world.inside("/pipeline-secrets"), &body).await;
        assert!(refused.problem(409).contains("already exists"));
    }
    assert_eq!(world.rows().await, rows);
}

async fn the_history_lists_every_version() {
    let world = world().await;
    let id = world.secret("ROTATED", MARK).await;
    let one = world.inside(&format!("/pipeline-secrets/{id}"));
    for by in ["admin", "owner"] {
        world.caller(by).put(&one, &json!({"value": MARK})).await.no_content();
    }
    let path = world.inside(&format!("/pipeline-secrets/{id}/history"));
    let history = world.caller("view").get(path).await.json();
    assert_eq!(history["totalSize"], 3);
    let versions = history["versions"].as_array().expect("versions");
    let listed: Vec<_> = versions.iter().map(|it| (it["version"].clone(), it["writtenBy"].clone())).collect();
    let (owner, admin) = (json!(world.person("owner").id), json!(world.person("admin").id));
    assert_eq!(listed, [(json!(3), owner.clone()), (json!(2), admin), (json!(1), owner)]);
    assert!(versions[0]["dateReplaced"].is_null());
    for version in versions {
        assert_eq!(keys(version), ["dateReplaced", "dateWritten", "version", "writtenBy"]);
        assert!(is_date(&version["dateWritten"]), "{version}");
    }
    assert!(versions[1..].iter().all(|version| is_date(&version["dateReplaced"])), "{history}");
}

async fn the_workspace_in_the_body_must_match_the_query() {
    let world = world().await;
    let owner = world.caller("owner");
    let body = |workspace: i64| json!({"name": "SCOPED", "value": MARK, "workspaceId": workspace});
    let rows = world.rows().await;
    for (path, workspace) in [
        (world.inside("/pipeline-secrets"), world.other_workspace),
        ("/pipeline-secrets".to_owned(), world.workspace),
    ] {
        let message = owner.post(path, &body(workspace)).await.problem(400);
        assert!(message.contains("workspaceId"), "{message}");
    }
    assert_eq!(world.rows().await, rows);
    created(&owner.post(world.inside("/pipeline-secrets"), &body(world.workspace)).await);
}

async fn unknown_fields_are_ignored() {
    let world = world().await;
    let body = format!(r#"{{"name":"AB","extra":{{"value":["{MARK}"]}},"value":"v","id":-1,"\u0000":null}}"#);
    let request = ApiRequest::new("POST", world.inside("/pipeline-secrets"))
        .body("application/json; charset=utf-8", body);
    let id = created(&world.caller("owner").send(request).await);
    let body = r#"{"value":"w","name":"RENAMED","lastUsed":"2020-01-01T00:00:00Z"}"#;
    let one = world.inside(&format!("/pipeline-secrets/{id}"));
    world
        .caller("owner")
        .send(ApiRequest::new("PUT", &one).body("application/json", body))
        .await
        .no_content();
    assert_eq!(world.names().await, ["AB"], "a secret cannot be renamed");
}
