//! Declaring users, workspaces and roles: idempotent, whole, and safe to repeat.

use crate::harness::{Bench, Ids, story};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join;
use serde_json::{Value, json};
use support::Fault;

#[tokio::test]
async fn a_declaration_becomes_so_and_answers_ids_and_new_tokens() {
    let bench = Bench::start().await;
    let applied = bench.apply(&story()).await;
    // 7 users, 7 tokens, 1 organization, 1 workspace, 6 participants.
    assert_eq!(applied["changes"], 22);
    let ids = Ids::of(&applied);
    for user in applied["users"].as_array().unwrap() {
        let token = &user["tokens"][0];
        let key = token["accessKey"].as_str().unwrap();
        let text = String::from_utf8(STANDARD.decode(key).unwrap()).unwrap();
        assert!(
            text.starts_with(&format!("{{\"tid\": {}}}.", token["id"])),
            "the form that Nextflow sends as Bearer"
        );
    }
    let roles = bench.roles(ids.workspace).await;
    assert_eq!(roles.len(), 6);
    assert!(roles.iter().all(|(name, role)| name == role));
    bench.check().await;
    let audited = bench.audited().await;
    let count = |action: &str| audited.iter().filter(|it| *it == action).count();
    assert_eq!(
        [count("user.created"), count("token.created"), count("workspace.created"), count("participant.set")],
        [7, 7, 1, 6]
    );
    assert_eq!(audited.len(), 21);
}

#[tokio::test]
async fn the_second_time_nothing_changes_and_no_key_is_shown() {
    let (bench, ids) = Bench::with_story().await;
    let before = bench.rows().await;
    let applied = bench.apply(&story()).await;
    assert_eq!(applied["changes"], 0);
    assert!(!applied.to_string().contains("accessKey"));
    assert_eq!(Ids::of(&applied).users, ids.users);
    assert_eq!((Ids::of(&applied).org, Ids::of(&applied).workspace), (ids.org, ids.workspace));
    assert_eq!(bench.rows().await, before);
}

#[tokio::test]
async fn no_token_stands_in_the_table_in_any_form_but_its_hash() {
    let bench = Bench::start().await;
    let applied = bench.apply(&story()).await;
    let table = serde_json::to_string(&bench.rows().await.into_values().collect::<Vec<_>>()).unwrap();
    for user in applied["users"].as_array().unwrap() {
        let key = user["tokens"][0]["accessKey"].as_str().unwrap();
        let text = String::from_utf8(STANDARD.decode(key).unwrap()).unwrap();
        let secret = text.rsplit_once('.').unwrap().1;
        assert!(!table.contains(key) && !table.contains(secret));
    }
}

#[tokio::test]
async fn roles_and_platforms_that_differ_are_changed_and_the_rest_is_left() {
    let (bench, ids) = Bench::with_story().await;
    let document = json!({
        "organizations": [{ "name": "lab", "workspaces": [{
            "name": "GENOMICS", "platforms": ["slurm", "aws-batch", "slurm"],
            "participants": [{ "user": "View", "role": "launch" }, { "user": "stranger", "role": "connect" }],
        }] }],
    });
    assert_eq!(bench.apply(&document).await["changes"], 3);
    let roles = bench.roles(ids.workspace).await;
    assert_eq!(
        (roles["view"].as_str(), roles["stranger"].as_str(), roles["owner"].as_str()),
        ("launch", "connect", "owner")
    );
    let rows = bench.rows().await;
    let meta = &rows[&(format!("WS#{}", ids.workspace), "META".to_owned())];
    assert_eq!(meta["platforms"], json!(["aws-batch", "slurm"]));
    assert_eq!(bench.apply(&document).await["changes"], 0);
    bench.check().await;
}

/// After a crash at any call, before or after it took effect, the same document does the rest, and nothing twice.
#[tokio::test]
async fn after_a_crash_at_any_call_a_repeat_makes_it_whole() {
    let probe = Bench::start().await;
    probe.apply(&story()).await;
    let calls = probe.table.faults.calls().len();
    let (whole, audited) = (probe.rows().await.len(), probe.audited().await);
    for nth in 1..=calls {
        for first in [Fault::Unreachable, Fault::LostReply] {
            let bench = Bench::start().await;
            bench.table.faults.fail_nth(nth, first);
            bench.table.faults.fail_nth(nth + 1, Fault::Unreachable);
            bench.table.faults.fail_nth(nth + 2, Fault::Unreachable);
            let outcome = bench.send(&json!({ "apply": story() })).await;
            bench.table.faults.forget();
            if let Ok(answer) = &outcome {
                assert!(answer.get("error").is_none(), "{answer}");
            }
            bench.check().await;
            bench.apply(&story()).await;
            bench.check().await;
            assert_eq!(bench.rows().await.len(), whole, "call {nth}");
            assert_eq!(bench.audited().await, audited, "call {nth}");
            assert_eq!(bench.apply(&story()).await["changes"], 0);
        }
    }
}

