//! Declarations of users, workspaces and roles: idempotent, complete and safe to repeat.

use crate::harness::{Harness, Ids, TestRequest, declaration};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join;
use http_api::Operation;
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

#[tokio::test]
async fn a_disabled_user_is_out_until_enabled_and_a_document_that_does_not_say_so_changes_nothing() {
    let (harness, ids) = Harness::with_declaration().await;
    let admin = |field: Value| {
        let mut user = json!({ "userName": "admin", "email": "admin@example.org" });
        user.as_object_mut().unwrap().extend(field.as_object().unwrap().clone());
        json!({ "users": [user] })
    };
    let status = async || harness.ask(Operation::ListParticipants, ids.request("admin")).await.status;
    assert_eq!(status().await, 200);
    for (field, changes, expected) in [
        (json!({ "disabled": true }), 1, 404),
        (json!({ "disabled": true }), 0, 404),
        (json!({}), 0, 404),
        (json!({ "disabled": false }), 1, 200),
    ] {
        assert_eq!(harness.apply(&admin(field.clone())).await["changes"], changes, "{field}");
        assert_eq!(status().await, expected, "{field}");
        harness.check().await;
    }
    let audited = harness.audited().await;
    assert!(["user.disabled", "user.enabled"].iter().all(|it| audited.iter().any(|action| action == it)));
}

#[tokio::test]
async fn a_disabled_participant_keeps_the_role_and_can_be_changed_and_removed_but_not_added() {
    let (harness, ids) = Harness::with_declaration().await;
    let disabled = json!({ "userName": "view", "email": "view@example.org", "disabled": true });
    harness.apply(&json!({ "users": [disabled] })).await;
    let participant = || ids.request("owner").path("participantId", ids.user("view"));
    let listed = harness.ask(Operation::ListParticipants, ids.request("owner")).await;
    assert_eq!(listed.body["totalSize"], 6);
    let role = participant().body(json!({ "role": "launch" }));
    assert_eq!(harness.ask(Operation::UpdateParticipantRole, role).await.status, 204);
    assert_eq!(harness.roles(ids.workspace).await["view"], "launch");
    assert_eq!(harness.ask(Operation::ListParticipants, ids.request("view")).await.status, 404);
    assert_eq!(harness.ask(Operation::DeleteParticipant, participant()).await.status, 204);
    let add = ids.request("owner").body(json!({ "userNameOrEmail": "view" }));
    let added = harness.ask(Operation::AddParticipant, add).await;
    assert_eq!(added.status, 409, "{}", added.body);
    assert!(added.body["message"].as_str().unwrap().contains("disabled"), "{}", added.body);
    harness.check().await;
}

#[tokio::test]
async fn operators_list_who_has_what_page_by_page_without_a_hash() {
    let (harness, ids) = Harness::with_declaration().await;
    let disabled = json!({ "userName": "view", "email": "view@example.org", "disabled": true });
    harness.apply(&json!({ "users": [disabled] })).await;
    let (mut users, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = harness.send(&json!({ "list": { "limit": 3, "after": after } })).await.unwrap();
        users.extend(page["users"].as_array().unwrap().clone());
        after = page["next"].clone();
        if after.is_null() {
            break;
        }
    }
    let names: Vec<_> = users.iter().map(|user| user["userName"].as_str().unwrap()).collect();
    assert_eq!(names, ["admin", "connect", "launch", "maintain", "outsider", "owner", "view"]);
    let owner = &users[5];
    let role = json!([{
        "orgId": ids.org, "orgName": "Lab", "workspaceId": ids.workspace, "workspaceName": "genomics", "role": "owner",
    }]);
    assert_eq!((&owner["workspaces"], &owner["tokens"][0]["name"]), (&role, &json!("cli")));
    assert_eq!(owner["tokens"][0]["scope"], "all");
    assert!(owner["disabled"].is_null() && users[6]["disabled"].is_string());
    let text = json!(users).to_string();
    assert!(!text.contains("hash") && !text.contains("accessKey"), "{text}");
    for bad in [
        json!({ "limit": 0 }),
        json!({ "limit": 501 }),
        json!({ "limit": "1" }),
        json!({ "from": "a" }),
        json!(7),
    ] {
        let answer = harness.send(&json!({ "list": bad })).await.unwrap();
        assert_eq!(answer["error"]["code"], "invalid", "{bad}: {answer}");
    }
}

#[tokio::test]
async fn operators_revoke_every_token_of_a_user_and_of_no_other() {
    let (harness, ids) = Harness::with_declaration().await;
    for number in 0..30 {
        let create = TestRequest::by(ids.user("launch")).body(json!({ "name": format!("token-{number}") }));
        assert_eq!(harness.ask(Operation::CreateToken, create).await.status, 200);
    }
    let revoke = async || harness.send(&json!({ "revoke": { "user": "LAUNCH" } })).await.unwrap();
    assert_eq!(revoke().await, json!({ "userId": ids.user("launch"), "tokensRevoked": 31 }));
    assert_eq!(revoke().await["tokensRevoked"], 0);
    let list = |user: &str| TestRequest::by(ids.user(user));
    let tokens = harness.ask(Operation::ListTokens, list("launch")).await;
    assert_eq!(tokens.body["tokens"], json!([]));
    let others = harness.ask(Operation::ListTokens, list("owner")).await;
    assert_eq!(others.body["tokens"].as_array().unwrap().len(), 1);
    harness.check().await;
    let audited = harness.audited().await;
    assert_eq!(audited.iter().filter(|action| *action == "token.revoked").count(), 31);
    for bad in
        [json!({ "user": "somebody" }), json!({}), json!({ "user": 7 }), json!({ "user": "launch", "x": 1 })]
    {
        let answer = harness.send(&json!({ "revoke": bad })).await.unwrap();
        assert_eq!(answer["error"]["code"], "invalid", "{bad}: {answer}");
    }
}
