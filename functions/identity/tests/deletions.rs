//! Deleting a workspace and removing a user: from the first write on no function accepts them, and
//! a crash between any two calls leaves something that the next pass finishes.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::Timestamp;
use http_api::Operation;
use serde_json::{Value, json};
use support::Fault;

use crate::environments::{Client, ROLE, id_of};
use crate::harness::{Harness, Ids};

/// Stores a secret's rows.
async fn put_secret(harness: &Harness, scope: &str) {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let number = |number: i64| AttributeValue::N(number.to_string());
    let at = || text("2026-11-23T10:20:30.123456789Z");
    let secret = vec![
        ("name", text("LICENCE")),
        ("version", number(1)),
        ("createdAt", at()),
        ("createdBy", number(1)),
        ("updatedAt", at()),
        ("updatedBy", number(1)),
        ("rawBytes", number(256)),
        ("jsonBytes", number(256)),
        ("nextflowStore", AttributeValue::Bool(true)),
    ];
    let rows = [
        ("SECRET#7", secret),
        ("VALUE#7", vec![("envelope", AttributeValue::B(vec![1].into())), ("version", number(1))]),
        ("NAME#licence", vec![("secretId", number(7))]),
        ("COUNT", vec![("secretCount", number(1))]),
    ];
    for (sk, fields) in rows {
        let mut request = harness.table.quiet().put_item().table_name(&harness.table.name);
        request = request.item("pk", text(&format!("SECRETS#{scope}"))).item("sk", text(sk));
        for (name, value) in fields {
            request = request.item(name, value);
        }
        request.send().await.unwrap();
    }
}

/// The declared workspace with a secret and a compute environment, beside a secret of a user.
async fn with_content() -> (Harness, Ids) {
    let (harness, ids) = Harness::with_declaration().await;
    let owner = Client::of(&harness, &ids, "owner");
    let credentials = owner.tw_adds_credentials("aws-lab", ROLE).await;
    let (status, created) = owner.tw_adds_an_environment("batch-eu", id_of(&credentials)).await;
    assert_eq!(status, 200, "{created}");
    put_secret(&harness, &format!("WS#{}", ids.workspace)).await;
    put_secret(&harness, &format!("USER#{}", ids.user("owner"))).await;
    harness.table.faults.forget();
    (harness, ids)
}

/// The keys of rows that belong to the workspace, except its row, its audit trail and the numbers
/// of its secrets and environments.
async fn left(harness: &Harness, ids: &Ids) -> Vec<String> {
    let own = ["MEMBERS#", "SECRETS#WS#", "ENVS#"].map(|kind| format!("{kind}{}", ids.workspace));
    let kept = |sk: &str| sk == "COUNT";
    let named = format!("IN#{}", ids.workspace);
    let rows = harness.rows().await.into_keys();
    rows.filter(|(pk, sk)| {
        own.contains(pk) && !kept(sk) || *sk == named || pk.starts_with("ORG#") && sk.starts_with("WS#")
    })
    .map(|(pk, sk)| format!("{pk} {sk}"))
    .collect()
}

/// Lets the deletion be as old as this.
async fn age(harness: &Harness, ids: &Ids, at: &str) {
    let key = |text: String| AttributeValue::S(text);
    let request = harness.table.quiet().update_item().table_name(&harness.table.name);
    request
        .key("pk", key("REMOVED#SCOPES".into()))
        .key("sk", key(format!("WS#{}", ids.workspace)))
        .update_expression("SET removedAt = :at")
        .expression_attribute_values(":at", AttributeValue::S(at.into()))
        .send()
        .await
        .unwrap();
}

async fn finish(harness: &Harness) -> Value {
    harness.send(&json!({ "finish": {} })).await.unwrap()
}

fn count(actions: &[String], action: &str) -> usize {
    actions.iter().filter(|it| *it == action).count()
}

#[tokio::test]
async fn an_owner_deletes_a_workspace_with_its_secrets_and_its_name_is_free_again() {
    let (harness, ids) = with_content().await;
    let deleted = harness.ask(Operation::DeleteWorkspace, ids.request("owner")).await;
    assert_eq!((deleted.status, deleted.body), (204, Value::Null));
    assert_eq!(left(&harness, &ids).await, [] as [String; 0]);
    assert!(harness.rows().await.keys().any(|(pk, sk)| pk.starts_with("SECRETS#USER#") && sk == "SECRET#7"));
    for operation in [Operation::DeleteWorkspace, Operation::DescribeWorkspace] {
        assert_eq!(harness.ask(operation, ids.request("owner")).await.status, 404);
    }
    let actions = harness.audited().await;
    assert_eq!((count(&actions, "workspace.deleted"), count(&actions, "secret.deleted")), (1, 1));
    harness.check().await;
    let participants = json!([{ "user": "owner", "role": "owner" }]);
    let workspace = json!({ "name": "Genomics", "participants": participants });
    let again =
        harness.apply(&json!({ "organizations": [{ "name": "Lab", "workspaces": [workspace] }] })).await;
    assert_ne!(Ids::of_workspace(&again), ids.workspace);
    harness.check().await;
}

