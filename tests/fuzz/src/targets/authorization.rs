use std::rc::Rc;

use authorizer::Handler;
use authorizer::oidc::Jwts;
use domain::settings::Settings;
use domain::token::Presented;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use crate::aws::{Aws, context, wait};

/// The one token that there is: number 42, its key forty digits.
pub(super) const TOKEN: &str = "eyJ0aWQiOiA0Mn0uMDcwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDcwNw==";
const KEY: &str = "0707070707070707070707070707070707070707";
const ROW: &str = r#"{"pk":{"S":"TOKEN#42"},"sk":{"S":"TOKEN"},"id":{"N":"42"},"user":{"N":"1"},"name":{"S":"ci"},
    "hash":{"S":"HASH"},"createdAt":{"S":"2026-11-24T00:00:00Z"},"lastUsed":{"S":"2036-11-24T00:00:00Z"}}"#;

/// A header of any shape says "yes" only where it presents the token that there is.
pub fn run(data: &[u8]) {
    let header = super::text(data);
    let row = ROW.replace("HASH", &hash());
    let handler = Handler { store: Rc::new(Aws::holding(&row).store()), jwts: Rc::new(no_jwts()) };
    let event = to_raw_value(&json!({ "identitySource": [header] })).expect("JSON");
    let answer = wait(handler.handle(&event, &context(&Settings::new("test")))).unwrap_or_else(|error| panic!("{error}"));
    let answer: Value = serde_json::from_str(answer.get()).expect("an answer is JSON");
    let presented = match Presented::from_authorization(&header) {
        Some(Presented::Access(_, key)) => key.expose() == KEY,
        _ => false,
    };
    assert_eq!(answer["isAuthorized"], presented, "{answer}");
    assert!(!answer.to_string().contains(KEY));
}

/// No issuer: what follows the signature is out of a fuzzer's reach, and `claims` begins behind it.
pub(super) fn no_jwts() -> Jwts {
    runtime::config::load::<Jwts>(|_| None).expect("no issuer is no fault")
}

fn hash() -> String {
    let Some(Presented::Access(_, key)) = Presented::from_authorization(&format!("Bearer {TOKEN}")) else {
        panic!("the token is one");
    };
    assert_eq!(key.expose(), KEY);
    serde_json::to_value(key.hash()).expect("JSON").as_str().expect("text").to_owned()
}
