//! Declarations of users, workspaces and roles: idempotent, complete and safe to repeat.

use crate::harness::{Harness, Ids, declaration};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join;
use serde_json::{Value, json};
use support::Fault;

#[tokio::test]
async fn a_declaration_is_applied_and_returns_ids_and_new_tokens() {
    let harness = Harness::start().await;
    let applied = harness.apply(&declaration()).await;
    // 7 users, 7 tokens, 1 organization, 1 workspace, 6 participants.
    assert_eq!(applied["changes"], 22);
    let ids = Ids::of(&applied);
    for user in applied["users"].as_array().unwrap() {
        let token = &user["tokens"][0];
        let key = token["accessKey"].as_str().unwrap();
        let text = String::from_utf8(STANDARD.decode(key).unwrap()).unwrap();
        assert!(
            text.starts_with(&format!("{{\"tid\": {}}}.", token["id"])),
            "the format that Nextflow sends as a bearer token"
        );
    }
    let roles = harness.roles(ids.workspace).await;
    assert_eq!(roles.len(), 6);
    assert!(roles.iter().all(|(name, role)| name == role));
    harness.check().await;
    let audited = harness.audited().await;
    let count = |action: &str| audited.iter().filter(|it| *it == action).count();
    assert_eq!(
        [count("user.created"), count("token.created"), count("workspace.created"), count("participant.set")],
        [7, 7, 1, 6]
    );
    assert_eq!(audited.len(), 21);
}

#[tokio::test]
async fn a_repeated_declaration_changes_nothing_and_shows_no_key() {
    let (harness, ids) = Harness::with_declaration().await;
    let before = harness.rows().await;
    let applied = harness.apply(&declaration()).await;
    assert_eq!(applied["changes"], 0);
    assert!(!applied.to_string().contains("accessKey"));
    assert_eq!(Ids::of(&applied).users, ids.users);
    assert_eq!((Ids::of(&applied).org, Ids::of(&applied).workspace), (ids.org, ids.workspace));
    assert_eq!(harness.rows().await, before);
}

#[tokio::test]
async fn the_table_contains_only_hashes_of_tokens() {
    let harness = Harness::start().await;
    let applied = harness.apply(&declaration()).await;
    let table = serde_json::to_string(&harness.rows().await.into_values().collect::<Vec<_>>()).unwrap();
    for user in applied["users"].as_array().unwrap() {
        let key = user["tokens"][0]["accessKey"].as_str().unwrap();
        let text = String::from_utf8(STANDARD.decode(key).unwrap()).unwrap();
        let secret = text.rsplit_once('.').unwrap().1;
        assert!(!table.contains(key) && !table.contains(secret));
    }
}

#[tokio::test]
async fn only_roles_and_platforms_that_differ_are_changed() {
    let (harness, ids) = Harness::with_declaration().await;
    let document = json!({
        "organizations": [{ "name": "lab", "workspaces": [{
            "name": "GENOMICS", "platforms": ["slurm", "aws-batch", "slurm"],
            "participants": [{ "user": "View", "role": "launch" }, { "user": "outsider", "role": "connect" }],
        }] }],
    });
    assert_eq!(harness.apply(&document).await["changes"], 3);
    let roles = harness.roles(ids.workspace).await;
    assert_eq!(
        (roles["view"].as_str(), roles["outsider"].as_str(), roles["owner"].as_str()),
        ("launch", "connect", "owner")
    );
    let rows = harness.rows().await;
    let meta = &rows[&(format!("WS#{}", ids.workspace), "META".to_owned())];
    assert_eq!(meta["platforms"], json!(["aws-batch", "slurm"]));
    assert_eq!(harness.apply(&document).await["changes"], 0);
    harness.check().await;
}

/// After a crash at any call, before or after the call took effect, the same document completes the
/// changes and repeats none.
#[tokio::test]
async fn after_a_crash_at_any_call_a_repeat_completes_the_changes() {
    let probe = Harness::start().await;
    probe.apply(&declaration()).await;
    let calls = probe.table.faults.calls().len();
    let (row_count, audited) = (probe.rows().await.len(), probe.audited().await);
    for nth in 1..=calls {
        for first in [Fault::Unreachable, Fault::LostReply] {
            let harness = Harness::start().await;
            harness.table.faults.fail_nth(nth, first);
            harness.table.faults.fail_nth(nth + 1, Fault::Unreachable);
            harness.table.faults.fail_nth(nth + 2, Fault::Unreachable);
            let outcome = harness.send(&json!({ "apply": declaration() })).await;
            harness.table.faults.forget();
            if let Ok(answer) = &outcome {
                assert!(answer.get("error").is_none(), "{answer}");
            }
            harness.check().await;
            harness.apply(&declaration()).await;
            harness.check().await;
            assert_eq!(harness.rows().await.len(), row_count, "call {nth}");
            assert_eq!(harness.audited().await, audited, "call {nth}");
            assert_eq!(harness.apply(&declaration()).await["changes"], 0);
        }
    }
}