#[tokio::test]
async fn a_deleted_workspace_keeps_no_environment_and_the_sweep_still_searches_there() {
    let (harness, ids) = with_content().await;
    let owner = Client::of(&harness, &ids, "owner");
    let listed = async |harness: &Harness| -> Vec<Value> {
        let rows = harness.rows().await.into_iter();
        rows.filter(|((pk, _), _)| pk == "ENVIRONMENTS").map(|(_, row)| row).collect()
    };
    let before = listed(&harness).await;
    assert_eq!((before.len(), before[0].get("ttl")), (1, None));
    assert_eq!(harness.ask(Operation::DeleteWorkspace, ids.request("owner")).await.status, 204);
    assert_eq!(left(&harness, &ids).await, [] as [String; 0]);
    let mut after = listed(&harness).await;
    let ttl = after[0].as_object_mut().unwrap().remove("ttl").unwrap().as_i64().unwrap();
    let days = (ttl - Timestamp::now().as_second() + 3_600) / (24 * 3_600);
    assert_eq!((days, after), (38, before), "as after the deletion of one environment");
    let actions = harness.audited().await;
    let recorded = (count(&actions, "compute-env.deleted"), count(&actions, "credentials.deleted"));
    assert_eq!(recorded, (1, 1));
    assert_eq!(owner.tw_adds_an_environment("again", &"c".repeat(22)).await.0, 404);
}

#[tokio::test]
async fn a_declaration_deletes_a_workspace_once() {
    let (harness, ids) = with_content().await;
    let workspace = json!({ "name": "genomics", "deleted": true });
    let document = json!({ "organizations": [{ "name": "lab", "workspaces": [workspace] }] });
    let applied = harness.apply(&document).await;
    assert_eq!((&applied["changes"], &applied["organizations"][0]["workspaces"]), (&json!(1), &json!([])));
    assert_eq!(left(&harness, &ids).await, [] as [String; 0]);
    assert_eq!(harness.apply(&document).await["changes"], 0);
    assert_eq!(count(&harness.audited().await, "workspace.deleted"), 1);
}

#[tokio::test]
async fn after_a_crash_at_any_call_a_repeat_or_the_schedule_finishes_the_deletion() {
    let (probe, ids) = with_content().await;
    assert_eq!(probe.ask(Operation::DeleteWorkspace, ids.request("owner")).await.status, 204);
    let calls = probe.table.faults.calls().len();
    assert!(calls >= 5, "{calls}");
    for nth in 1..=calls {
        for first in [Fault::Unreachable, Fault::LostReply] {
            let (harness, ids) = with_content().await;
            harness.table.faults.fail_nth(nth, first);
            harness.table.faults.fail_nth(nth + 1, Fault::Unreachable);
            harness.table.faults.fail_nth(nth + 2, Fault::Unreachable);
            let crashed = harness.ask(Operation::DeleteWorkspace, ids.request("owner")).await.status;
            harness.table.faults.forget();
            let members = harness.roles(ids.workspace).await.len();
            assert!([0, 6].contains(&members), "call {nth}: all participants or none, not {members}");
            if crashed != 204 {
                let repeated = harness.ask(Operation::DeleteWorkspace, ids.request("owner")).await.status;
                assert!([204, 404].contains(&repeated), "call {nth}: {repeated}");
            }
            finish(&harness).await;
            assert_eq!(left(&harness, &ids).await, [] as [String; 0], "call {nth}");
            let actions = harness.audited().await;
            let kinds = ["workspace", "secret", "compute-env", "credentials"];
            let recorded = kinds.map(|kind| count(&actions, &format!("{kind}.deleted")));
            assert_eq!(recorded, [1; 4], "call {nth}");
            harness.check().await;
        }
    }
}

#[tokio::test]
async fn a_deletion_is_finished_after_an_hour_and_in_a_restored_table_not_before_it_is_reconciled() {
    let (mut harness, ids) = with_content().await;
    harness.ask(Operation::DeleteWorkspace, ids.request("owner")).await;
    let listed =
        async |harness: &Harness| harness.rows().await.keys().any(|(pk, _)| pk.starts_with("REMOVED#"));
    assert_eq!(finish(&harness).await, json!({ "secretsDeleted": 0, "finished": 0 }));
    age(&harness, &ids, "2026-01-01T00:00:00Z").await;
    harness.settings.restored = true;
    assert_eq!(finish(&harness).await["finished"], 0);
    harness.settings.restored = false;
    assert!(listed(&harness).await);
    assert_eq!(finish(&harness).await, json!({ "secretsDeleted": 0, "finished": 1 }));
    assert!(!listed(&harness).await);
}

