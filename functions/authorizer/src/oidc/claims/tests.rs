//! Tokens as issuers document them, and the decisions about their claims.

use domain::issuer::Issuers;
use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);
const AUDIENCE: &str = "pipeline-secrets";

fn issuer(fields: &Value) -> Issuer {
    let mut issuer = json!({ "issuer": "https://i.example", "audience": AUDIENCE, "kind": "people" });
    issuer.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    Issuers::parse(&json!([issuer]).to_string()).unwrap().all()[0].clone()
}

/// Checks a token with these claims, and with valid ones of an access token that are not named.
/// `null` removes one.
fn check(issuer: &Issuer, typ: Option<&str>, claims: &Value) -> Result<String, &'static str> {
    let mut all = json!({
        "iss": "https://i.example", "sub": "s", "aud": AUDIENCE, "exp": NOW.as_second() + 60, "scope": "openid",
    });
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    all.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let claims: Claims = serde_json::from_value(all).unwrap();
    claims.check(issuer, typ, NOW).map(|verified| verified.login.subject)
}

fn accepts(issuer: &Issuer, typ: Option<&str>, claims: &Value) -> bool {
    check(issuer, typ, claims).is_ok()
}

#[test]
fn access_tokens_of_common_issuers_are_accepted_from_people() {
    let people = issuer(&json!({}));
    let listed = issuer(&json!({ "authorizedParties": ["spa"] }));
    for (name, issuer, typ, claims) in [
        ("RFC 9068", &people, "at+jwt", json!({ "client_id": "spa", "jti": "1", "auth_time": 1 })),
        ("RFC 9068, long", &people, "application/at+jwt", json!({ "client_id": "spa" })),
        ("Keycloak", &people, "JWT", json!({ "typ": "Bearer", "azp": "spa", "auth_time": 1, "sid": "1" })),
        ("Keycloak before 25", &people, "JWT", json!({ "typ": "Bearer", "azp": "spa", "nonce": "n" })),
        (
            "Keycloak, two audiences",
            &listed,
            "JWT",
            json!({ "typ": "Bearer", "azp": "spa", "aud": [AUDIENCE, "account"] }),
        ),
        (
            "Auth0, two audiences",
            &listed,
            "JWT",
            json!({ "azp": "spa", "aud": [AUDIENCE, "https://t.auth0.com/userinfo"], "scope": "openid" }),
        ),
        (
            "Entra, version 2",
            &people,
            "JWT",
            json!({ "azp": "spa", "azpacr": "0", "scp": "use", "ver": "2.0" }),
        ),
        ("Entra, version 1", &listed, "JWT", json!({ "appid": "spa", "scp": "use", "ver": "1.0" })),
        ("Okta", &listed, "JWT", json!({ "cid": "spa", "uid": "u", "scp": ["openid"], "auth_time": 1 })),
        (
            "Cognito",
            &people,
            "JWT",
            json!({ "aud": null, "token_use": "access", "client_id": AUDIENCE, "scope": "openid" }),
        ),
    ] {
        assert_eq!(check(issuer, Some(typ), &claims), Ok("s".into()), "{name}");
    }
    assert!(accepts(&people, None, &json!({})), "a token without a type");
}

#[test]
fn id_tokens_of_common_issuers_are_refused_from_people() {
    let people = issuer(&json!({ "clientId": AUDIENCE, "authorizedParties": [AUDIENCE] }));
    for (name, typ, claims) in [
        ("with a nonce", "JWT", json!({ "nonce": "n", "azp": AUDIENCE })),
        ("Okta, Auth0", "JWT", json!({ "at_hash": "h", "azp": AUDIENCE })),
        ("of the hybrid flow", "JWT", json!({ "c_hash": "h", "azp": AUDIENCE })),
        ("of FAPI", "JWT", json!({ "s_hash": "h", "azp": AUDIENCE })),
        ("Keycloak", "JWT", json!({ "typ": "ID", "azp": AUDIENCE })),
        ("Entra", "JWT", json!({ "azp": AUDIENCE, "scope": null, "ver": "2.0", "oid": "1", "uti": "1" })),
        ("Google", "JWT", json!({ "azp": AUDIENCE, "scope": null, "hd": "example.org" })),
        ("Keycloak, refresh token", "JWT", json!({ "typ": "Refresh", "azp": AUDIENCE })),
        ("Cognito", "JWT", json!({ "token_use": "id", "azp": AUDIENCE })),
        ("a claim of another type", "JWT", json!({ "token_use": ["access"], "azp": AUDIENCE })),
        ("a logout token", "logout+jwt", json!({ "azp": AUDIENCE })),
        ("a logout token without a type", "JWT", json!({ "events": {}, "azp": AUDIENCE })),
        ("a proof", "dpop+jwt", json!({ "azp": AUDIENCE })),
        ("a bound token", "at+jwt", json!({ "cnf": { "jkt": "k" }, "azp": AUDIENCE })),
        ("an encrypted token", "JWE", json!({ "azp": AUDIENCE })),
    ] {
        assert!(!accepts(&people, Some(typ), &claims), "{name}");
    }
    assert!(accepts(&people, Some("JWT"), &json!({ "azp": AUDIENCE })), "the same without these claims");
}