/// Twenty-four users with a token each, in two workspaces: too many for one transaction.
fn large() -> Value {
    let name = |number: usize| format!("user{number}");
    let users: Vec<_> = (0..24)
        .map(|n| json!({ "userName": name(n), "email": format!("{}@example.org", name(n)), "tokens": [{ "name": "t" }] }))
        .collect();
    let participants: Vec<_> = (0..24)
        .map(|n| json!({ "user": name(n), "role": if n == 0 { "owner" } else { "launch" } }))
        .collect();
    json!({
        "organizations": [{ "name": "Lab", "workspaces": [
            { "name": "one", "participants": participants }, { "name": "two", "participants": participants },
        ] }],
        "users": users,
    })
}

#[tokio::test]
async fn a_crash_between_the_transactions_of_a_large_declaration_is_repaired_by_a_repeat() {
    let probe = Harness::start().await;
    let applied = probe.apply(&large()).await;
    let keys =
        applied["users"].as_array().unwrap().iter().filter(|user| user["tokens"][0]["accessKey"].is_string());
    assert_eq!(keys.count(), 24);
    let transactions =
        probe.table.faults.operations().iter().filter(|it| *it == "TransactWriteItems").count();
    assert!(transactions >= 4, "{transactions}");
    let (row_count, audited) = (probe.rows().await.len(), probe.audited().await.len());
    for nth in 1..=transactions {
        for first in [Fault::Unreachable, Fault::LostReply] {
            let harness = Harness::start().await;
            harness.crash_at("TransactWriteItems", nth, first);
            assert!(harness.send(&json!({ "apply": large() })).await.is_err());
            harness.table.faults.forget();
            harness.check().await;
            harness.apply(&large()).await;
            harness.check().await;
            assert_eq!(
                (harness.rows().await.len(), harness.audited().await.len()),
                (row_count, audited),
                "transaction {nth}"
            );
        }
    }
}

#[tokio::test]
async fn a_transaction_with_a_conflict_is_retried() {
    let probe = Harness::start().await;
    probe.apply(&declaration()).await;
    let calls = probe.table.faults.calls();
    let first = calls.iter().find(|call| call.operation == "TransactWriteItems").unwrap();
    let actions = first.body["TransactItems"].as_array().unwrap().len();
    let reasons: &[&str] = vec!["TransactionConflict"; actions].leak();
    let harness = Harness::start().await;
    for _ in 0..2 {
        harness.table.faults.fail_operation("TransactWriteItems", 1, Fault::Cancelled(reasons));
    }
    let applied = harness.apply(&declaration()).await;
    assert_eq!(applied["changes"], 22);
    harness.check().await;
}

#[tokio::test]
async fn two_concurrent_declarations_create_everything_once() {
    let harness = Harness::start().await;
    let (one, other) = (declaration(), declaration());
    let (one, other) = Box::pin(join(harness.apply(&one), harness.apply(&other))).await;
    assert_eq!(Ids::of(&one).users, Ids::of(&other).users);
    let keys = |applied: &Value| applied.to_string().matches("accessKey").count();
    assert_eq!(keys(&one) + keys(&other), 7, "only one of them receives each new token");
    harness.check().await;
    assert_eq!(harness.audited().await.len(), 21);
}

#[tokio::test]
async fn an_event_that_is_not_a_declaration_is_refused() {
    let harness = Harness::start().await;
    for event in [
        json!({}),
        json!([]),
        json!("apply"),
        json!({ "apply": [] }),
        json!({ "apply": {}, "also": 1 }),
        json!({ "drop": {} }),
    ] {
        let answer = harness.send(&event).await.unwrap();
        assert_eq!(answer["error"]["code"], "invalid", "{event}");
    }
    assert_eq!(harness.apply(&json!({})).await["changes"], 0);
}
