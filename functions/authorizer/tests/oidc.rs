//! JSON Web Tokens of a test issuer on loopback.

use crate::harness::{Harness, text};
use authorizer::oidc::Jwts;
use aws_lc_rs::hmac;
use domain::issuer::Issuers;
use domain::ports::VerifyJwt;
use domain::{Error, Timestamp};
use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};
use support::oidc::{Issuer, Key, encode, http};

async fn issuer() -> (Issuer, Key, Harness) {
    let key = Key::make("sig-1", "ES256");
    let issuer = Issuer::start(&[&key]).await;
    let harness = Harness::start(&issuer.url).await;
    (issuer, key, harness)
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test]
async fn a_valid_token_of_every_listed_algorithm_is_accepted() {
    for algorithm in ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"] {
        let key = Key::make("k", algorithm);
        let other = Key::make("other", "ES256");
        let issuer = Issuer::start(&[&other, &key]).await;
        let harness = Harness::start(&issuer.url).await;
        let answer = harness.answer(&bearer(&key.token(&issuer.claims("f81d4fae")))).await.unwrap();
        assert_eq!(answer["isAuthorized"], true, "{algorithm}");
        assert!(answer["context"].get("tokenId").is_none());
    }
    assert_eq!(authorizer::oidc::ALGORITHMS.len(), 7);
}

#[tokio::test]
async fn a_new_login_is_returned_and_nothing_is_written() {
    let (issuer, key, harness) = issuer().await;
    let mut claims = issuer.claims("ada");
    claims["email"] = json!("ada@example.org");
    for (verified, email) in [(true, json!("ada@example.org")), (false, Value::Null)] {
        claims["email_verified"] = json!(verified);
        let answer = harness.answer(&bearer(&key.token(&claims))).await.unwrap();
        let mut context = json!({ "issuer": issuer.url, "subject": "ada", "email": email, "signUp": "true" });
        context.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        assert_eq!(answer, json!({ "isAuthorized": true, "context": context }));
    }
    assert_eq!(harness.table.rows().await.len(), 0);
}

#[tokio::test]
async fn a_new_login_becomes_a_user_and_keeps_that_user() {
    let (issuer, key, harness) = issuer().await;
    let first = harness.user(&bearer(&key.token(&issuer.claims("ada")))).await.unwrap();
    assert_eq!(harness.users().await, 1);
    let rows = harness.table.rows().await.len();
    assert_eq!(harness.user(&bearer(&key.token(&issuer.claims("ada")))).await.unwrap(), first);
    assert_eq!(harness.table.rows().await.len(), rows);
    let other = harness.user(&bearer(&key.token(&issuer.claims("bob")))).await.unwrap();
    assert_ne!(other, first);
    let rows = harness.table.rows().await;
    assert!(!rows.iter().any(|row| text(row, "sk").starts_with("IN#")), "no roles");
    let names: Vec<_> =
        rows.iter().map(|row| text(row, "userName")).filter(|name| !name.is_empty()).collect();
    assert!(
        names.contains(&format!("oidc-{first}")),
        "a name that users cannot choose at the issuer: {names:?}"
    );
    assert_eq!(rows.iter().filter(|row| text(row, "action") == "user.created").count(), 2);
}

#[tokio::test]
async fn concurrent_first_requests_of_a_login_create_one_user() {
    let (issuer, key, harness) = issuer().await;
    // Fetch the keys before the concurrent requests.
    harness.user(&bearer(&key.token(&issuer.claims("bob")))).await.unwrap();
    let token = bearer(&key.token(&issuer.claims("ada")));
    let users = join_all((0..8).map(|_| harness.user(&token))).await;
    assert!(users.iter().all(|user| user.is_some() && *user == users[0]));
    assert_eq!(harness.users().await, 2);
}

