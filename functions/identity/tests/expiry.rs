//! The daily check for secrets and tokens that expire, and the index of those that earlier versions
//! wrote.

use domain::Timestamp;
use domain::use_cases::announce_expiring::ExpirySummary;
use http_api::Operation;
use serde_json::{Value, json};
use support::Fault;

use crate::harness::{Harness, Ids, TestRequest};

/// The time in this many hours.
fn in_hours(hours: i64) -> String {
    Timestamp::from_second(Timestamp::now().as_second() + hours * 3_600).unwrap().to_string()
}

/// Users with tokens: one by HTTP that expires in 2 days, one declared that expires in 10 days, and
/// one that expires in 100 days.
async fn with_tokens() -> (Harness, Ids) {
    let (harness, ids) = Harness::with_declaration().await;
    let create =
        TestRequest::by(ids.user("owner")).body(json!({ "name": "two days", "expires": in_hours(47) }));
    assert_eq!(harness.ask(Operation::CreateToken, create).await.status, 200);
    let tokens = [("ten days", in_hours(239)), ("hundred days", in_hours(2_400))]
        .map(|(name, expires)| json!({ "name": name, "expires": expires }));
    let user = json!({ "userName": "view", "email": "view@example.org", "tokens": tokens });
    harness.apply(&json!({ "users": [user] })).await;
    harness.table.faults.forget();
    (harness, ids)
}

async fn announce(harness: &Harness) -> domain::Result<Value> {
    harness.send(&json!({ "announceExpiry": {} })).await
}

fn announced(harness: &Harness) -> Vec<(String, i64)> {
    let notices = harness.bus.notices.take();
    let mut announced: Vec<_> =
        notices.into_iter().map(|notice| (notice.name, notice.days_to_expiry)).collect();
    announced.sort_by_key(|(_, days)| *days);
    announced
}

#[tokio::test]
async fn tokens_that_users_create_and_operators_declare_are_announced_and_reported() {
    let (harness, ids) = with_tokens().await;
    assert_eq!(announce(&harness).await.unwrap(), json!({ "secrets": 0, "tokens": 2, "failed": 0 }));
    assert_eq!(announced(&harness), [("two days".to_owned(), 2), ("ten days".to_owned(), 10)]);
    let tokens = ExpirySummary { tokens: 2, ..ExpirySummary::default() };
    assert_eq!(harness.reported.take(), [tokens]);
    let operations: Vec<_> = harness.table.faults.calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(operations, ["Query", "Query", "Query", "Query", "BatchGetItem", "BatchGetItem"]);
    let disabled = json!({ "userName": "view", "email": "view@example.org", "disabled": true });
    harness.apply(&json!({ "users": [disabled] })).await;
    announce(&harness).await.unwrap();
    assert_eq!(announced(&harness), [("two days".to_owned(), 2)]);
    let list = harness.ask(Operation::ListTokens, TestRequest::by(ids.user("owner"))).await;
    let token =
        list.body["tokens"].as_array().unwrap().iter().find(|token| token["name"] == "two days").unwrap();
    let delete = TestRequest::by(ids.user("owner")).path("tokenId", token["id"].as_i64().unwrap());
    assert_eq!(harness.ask(Operation::DeleteToken, delete).await.status, 204);
    announce(&harness).await.unwrap();
    assert_eq!((announced(&harness), harness.reported.borrow().last().unwrap().tokens), (vec![], 0));
    harness.check().await;
}

#[tokio::test]
async fn a_check_that_fails_in_part_reports_what_it_found_and_fails_so_that_it_is_repeated() {
    let (harness, _) = with_tokens().await;
    harness.bus.rejects.set(1);
    assert_eq!(announce(&harness).await.unwrap_err().code(), "unavailable");
    let rejected = ExpirySummary { secrets: 0, tokens: 2, failed: 1 };
    assert_eq!(harness.reported.take(), [rejected]);
    harness.bus.rejects.set(0);
    harness.bus.notices.take();
    // Every attempt of the four queries fails.
    for _ in 0..12 {
        harness.table.faults.fail_next(Fault::Internal);
    }
    assert_eq!(announce(&harness).await.unwrap_err().code(), "unavailable");
    assert_eq!((harness.reported.take(), announced(&harness).len()), (vec![], 0));
    announce(&harness).await.unwrap();
    assert_eq!(announced(&harness).len(), 2);
}

#[tokio::test]
async fn a_check_writes_nothing_and_a_restored_table_has_none() {
    let (mut harness, _) = with_tokens().await;
    let before = harness.rows().await;
    announce(&harness).await.unwrap();
    announce(&harness).await.unwrap();
    assert_eq!(harness.rows().await, before);
    harness.settings.restored = true;
    harness.bus.notices.take();
    harness.reported.take();
    assert_eq!(announce(&harness).await.unwrap(), json!({}));
    assert_eq!((announced(&harness).len(), harness.reported.take().len()), (0, 0));
}

#[tokio::test]
async fn tokens_of_an_earlier_version_are_announced_once_they_are_indexed() {
    let (harness, _) = with_tokens().await;
    for (pk, _) in harness.rows().await.into_keys().filter(|(pk, _)| pk.starts_with("TOKEN#")) {
        let key = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
        let forget = harness.table.quiet().update_item().table_name(&harness.table.name);
        let forget = forget.key("pk", key(&pk)).key("sk", key("TOKEN"));
        forget.update_expression("REMOVE due, dueShard").send().await.unwrap();
    }
    announce(&harness).await.unwrap();
    assert_eq!(announced(&harness), []);
    let indexed = harness.send(&json!({ "indexExpiry": {} })).await.unwrap();
    assert_eq!(indexed, json!({ "secretsIndexed": 0, "tokensIndexed": 3 }));
    announce(&harness).await.unwrap();
    assert_eq!(announced(&harness).len(), 2);
    let again = harness.send(&json!({ "indexExpiry": { "after": "a" } })).await.unwrap();
    assert_eq!(again, json!({ "secretsIndexed": 0, "tokensIndexed": 0 }));
    let wrong = harness.send(&json!({ "indexExpiry": { "from": "a" } })).await.unwrap();
    assert_eq!(wrong["error"]["code"], "invalid");
}