/// Twenty-four users with a token each, in two workspaces: more than one transaction holds.
fn large() -> Value {
    let name = |number: usize| format!("user{number}");
    let users: Vec<_> = (0..24)
        .map(|n| json!({ "userName": name(n), "email": format!("{}@example.org", name(n)), "tokens": [{ "name": "t" }] }))
        .collect();
    let everybody: Vec<_> = (0..24)
        .map(|n| json!({ "user": name(n), "role": if n == 0 { "owner" } else { "launch" } }))
        .collect();
    json!({
        "organizations": [{ "name": "Lab", "workspaces": [
            { "name": "one", "participants": everybody }, { "name": "two", "participants": everybody },
        ] }],
        "users": users,
    })
}

#[tokio::test]
async fn a_large_declaration_takes_several_transactions_and_survives_a_crash_between_them() {
    let probe = Bench::start().await;
    let applied = probe.apply(&large()).await;
    let keys =
        applied["users"].as_array().unwrap().iter().filter(|user| user["tokens"][0]["accessKey"].is_string());
    assert_eq!(keys.count(), 24);
    let transactions =
        probe.table.faults.operations().iter().filter(|it| *it == "TransactWriteItems").count();
    assert!(transactions >= 4, "{transactions}");
    let (whole, audited) = (probe.rows().await.len(), probe.audited().await.len());
    for nth in 1..=transactions {
        for first in [Fault::Unreachable, Fault::LostReply] {
            let bench = Bench::start().await;
            bench.crash_at("TransactWriteItems", nth, first);
            assert!(bench.send(&json!({ "apply": large() })).await.is_err());
            bench.table.faults.forget();
            bench.check().await;
            bench.apply(&large()).await;
            bench.check().await;
            assert_eq!(
                (bench.rows().await.len(), bench.audited().await.len()),
                (whole, audited),
                "transaction {nth}"
            );
        }
    }
}

#[tokio::test]
async fn a_transaction_that_meets_another_is_done_again() {
    let probe = Bench::start().await;
    probe.apply(&story()).await;
    let calls = probe.table.faults.calls();
    let first = calls.iter().find(|call| call.operation == "TransactWriteItems").unwrap();
    let actions = first.body["TransactItems"].as_array().unwrap().len();
    let reasons: &[&str] = vec!["TransactionConflict"; actions].leak();
    let bench = Bench::start().await;
    for _ in 0..2 {
        bench.table.faults.fail_operation("TransactWriteItems", 1, Fault::Cancelled(reasons));
    }
    let applied = bench.apply(&story()).await;
    assert_eq!(applied["changes"], 22);
    bench.check().await;
}

#[tokio::test]
async fn two_operators_at_once_make_one_of_everything() {
    let bench = Bench::start().await;
    let (one, other) = (story(), story());
    let (one, other) = Box::pin(join(bench.apply(&one), bench.apply(&other))).await;
    assert_eq!(Ids::of(&one).users, Ids::of(&other).users);
    let keys = |applied: &Value| applied.to_string().matches("accessKey").count();
    assert_eq!(keys(&one) + keys(&other), 7, "each new token is shown to one of them");
    bench.check().await;
    assert_eq!(bench.audited().await.len(), 21);
}

#[tokio::test]
async fn what_is_no_declaration_is_refused() {
    let bench = Bench::start().await;
    for event in [
        json!({}),
        json!([]),
        json!("apply"),
        json!({ "apply": [] }),
        json!({ "apply": {}, "also": 1 }),
        json!({ "drop": {} }),
    ] {
        let answer = bench.send(&event).await.unwrap();
        assert_eq!(answer["error"]["code"], "invalid", "{event}");
    }
    assert_eq!(bench.apply(&json!({})).await["changes"], 0);
}