#[test]
fn ci_issuers_issue_id_tokens() {
    let ci = issuer(&json!({ "kind": "ci" }));
    let github = json!({ "repository_owner_id": "1", "ref": "refs/heads/main", "jti": "1" });
    let gitlab = json!({ "project_id": "2", "ref_protected": "true", "user_id": "3" });
    for claims in [github, gitlab, json!({ "nonce": "n", "at_hash": "h" }), json!({ "typ": "ID" })] {
        assert!(accepts(&ci, Some("JWT"), &claims), "{claims}");
    }
    assert!(accepts(&ci, Some("at+jwt"), &json!({})), "a service account's access token");
    assert!(!accepts(&ci, Some("logout+jwt"), &json!({})));
    assert!(!accepts(&ci, Some("JWT"), &json!({ "cnf": {} })));
}

#[test]
fn the_audience_and_the_authorized_party_must_be_known() {
    let (any, listed) = (issuer(&json!({})), issuer(&json!({ "authorizedParties": ["spa", "cli"] })));
    let console = issuer(&json!({ "clientId": "console" }));
    let both = issuer(&json!({ "clientId": "console", "authorizedParties": ["cli"] }));
    let two = json!([AUDIENCE, "other"]);
    for (issuer, claims, expected) in [
        (&any, json!({}), true),
        (&any, json!({ "azp": "anyone" }), true),
        (&any, json!({ "aud": [AUDIENCE] }), true),
        (&any, json!({ "aud": [AUDIENCE, AUDIENCE] }), true),
        (&any, json!({ "aud": two }), false),
        (&any, json!({ "aud": two, "azp": "anyone" }), false),
        (&any, json!({ "aud": two, "azp": AUDIENCE }), false),
        (&any, json!({ "aud": "other" }), false),
        (&any, json!({ "aud": [] }), false),
        (&any, json!({ "aud": null }), false),
        (&any, json!({ "aud": null, "client_id": AUDIENCE }), false),
        (&any, json!({ "aud": null, "client_id": AUDIENCE, "token_use": "id" }), false),
        (&any, json!({ "aud": null, "client_id": "other", "token_use": "access" }), false),
        (&any, json!({ "aud": [], "client_id": AUDIENCE, "token_use": "access" }), false),
        (&any, json!({ "aud": "other", "client_id": AUDIENCE, "token_use": "access" }), false),
        (&listed, json!({ "azp": "spa" }), true),
        (&listed, json!({ "client_id": "cli", "aud": two }), true),
        (&listed, json!({}), false),
        (&listed, json!({ "azp": "other" }), false),
        (&listed, json!({ "azp": ["spa"] }), false),
        (&listed, json!({ "azp": "other", "client_id": "spa" }), false),
        (&listed, json!({ "azp": "spa", "aud": "other" }), false),
        (&console, json!({ "azp": "console", "aud": two }), true),
        (&console, json!({ "azp": "cli", "aud": two }), false),
        (&console, json!({ "azp": "cli" }), true),
        (&both, json!({ "azp": "cli", "aud": two }), true),
        (&both, json!({ "azp": "console" }), false),
    ] {
        let given = (&issuer.client_id, &issuer.authorized_parties);
        assert_eq!(accepts(issuer, Some("JWT"), &claims), expected, "{given:?} {claims}");
    }
}

#[test]
fn required_claims_must_be_present_with_their_value() {
    let required = |claims: &Value| issuer(&json!({ "requiredClaims": claims }));
    let owner = required(&json!({ "repository_owner_id": "123" }));
    let two = required(&json!({ "tid": "1", "groups": "lab" }));
    for (issuer, claims, expected) in [
        (&owner, json!({ "repository_owner_id": "123" }), true),
        (&owner, json!({ "repository_owner_id": 123 }), true),
        (&owner, json!({ "repository_owner_id": "1234" }), false),
        (&owner, json!({ "repository_owner_id": "123 " }), false),
        (&owner, json!({ "repository_owner_id": { "123": "123" } }), false),
        (&owner, json!({ "Repository_owner_id": "123" }), false),
        (&owner, json!({}), false),
        (&two, json!({ "tid": "1", "groups": ["lab", "x"] }), true),
        (&two, json!({ "tid": "1", "groups": "lab" }), true),
        (&two, json!({ "tid": "1", "groups": "lab x" }), false),
        (&two, json!({ "tid": "1", "groups": [["lab"]] }), false),
        (&two, json!({ "tid": "1" }), false),
        (&two, json!({ "groups": "lab" }), false),
        (&required(&json!({ "sub": "s" })), json!({}), true),
        (&required(&json!({ "sub": "other" })), json!({}), false),
        (&required(&json!({ "email_verified": "true" })), json!({ "email_verified": true }), true),
        (&required(&json!({ "scp": "use" })), json!({ "scp": "openid use" }), true),
        (&required(&json!({ "scope": "use" })), json!({ "scope": "openid used" }), false),
        (&required(&json!({ "scp": "use" })), json!({ "scp": ["use"] }), true),
    ] {
        assert_eq!(accepts(issuer, Some("JWT"), &claims), expected, "{:?} {claims}", issuer.required_claims);
    }
}

#[test]
fn a_repeated_claim_is_refused() {
    for repeated in [r#""sub":"t""#, r#""groups":"a","groups":"b""#] {
        let text = format!(r#"{{"iss":"https://i.example","sub":"s","aud":"a","exp":1,{repeated}}}"#);
        assert!(serde_json::from_str::<Claims>(&text).is_err(), "{text}");
    }
}