fn removal(name: &str) -> Value {
    let user = json!({ "userName": name, "email": format!("{name}@example.org"), "removed": true });
    json!({ "users": [user] })
}

/// The declared users. `launch` has a secret.
async fn with_a_secret_of_launch() -> (Harness, Ids) {
    let (harness, ids) = Harness::with_declaration().await;
    put_secret(&harness, &format!("USER#{}", ids.user("launch"))).await;
    harness.table.faults.forget();
    (harness, ids)
}

/// The keys of the user's rows, except the user's row and the number of secrets.
async fn left_of_user(harness: &Harness, id: i64) -> Vec<String> {
    let of_user = |pk: &str, row: &Value| {
        pk == format!("USER#{id}")
            || pk == format!("SECRETS#USER#{id}")
            || pk.starts_with("TOKEN#") && row["user"] == id
            || pk.starts_with("LOGIN#") && row["user"] == id
    };
    let rows = harness.rows().await;
    let rows = rows.iter().filter(|((pk, sk), row)| of_user(pk, row) && sk != "META" && sk != "COUNT");
    let members = harness.rows().await.into_keys().filter(|(_, sk)| *sk == format!("MEMBER#{id}"));
    rows.map(|(key, _)| key.clone()).chain(members).map(|(pk, sk)| format!("{pk} {sk}")).collect()
}

#[tokio::test]
async fn after_a_crash_at_any_call_a_repeat_or_the_schedule_removes_the_user() {
    let (probe, _) = with_a_secret_of_launch().await;
    let changes = probe.apply(&removal("launch")).await["changes"].as_u64();
    assert_eq!(changes, Some(3), "disabled, left, removed");
    let calls = probe.table.faults.calls().len();
    for nth in 1..=calls {
        for first in [Fault::Unreachable, Fault::LostReply] {
            let (harness, ids) = with_a_secret_of_launch().await;
            harness.table.faults.fail_nth(nth, first);
            harness.table.faults.fail_nth(nth + 1, Fault::Unreachable);
            harness.table.faults.fail_nth(nth + 2, Fault::Unreachable);
            let _ = harness.send(&json!({ "apply": removal("launch") })).await;
            harness.table.faults.forget();
            harness.check().await;
            harness.apply(&removal("launch")).await;
            finish(&harness).await;
            assert_eq!(left_of_user(&harness, ids.user("launch")).await, [] as [String; 0], "call {nth}");
            let actions = harness.audited().await;
            let counted = ["user.disabled", "user.removed", "token.revoked", "secret.deleted"];
            assert_eq!(counted.map(|action| count(&actions, action)), [1; 4], "call {nth}");
            harness.check().await;
        }
    }
}

#[tokio::test]
async fn the_last_owner_is_not_removed_and_a_removed_name_belongs_to_a_new_user() {
    let (harness, ids) = Harness::with_declaration().await;
    let before = harness.rows().await;
    let refused = harness.send(&json!({ "apply": removal("owner") })).await.unwrap();
    assert!(refused["error"]["message"].as_str().unwrap().contains("the last owner of"), "{refused}");
    assert_eq!(harness.rows().await, before);
    harness.apply(&removal("view")).await;
    let user = json!({ "userName": "view", "email": "view@example.org" });
    let again = harness.apply(&json!({ "users": [user] })).await;
    assert_ne!(again["users"][0]["id"], ids.user("view"));
    let listed = harness.send(&json!({ "list": {} })).await.unwrap();
    let names: Vec<_> = listed["users"].as_array().unwrap().iter().map(|it| it["userName"].clone()).collect();
    assert_eq!(names.iter().filter(|name| *name == "view").count(), 1);
}

#[tokio::test]
async fn the_list_has_the_logins_of_each_user() {
    let (harness, _) = Harness::with_declaration().await;
    let login = json!({ "issuer": crate::harness::ISSUER, "subject": "v-1" });
    let user = json!({ "userName": "view", "email": "view@example.org", "logins": [login] });
    harness.apply(&json!({ "users": [user] })).await;
    let listed = harness.send(&json!({ "list": {} })).await.unwrap();
    for user in listed["users"].as_array().unwrap() {
        let expected = if user["userName"] == "view" { json!([login]) } else { json!([]) };
        assert_eq!(user["logins"], expected, "{user}");
    }
}
