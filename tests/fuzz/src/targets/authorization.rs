use std::rc::Rc;

use authorizer::Handler;
use authorizer::oidc::Jwts;
use domain::settings::Settings;
use domain::token::PresentedToken;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use crate::aws::{Aws, context, wait};

/// The only valid token: id 42, with a key of forty digits.
pub(super) const TOKEN: &str = "eyJ0aWQiOiA0Mn0uMDcwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDcwNw==";
const KEY: &str = "0707070707070707070707070707070707070707";
const ROW: &str = r#"{"pk":{"S":"TOKEN#42"},"sk":{"S":"TOKEN"},"id":{"N":"42"},"user":{"N":"1"},"name":{"S":"ci"},
    "hash":{"S":"HASH"},"createdAt":{"S":"2026-11-24T00:00:00Z"},"lastUsed":{"S":"2036-11-24T00:00:00Z"}}"#;

/// A header is authorized only if it has the valid token.
pub fn run(data: &[u8]) {
    let header = super::text(data);
    let row = ROW.replace("HASH", &hash());
    let handler = Handler { store: Rc::new(Aws::holding(&row).store()), jwts: Rc::new(no_jwts()) };
    let event = to_raw_value(&json!({ "identitySource": [header] })).expect("JSON");
    let answer = wait(handler.handle(&event, &context(&Settings::new("test")))).unwrap_or_else(|error| panic!("{error}"));
    let answer: Value = serde_json::from_str(answer.get()).expect("an answer is JSON");
    let presented = match PresentedToken::from_authorization(&header) {
        Some(PresentedToken::Access(_, key)) => key.expose() == KEY,
        _ => false,
    };
    assert_eq!(answer["isAuthorized"], presented, "{answer}");
    assert!(!answer.to_string().contains(KEY));
}

/// No issuer is configured: a fuzzer cannot get past the signature check, and the target `claims`
/// starts after it.
pub(super) fn no_jwts() -> Jwts {
    runtime::config::load::<Jwts>(|_| None).expect("an issuer is optional")
}

fn hash() -> String {
    let Some(PresentedToken::Access(_, key)) = PresentedToken::from_authorization(&format!("Bearer {TOKEN}")) else {
        panic!("an invalid token");
    };
    assert_eq!(key.expose(), KEY);
    serde_json::to_value(key.hash()).expect("JSON").as_str().expect("text").to_owned()
}
