//! Personal access tokens and invalid credentials.

use crate::harness::{Harness, deadline, event, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::identity::Actor;
use domain::ids::RunId;
use domain::token::TokenKey;
use domain::use_cases::authenticate::authenticate;
use domain::use_cases::identity::tokens;
use domain::{Error, Timestamp};
use runtime::SystemRandomness;
use serde_json::{Value, json};
use support::Fault;

fn one_user(expires: Option<&str>) -> Value {
    let token = match expires {
        Some(expires) => json!({ "name": "cli", "expires": expires }),
        None => json!({ "name": "cli" }),
    };
    json!({ "users": [{ "userName": "ada", "email": "ada@example.org", "tokens": [token] }] })
}

async fn ada() -> (Harness, Actor, String) {
    let harness = Harness::start("").await;
    let applied = harness.apply(&one_user(None)).await;
    let (user, token) = (&applied.users[0], &applied.users[0].tokens[0]);
    let key = token.access_key.as_ref().unwrap().to_string();
    (harness, Actor { token: Some(token.id), ..Actor::without_token(user.id) }, key)
}

#[tokio::test]
async fn a_token_is_accepted_as_bearer_and_as_basic_and_identifies_user_and_token() {
    let (harness, ada, key) = ada().await;
    let basic = STANDARD.encode(format!("@token:{key}"));
    for header in [format!("Bearer {key}"), format!("bearer {key}"), format!("Basic {basic}")] {
        let expected = json!({
            "isAuthorized": true,
            "context": {
                "userId": ada.user.to_string(),
                "tokenId": ada.token.unwrap().to_string(),
                "scope": "all",
            },
        });
        assert_eq!(harness.answer(&header).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn invalid_credentials_are_refused_without_a_reason() {
    let (harness, ada, key) = ada().await;
    let other = TokenKey::make_random(&SystemRandomness::default());
    let id = ada.token.unwrap();
    let run = RunId::new("ab12ABCDEFGHIJ").unwrap();
    let unsigned = "eyJhbGciOiJub25lIn0.e30.".to_owned();
    for header in [
        String::new(),
        "Bearer".into(),
        "Bearer ".into(),
        format!("Token {key}"),
        format!("Bearer {key}x"),
        format!("Bearer x{key}"),
        format!("Bearer {}", *other.access_token(id)),
        format!("Bearer {}", *other.access_token(domain::ids::TokenId::new(7).unwrap())),
        format!("Bearer {}", *other.run_token(&run)),
        format!("Bearer {}", TokenKey::make_claim(&SystemRandomness::default()).expose()),
        format!("Basic {}", STANDARD.encode(format!("ada:{key}"))),
        format!("Bearer {unsigned}"),
        format!("Bearer {key}, Bearer {key}"),
        format!("Bearer {}", "a".repeat(9_000)),
    ] {
        let answer = harness.answer(&header).await.unwrap();
        assert_eq!(answer, json!({ "isAuthorized": false }), "{header}");
    }
}

#[tokio::test]
async fn only_the_value_that_is_the_cache_key_is_used() {
    let (harness, _, key) = ada().await;
    let good = format!("Bearer {key}");
    for source in [json!(null), json!([]), json!(good), json!([good, good]), json!([1]), json!([""])] {
        let mut event = event(&good);
        event["identitySource"] = source;
        assert_eq!(harness.send(&event).await.unwrap(), json!({ "isAuthorized": false }));
    }
    let mut bare = event(&good);
    bare.as_object_mut().unwrap().remove("identitySource");
    assert_eq!(harness.send(&bare).await.unwrap(), json!({ "isAuthorized": false }));
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let harness = Harness::start("").await;
    let soon = Timestamp::now() + jiff::SignedDuration::from_millis(1_500);
    let applied = harness.apply(&one_user(Some(&soon.to_string()))).await;
    let header = format!("Bearer {}", **applied.users[0].tokens[0].access_key.as_ref().unwrap());
    let at = async |now| {
        let handler = &harness.handler;
        let deadline = deadline();
        let context = harness.context(now, &deadline);
        authenticate(&*handler.store, &*handler.jwts, &header, &context).await.unwrap()
    };
    assert!(at(soon - jiff::SignedDuration::from_millis(1)).await.is_some());
    assert!(at(soon).await.is_none());
}

#[tokio::test]
async fn a_revoked_token_is_refused() {
    let (harness, ada, key) = ada().await;
    let header = format!("Bearer {key}");
    assert!(harness.user(&header).await.is_some());
    let deadline = deadline();
    let context = harness.context(Timestamp::now(), &deadline);
    tokens::revoke(&harness.store, &ada, ada.token.unwrap(), &context).await.unwrap();
    assert!(harness.user(&header).await.is_none());
}

#[tokio::test]
async fn a_disabled_user_is_refused_until_enabled() {
    let (harness, ada, key) = ada().await;
    let header = format!("Bearer {key}");
    for (disabled, accepted) in [(true, false), (false, true)] {
        let user = json!({ "userName": "ada", "email": "ada@example.org", "disabled": disabled });
        harness.apply(&json!({ "users": [user] })).await;
        assert_eq!(harness.user(&header).await.is_some(), accepted, "disabled: {disabled}");
    }
    let (pk, sk) = (format!("USER#{}", ada.user), "META");
    let remove = harness.table.quiet().delete_item().table_name(&harness.table.name);
    let remove = remove.key("pk", aws_sdk_dynamodb::types::AttributeValue::S(pk));
    remove.key("sk", aws_sdk_dynamodb::types::AttributeValue::S(sk.into())).send().await.unwrap();
    assert!(harness.user(&header).await.is_none(), "a token without a user identifies no caller");
}

#[tokio::test]
async fn the_last_use_is_recorded_once_an_hour_and_a_failure_to_record_it_is_ignored() {
    let (harness, _, key) = ada().await;
    let header = format!("Bearer {key}");
    harness.table.faults.forget();
    // The update and the SDK's retries.
    for nth in 1..=3 {
        harness.table.faults.fail_operation("UpdateItem", nth, Fault::Internal);
    }
    assert!(harness.user(&header).await.is_some());
    harness.table.faults.forget();
    assert!(harness.user(&header).await.is_some());
    assert_eq!(harness.table.faults.operations(), ["GetItem", "GetItem", "UpdateItem"]);
    harness.table.faults.forget();
    assert!(harness.user(&header).await.is_some());
    assert_eq!(harness.table.faults.operations(), ["GetItem", "GetItem"], "no update within the hour");
    let later = Timestamp::now() + jiff::SignedDuration::from_mins(61);
    let handler = &harness.handler;
    let deadline = deadline();
    authenticate(&*handler.store, &*handler.jwts, &header, &harness.context(later, &deadline)).await.unwrap();
    assert_eq!(harness.table.faults.operations(), ["GetItem", "GetItem", "GetItem", "GetItem", "UpdateItem"]);
    let rows = harness.table.rows().await;
    let token = rows.iter().find(|row| text(row, "sk") == "TOKEN").unwrap();
    assert_eq!(text(token, "lastUsed"), later.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
}

#[tokio::test]
async fn an_unavailable_table_is_an_error_and_not_an_answer() {
    let (harness, _, key) = ada().await;
    for fault in [Fault::Unreachable, Fault::Internal, Fault::Throttle] {
        harness.table.faults.forget();
        for nth in 1..=3 {
            harness.table.faults.fail_nth(nth, fault.clone());
        }
        let answer = harness.answer(&format!("Bearer {key}")).await;
        assert!(matches!(answer, Err(Error::Unavailable { .. } | Error::Contended)), "{answer:?}");
    }
}
