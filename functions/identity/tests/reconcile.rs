//! Reconciliation of a table that was restored from a backup, from the logged audit trail.

use crate::harness::{Harness, Ids};
use serde_json::{Value, json};
use support::Fault;

fn line(action: &str, at: u8, scope: &str, more: &Value) -> Value {
    let mut line = json!({"message": "audit", "action": action, "audit.at": format!("2026-11-23T10:20:{at:02}Z"),
        "scope": scope, "subjects": ""});
    for (name, value) in more.as_object().unwrap() {
        line[name] = value.clone();
    }
    Value::String(line.to_string())
}

async fn restored() -> (Harness, Ids) {
    let (mut harness, ids) = Harness::with_declaration().await;
    harness.settings.restored = true;
    (harness, ids)
}

fn role(ids: &Ids, at: u8, person: &str, role: Option<&str>) -> Value {
    let action = role.map_or("participant.removed", |_| "participant.set");
    let person = ids.user(person).to_string();
    line(action, at, &format!("WS#{}", ids.workspace), &json!({"person": person, "detail": role}))
}

async fn reconcile(harness: &Harness, events: &[Value]) -> Value {
    harness.send(&json!({"reconcile": {"events": events}})).await.unwrap()
}

/// An audit trail with each kind of event: a participant left, roles were lowered and raised, a
/// token was revoked, and platforms were removed.
async fn trail(harness: &Harness, ids: &Ids) -> Vec<Value> {
    let rows = harness.rows().await;
    let of_outsider = |row: &Value| row["user"] == ids.user("outsider") && row["hash"] != Value::Null;
    let (key, _) = rows.iter().find(|((pk, _), row)| pk.starts_with("TOKEN#") && of_outsider(row)).unwrap();
    let token = key.0.trim_start_matches("TOKEN#");
    let outsider = format!("USER#{}", ids.user("outsider"));
    vec![
        role(ids, 1, "launch", None),
        role(ids, 2, "admin", Some("view")),
        role(ids, 3, "view", Some("admin")),
        line("token.revoked", 4, &outsider, &json!({"detail": format!("token {token}")})),
        line("workspace.platforms-changed", 5, &format!("WS#{}", ids.workspace), &json!({"detail": "none"})),
        line("user.disabled", 6, &outsider, &json!({"person": ids.user("outsider").to_string()})),
        line("user.disabled", 5, &outsider, &json!({"person": ids.user("maintain").to_string()})),
        line("user.enabled", 6, &outsider, &json!({"person": ids.user("maintain").to_string()})),
        line("secret.created", 6, &outsider, &json!({"subjects": "42@1"})),
        line("run.launched", 7, &outsider, &json!({"run.id": "ab12ABCDEFGHIJ"})),
    ]
}

#[tokio::test]
async fn removals_are_repeated_nothing_is_granted_and_a_repeat_changes_nothing() {
    let (harness, ids) = restored().await;
    let events = trail(&harness, &ids).await;
    let done = reconcile(&harness, &events).await;
    let expected = json!({"secretsDeleted": 0, "secretsOutdated": 0, "secretsMissing": 1, "tokensRevoked": 1,
        "workspacesDeleted": 0, "usersRemoved": 0, "usersDisabled": 1, "rolesRemoved": 1, "rolesLowered": 1,
        "platformsNarrowed": 1, "computeEnvsDeleted": 0, "credentialsDeleted": 0, "ownersKept": []});
    assert_eq!(done, expected);
    let roles = harness.roles(ids.workspace).await;
    assert_eq!(
        (roles["admin"].as_str(), roles["view"].as_str(), roles.get("launch")),
        ("view", "view", None)
    );
    harness.check().await;
    let audited = harness.audited().await;
    let repeated = reconcile(&harness, &events).await;
    assert_eq!((repeated["rolesRemoved"].as_u64(), repeated["usersDisabled"].as_u64()), (Some(0), Some(0)));
    assert_eq!(harness.audited().await, audited);
}

#[tokio::test]
async fn the_last_owner_is_kept_until_another_owner_is_declared() {
    let (harness, ids) = restored().await;
    let events = [role(&ids, 1, "owner", None)];
    let done = reconcile(&harness, &events).await;
    let kept = json!([{"workspaceId": ids.workspace, "userId": ids.user("owner")}]);
    assert_eq!((&done["ownersKept"], &done["rolesRemoved"]), (&kept, &json!(0)));
    let mut declared = crate::harness::declaration();
    declared["organizations"][0]["workspaces"][0]["participants"] =
        json!([{"user": "admin", "role": "owner"}]);
    harness.apply(&declared).await;
    let done = reconcile(&harness, &events).await;
    assert_eq!((&done["ownersKept"], &done["rolesRemoved"]), (&json!([]), &json!(1)));
    harness.check().await;
}

#[tokio::test]
async fn a_line_that_cannot_be_read_changes_nothing() {
    let (harness, ids) = restored().await;
    let before = harness.rows().await;
    for events in [json!([role(&ids, 1, "launch", None), "START"]), json!("all"), json!({})] {
        let refused = harness.send(&json!({"reconcile": {"events": events}})).await.unwrap();
        assert_eq!(refused["error"]["code"], "invalid", "{refused}");
    }
    assert_eq!(harness.rows().await, before);
}

#[tokio::test]
async fn after_a_crash_at_any_write_the_same_trail_completes_the_reconciliation() {
    for nth in 1..=4 {
        let (harness, ids) = restored().await;
        let events = trail(&harness, &ids).await;
        harness.crash_at("TransactWriteItems", nth, Fault::LostReply);
        let _ = harness.send(&json!({"reconcile": {"events": events}})).await;
        harness.table.faults.forget();
        reconcile(&harness, &events).await;
        let roles = harness.roles(ids.workspace).await;
        assert_eq!((roles["admin"].as_str(), roles.get("launch")), ("view", None), "crash at {nth}");
        harness.check().await;
    }
}