/// Users who can choose their name or address at the issuer do not gain the permissions of another
/// user.
#[tokio::test]
async fn a_login_never_becomes_an_existing_user_by_email_address_or_name() {
    let (issuer, key, harness) = issuer().await;
    let applied = harness
        .apply(&json!({
            "users": [{ "userName": "admin", "email": "Ada@example.org" }],
            "organizations": [{ "name": "o", "workspaces": [{
                "name": "w", "participants": [{ "user": "admin", "role": "owner" }],
            }] }],
        }))
        .await;
    let declared = applied.users[0].id.to_string();
    for (subject, verified) in
        [("s1", json!(true)), ("s2", json!("true")), ("s3", json!(false)), ("admin", json!(true))]
    {
        let mut claims = issuer.claims(subject);
        claims["email"] = json!("ada@EXAMPLE.org");
        claims["email_verified"] = verified;
        claims["preferred_username"] = json!("admin");
        let user = harness.user(&bearer(&key.token(&claims))).await.unwrap();
        assert_ne!(user, declared);
        let row = harness.table.row(&format!("USER#{user}"), "META").await.unwrap();
        assert!(text(&row, "email").ends_with("@no-email.invalid"));
    }
    assert_eq!(harness.users().await, 5);
}

#[tokio::test]
async fn only_verified_email_addresses_are_used() {
    let (issuer, key, harness) = issuer().await;
    for (subject, email, verified, kept) in [
        ("s1", json!("s1@example.org"), json!(true), true),
        ("s2", json!("s2@example.org"), json!("true"), true),
        ("s3", json!("s3@example.org"), json!(false), false),
        ("s4", json!("s4@example.org"), Value::Null, false),
        ("s5", json!("not an address"), json!(true), false),
        ("s6", json!("a\n@example.org"), json!(true), false),
        ("s7", Value::Null, json!(true), false),
    ] {
        let mut claims = issuer.claims(subject);
        claims["email"] = email.clone();
        claims["email_verified"] = verified;
        let user = harness.user(&bearer(&key.token(&claims))).await.unwrap();
        let row = harness.table.row(&format!("USER#{user}"), "META").await.unwrap();
        assert_eq!(json!(text(&row, "email")) == email, kept, "{subject}");
    }
}

#[tokio::test]
async fn invalid_claims_are_refused() {
    let (issuer, key, harness) = issuer().await;
    let now = Timestamp::now().as_second();
    for (claim, value) in [
        ("iss", json!("https://evil.example.org")),
        ("iss", json!(format!("{}/", issuer.url))),
        ("iss", json!([issuer.url])),
        ("iss", Value::Null),
        ("aud", json!("account")),
        ("aud", json!([])),
        ("aud", json!(["account", "pipeline-secrets-test"])),
        ("aud", Value::Null),
        ("exp", json!(now - 120)),
        ("exp", json!("tomorrow")),
        ("exp", json!(1e300)),
        ("exp", json!(-1)),
        ("exp", Value::Null),
        ("nbf", json!(now + 300)),
        ("nbf", json!(1e300)),
        ("nbf", json!("now")),
        ("sub", json!("")),
        ("sub", json!(7)),
        ("sub", json!("x".repeat(256))),
        ("sub", json!("a\u{0}b")),
        ("sub", Value::Null),
    ] {
        let mut claims = issuer.claims("ada");
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(claim)),
            _ => claims[claim] = value.clone(),
        }
        assert!(harness.user(&bearer(&key.token(&claims))).await.is_none(), "{claim} {value}");
    }
    assert_eq!(harness.users().await, 0);
    let mut tolerated = issuer.claims("ada");
    tolerated["exp"] = json!(now - 30);
    tolerated["nbf"] = json!(now + 30);
    assert!(
        harness.user(&bearer(&key.token(&tolerated))).await.is_some(),
        "clocks can differ by up to a minute"
    );
    let mut latest = issuer.claims("ada");
    latest["exp"] = json!(Timestamp::MAX.as_second());
    assert!(harness.user(&bearer(&key.token(&latest))).await.is_some(), "the largest possible time");
}

/// Each issuer's tokens are verified with its own keys and its own requirements.
#[tokio::test]
async fn the_issuer_of_a_token_decides_its_keys_and_requirements() {
    let (staff_key, ci_key, foreign_key) =
        (Key::make("k", "ES256"), Key::make("k", "ES256"), Key::make("k", "ES256"));
    let staff = Issuer::start(&[&staff_key]).await;
    let ci = Issuer::start(&[&ci_key]).await;
    let foreign = Issuer::start(&[&foreign_key]).await;
    let required = json!({ "kind": "ci", "audience": "ci", "requiredClaims": { "owner": "123" } });
    let harness = Harness::with(&[staff.entry(&json!({ "signUp": false })), ci.entry(&required)]).await;
    let of = |issuer: &Issuer, changes: &Value| {
        let mut claims = issuer.claims("ada");
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims
    };
    let ci_claims = of(&ci, &json!({ "aud": "ci", "owner": "123", "nonce": "n" }));
    for (what, key, claims, accepted) in [
        ("staff", &staff_key, of(&staff, &json!({})), true),
        ("CI", &ci_key, ci_claims.clone(), true),
        ("staff, signed by CI", &ci_key, of(&staff, &json!({})), false),
        ("CI, signed by staff", &staff_key, ci_claims, false),
        ("staff with CI's audience", &staff_key, of(&staff, &json!({ "aud": "ci", "owner": "123" })), false),
        ("CI without the claim", &ci_key, of(&ci, &json!({ "aud": "ci" })), false),
        ("CI of another owner", &ci_key, of(&ci, &json!({ "aud": "ci", "owner": "124" })), false),
        ("an ID token of staff", &staff_key, of(&staff, &json!({ "typ": "ID" })), false),
        ("an issuer that is not configured", &foreign_key, of(&foreign, &json!({})), false),
        ("staff, signed by it", &foreign_key, of(&staff, &json!({})), false),
    ] {
        let answer = harness.answer(&bearer(&key.token(&claims))).await.unwrap();
        assert_eq!(answer["isAuthorized"], accepted, "{what}");
        if accepted {
            assert_eq!(answer["context"]["issuer"], claims["iss"], "{what}");
            assert_eq!(answer["context"]["signUp"], (what == "CI").to_string(), "{what}");
        }
    }
    assert_eq!(foreign.requests(), 0, "nothing is fetched from an issuer that is not configured");
    assert_eq!((staff.requests(), ci.requests()), (2, 2), "each issuer has its own cache");
}

#[tokio::test]
async fn a_signature_by_another_key_is_refused() {
    let (issuer, key, harness) = issuer().await;
    let claims = issuer.claims("ada");
    let forger = Key::make("sig-1", "ES256");
    let good = key.token(&claims);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": "sig-1" });
    let with = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        header
    };
    let other_claims = encode(issuer.claims("bob").to_string().as_bytes());
    for (what, token) in [
        ("another key under the same id", forger.token(&claims)),
        ("a key in the token", forger.sign(&with("jwk", forger.jwk()), &claims)),
        (
            "a key that the token points to",
            forger.sign(&with("jku", json!("https://evil.example.org/jwks")), &claims),
        ),
        ("an unknown key", key.sign(&with("kid", json!("sig-2")), &claims)),
        ("the key for encryption", key.sign(&with("kid", json!("enc-1")), &claims)),
        ("an extension that must be understood", key.sign(&with("crit", json!(["b64"])), &claims)),
        ("no signature", format!("{message}.")),
        ("half a signature", format!("{message}.{}", &signature[..20])),
        (
            "other claims with the signature",
            format!("{}.{other_claims}.{signature}", encode(header.to_string().as_bytes())),
        ),
    ] {
        assert!(harness.user(&bearer(&token)).await.is_none(), "{what}");
    }
    assert_eq!(harness.users().await, 0);
    assert!(harness.user(&bearer(&good)).await.is_some());
}

#[tokio::test]
async fn unlisted_algorithms_are_refused() {
    let rsa = Key::make("rsa", "RS256");
    let ec = Key::make("ec", "ES256");
    let issuer = Issuer::start(&[&rsa, &ec]).await;
    let harness = Harness::start(&issuer.url).await;
    let claims = issuer.claims("ada");
    let message = |header: &Value| {
        format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()))
    };
    let mut refused = Vec::new();
    for none in ["none", "None", "NONE", "nOnE", ""] {
        refused.push(format!("{}.", message(&json!({ "alg": none, "kid": "rsa" }))));
    }
    // HMAC with published data as the key: the modulus, or the whole key as JSON.
    let public = rsa.jwk();
    for secret in [public["n"].as_str().unwrap().as_bytes().to_vec(), public.to_string().into_bytes()] {
        for algorithm in ["HS256", "HS384", "HS512"] {
            let message = message(&json!({ "alg": algorithm, "kid": "rsa" }));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
            refused.push(format!("{message}.{}", encode(tag.as_ref())));
        }
    }
    // An algorithm other than the key's.
    refused.push(rsa.sign(&json!({ "alg": "PS256", "kid": "rsa" }), &claims));
    refused.push(rsa.sign(&json!({ "alg": "RS512", "kid": "rsa" }), &claims));
    refused.push(rsa.sign(&json!({ "alg": "ES256", "kid": "rsa" }), &claims));
    refused.push(ec.sign(&json!({ "alg": "ES384", "kid": "ec" }), &claims));
    refused.push(ec.sign(&json!({ "alg": "PS384", "kid": "ec" }), &claims));
    refused.push(ec.sign(&json!({ "kid": "ec" }), &claims));
    for token in refused {
        assert!(harness.user(&bearer(&token)).await.is_none(), "{token}");
    }
    assert!(harness.user(&bearer(&rsa.token(&claims))).await.is_some());
}

#[tokio::test]
async fn malformed_and_oversized_tokens_are_refused_without_a_request_to_the_issuer() {
    let (issuer, key, harness) = issuer().await;
    let mut claims = issuer.claims("ada");
    claims["groups"] = json!("x".repeat(8_192));
    let oversized = key.token(&claims);
    let header = encode(br#"{"alg":"ES256","kid":"sig-1"}"#);
    for token in [
        "..".to_owned(),
        "a.b.c".to_owned(),
        format!("{}.e30.AA", encode(br#"{"alg":"ES256K","kid":"sig-1"}"#)),
        format!("{}.e30.AA", encode(b"[]")),
        format!("{}.e30.AA", encode(&[0xff, 0xfe])),
        format!("{}.e30.AA", encode("{".repeat(4_000).as_bytes())),
        "é.é.é".to_owned(),
        oversized,
    ] {
        assert!(harness.user(&bearer(&token)).await.is_none());
    }
    assert_eq!(issuer.requests(), 0);
    for token in [
        format!("{header}.."),
        format!("{header}.%%%.AA"),
        format!("{header}.e30.%%%"),
        format!("{header}.{}.AA", encode(b"5")),
    ] {
        assert!(harness.user(&bearer(&token)).await.is_none());
    }
    assert_eq!(harness.users().await, 0);
}

#[tokio::test]
async fn without_a_key_id_the_only_key_of_the_algorithm_is_used() {
    let (one, other, rsa) =
        (Key::make("one", "ES256"), Key::make("other", "ES256"), Key::make("rsa", "RS256"));
    let issuer = Issuer::start(&[&one, &rsa]).await;
    let header = json!({ "alg": "ES256" });
    let claims = issuer.claims("ada");
    let harness = Harness::start(&issuer.url).await;
    assert!(harness.user(&bearer(&one.sign(&header, &claims))).await.is_some());
    issuer.publish(&[&one, &other]);
    let harness = Harness::start(&issuer.url).await;
    assert!(harness.user(&bearer(&one.sign(&header, &claims))).await.is_none(), "two keys match");
}

/// A verifier with a controlled clock.
struct Clock {
    jwts: Jwts,
    start: Timestamp,
}

impl Clock {
    fn of(issuer: &Issuer) -> Self {
        let issuers = Issuers::parse(&json!([issuer.entry(&json!({}))]).to_string()).unwrap();
        Self { jwts: Jwts::new(&issuers).unwrap(), start: Timestamp::now() }
    }

    async fn at(&self, seconds: i64, key: &Key, issuer: &Issuer) -> domain::Result<bool> {
        let now = self.start + SignedDuration::from_secs(seconds);
        let mut claims = issuer.claims("ada");
        (claims["exp"], claims["nbf"]) = (json!(now.as_second() + 60), json!(now.as_second()));
        self.jwts.verify_jwt(&key.token(&claims), now).await.map(|verified| verified.is_some())
    }
}

#[tokio::test]
async fn keys_are_fetched_once_an_hour_and_immediately_for_an_unknown_key() {
    let (old, new) = (Key::make("old", "ES256"), Key::make("new", "ES256"));
    let issuer = Issuer::start(&[&old]).await;
    let clock = Clock::of(&issuer);
    for second in [0, 1, 3_599] {
        assert!(clock.at(second, &old, &issuer).await.unwrap());
    }
    assert_eq!(issuer.requests(), 2, "the discovery document and the keys");
    issuer.publish(&[&new]);
    assert!(clock.at(3_599, &new, &issuer).await.unwrap(), "rotated");
    assert_eq!(issuer.requests(), 4);
    assert!(!clock.at(3_600, &old, &issuer).await.unwrap(), "a withdrawn key");
    assert!(clock.at(2 * 3_600, &new, &issuer).await.unwrap());
    assert_eq!(issuer.requests(), 6);
}

#[tokio::test]
async fn unknown_keys_cause_at_most_two_fetches_per_minute() {
    let (known, unknown) = (Key::make("known", "ES256"), Key::make("unknown", "ES256"));
    let issuer = Issuer::start(&[&known]).await;
    let clock = Clock::of(&issuer);
    for second in 0..30 {
        assert!(!clock.at(second, &unknown, &issuer).await.unwrap());
    }
    assert_eq!(issuer.requests(), 2);
    assert!(clock.at(29, &known, &issuer).await.unwrap());
    assert!(!clock.at(30, &unknown, &issuer).await.unwrap());
    assert_eq!(issuer.requests(), 4);
}

#[tokio::test]
async fn an_invalid_answer_of_the_issuer_is_an_error_and_not_a_refusal() {
    let key = Key::make("k", "ES256");
    let issuer = Issuer::start(&[&key]).await;
    let huge = format!("{{\"issuer\":\"{}\",\"x\":\"{}\"}}", issuer.url, "x".repeat(300 * 1024));
    for (what, answer) in [
        ("500", "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()),
        (
            "a redirect",
            format!(
                "HTTP/1.1 302 Found\r\nlocation: {}/x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                issuer.url
            ),
        ),
        ("not HTTP", "hello\r\n\r\n".to_owned()),
        ("not JSON", http("<html>")),
        ("a list", http("[]")),
        ("an endless document", http(&huge)),
    ] {
        issuer.answer_instead(Some(answer));
        let outcome = Clock::of(&issuer).at(0, &key, &issuer).await;
        assert!(matches!(outcome, Err(Error::Unavailable { .. })), "{what}: {outcome:?}");
    }
    issuer.answer_instead(None);
    issuer.discover(|document| document["issuer"] = json!("https://evil.example.org"));
    assert!(Clock::of(&issuer).at(0, &key, &issuer).await.is_err(), "another issuer's document");
    issuer.discover(|document| {
        document["issuer"] = json!(issuer.url);
        document["jwks_uri"] = json!("http://169.254.169.254/latest/meta-data");
    });
    assert!(
        Clock::of(&issuer).at(0, &key, &issuer).await.is_err(),
        "an address from which keys must not be fetched"
    );
}

#[tokio::test]
async fn an_issuer_that_never_answers_delays_one_request_by_three_seconds() {
    let key = Key::make("k", "ES256");
    let issuer = Issuer::start(&[&key]).await;
    issuer.answer_instead(Some(String::new()));
    let harness = Harness::start(&issuer.url).await;
    let token = bearer(&key.token(&issuer.claims("ada")));
    let started = std::time::Instant::now();
    assert!(matches!(harness.answer(&token).await, Err(Error::Unavailable { .. })));
    assert!(matches!(harness.answer(&token).await, Err(Error::Unavailable { .. })));
    let took = started.elapsed();
    assert!((3.0..4.5).contains(&took.as_secs_f64()), "{took:?}");
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test]
async fn while_the_issuer_is_unavailable_its_keys_are_used_for_a_day() {
    let key = Key::make("k", "ES256");
    let issuer = Issuer::start(&[&key]).await;
    let clock = Clock::of(&issuer);
    assert!(clock.at(0, &key, &issuer).await.unwrap());
    issuer.answer_instead(Some(
        "HTTP/1.1 503 Away\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
    ));
    assert!(clock.at(2 * 3_600, &key, &issuer).await.unwrap());
    assert!(clock.at(24 * 3_600 - 1, &key, &issuer).await.unwrap());
    assert!(clock.at(24 * 3_600, &key, &issuer).await.is_err());
    issuer.answer_instead(None);
    assert!(clock.at(24 * 3_600 + 30, &key, &issuer).await.unwrap());
}
