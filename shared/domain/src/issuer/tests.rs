use serde_json::{Value, json};

use super::*;

fn people() -> Value {
    json!({ "issuer": "https://login.example.org", "audience": "secrets", "kind": "people" })
}

/// An issuer with these fields, and the fields of [`people`] that are not named.
fn with(fields: &Value) -> Value {
    let mut issuer = people();
    for (name, value) in fields.as_object().unwrap() {
        issuer[name] = value.clone();
    }
    issuer
}

fn parse(issuers: &[Value]) -> Result<Issuers, String> {
    Issuers::parse(&json!(issuers).to_string())
}

fn refusal(issuer: &Value) -> String {
    parse(std::slice::from_ref(issuer)).expect_err(&issuer.to_string())
}

#[test]
fn an_issuer_has_safe_defaults() {
    let issuers = parse(&[people()]).unwrap();
    let expected = Issuer {
        issuer: "https://login.example.org".into(),
        audience: "secrets".into(),
        kind: IssuerKind::People,
        client_id: None,
        scopes: vec![],
        authorized_parties: vec![],
        required_claims: BTreeMap::new(),
        sign_up: false,
    };
    assert_eq!(issuers.all(), [expected]);
    assert_eq!(parse(&[]).unwrap(), Issuers::default());
    let console = parse(&[with(&json!({ "clientId": "console" }))]).unwrap();
    assert_eq!(console.all()[0].scopes, ["openid"]);
}

#[test]
fn every_field_is_read() {
    let people = with(&json!({
        "clientId": "console", "scopes": ["openid", "api://secrets/use"],
        "authorizedParties": ["console", "cli"], "requiredClaims": { "tid": "1", "groups": "lab" },
        "signUp": true,
    }));
    let ci = json!({
        "issuer": "https://token.actions.githubusercontent.com", "audience": "secrets", "kind": "ci",
        "requiredClaims": { "repository_owner_id": "123" }, "signUp": true,
    });
    let issuers = parse(&[people, ci]).unwrap();
    let [people, ci] = issuers.all() else { panic!("two issuers") };
    assert_eq!(people.client_id.as_deref(), Some("console"));
    assert_eq!(people.scopes, ["openid", "api://secrets/use"]);
    assert_eq!(people.authorized_parties, ["console", "cli"]);
    let claim = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(people.required_claims, BTreeMap::from([claim("groups", "lab"), claim("tid", "1")]));
    assert!(people.sign_up && ci.sign_up);
    assert_eq!(ci.kind, IssuerKind::Ci);
    assert_eq!(ci.required_claims, BTreeMap::from([claim("repository_owner_id", "123")]));
    assert_eq!(issuers.find("https://login.example.org"), Some(people));
    assert_eq!(issuers.find("https://login.example.org/"), None, "the name is compared exactly");
    assert_eq!(issuers.find("https://other.example.org"), None);
}

#[test]
fn at_most_three_different_issuers_are_accepted() {
    let numbered = |number: usize| with(&json!({ "issuer": format!("https://i{number}.example.org") }));
    assert_eq!(parse(&[numbered(0), numbered(1), numbered(2)]).unwrap().all().len(), 3);
    let four = parse(&[numbered(0), numbered(1), numbered(2), numbered(3)]).unwrap_err();
    assert_eq!(four, "a list of at most three OpenID Connect issuers: it has 4");
    for twin in ["https://i0.example.org", "https://i0.example.org/"] {
        let twin = with(&json!({ "issuer": twin, "audience": "other" }));
        let refused = parse(&[numbered(0), numbered(1), twin]).unwrap_err();
        assert!(refused.ends_with(": [2].issuer is listed twice"), "{refused}");
    }
}

#[test]
fn an_unknown_repeated_or_missing_field_and_another_type_are_refused_without_quoting_them() {
    let missing = |name: &str| {
        let mut issuer = people();
        issuer.as_object_mut().unwrap().remove(name);
        issuer
    };
    let cases = [
        with(&json!({ "requiredClaim": { "canary": "1" } })),
        with(&json!({ "required_claims": { "canary": "1" } })),
        with(&json!({ "signup": true })),
        with(&json!({ "Audience": "canary" })),
        missing("issuer"),
        missing("audience"),
        missing("kind"),
        with(&json!({ "audience": ["canary"] })),
        with(&json!({ "kind": "canary" })),
        with(&json!({ "kind": "People" })),
        with(&json!({ "clientId": 7 })),
        with(&json!({ "scopes": "openid canary" })),
        with(&json!({ "authorizedParties": "canary" })),
        with(&json!({ "authorizedParties": null })),
        with(&json!({ "requiredClaims": ["canary"] })),
        with(&json!({ "requiredClaims": { "canary": 1 } })),
        with(&json!({ "requiredClaims": null })),
        with(&json!({ "signUp": "true" })),
        with(&json!({ "signUp": null })),
        json!("https://canary"),
        json!(null),
        json!([]),
    ];
    for case in cases {
        let text = refusal(&case);
        assert!(text.contains("[0] is missing a field, or has an unknown"), "{text}");
        assert!(text.ends_with(FIELDS) && !text.contains("canary"), "{text}");
    }
    let valid = people().to_string();
    let body = valid.strip_suffix('}').unwrap();
    for repeated in [
        format!("[{body},\"audience\":\"other\"}}]"),
        format!("[{body},\"requiredClaims\":{{\"a\":\"1\",\"a\":\"2\"}}}}]"),
    ] {
        assert!(Issuers::parse(&repeated).unwrap_err().contains("repeated field"), "{repeated}");
    }
}

#[test]
fn text_that_is_not_a_json_array_is_refused() {
    let object = people().to_string();
    for text in ["", " ", "https://login.example.org", "null", "{}", "[", "[{}", &object, "[]]"] {
        let refused = Issuers::parse(text).unwrap_err();
        assert_eq!(refused, format!("{LIST}, as JSON text: it cannot be parsed"), "{text}");
    }
}

#[test]
fn values_that_would_not_protect_anything_are_refused() {
    let ci = |fields: &Value| {
        let mut issuer = with(fields);
        issuer["kind"] = json!("ci");
        issuer
    };
    for (issuer, problem) in [
        (with(&json!({ "issuer": "http://login.example.org" })), ".issuer must be an https URL"),
        (with(&json!({ "issuer": "" })), ".issuer must be an https URL"),
        (with(&json!({ "audience": "" })), ".audience is empty"),
        (with(&json!({ "audience": "a\nb" })), ".audience is empty or has control characters"),
        (with(&json!({ "clientId": "" })), ".clientId is empty"),
        (ci(&json!({ "clientId": "console" })), ".clientId is for the console"),
        (with(&json!({ "scopes": ["openid"] })), ".scopes are those that the console requests"),
        (with(&json!({ "clientId": "c", "scopes": ["openid a"] })), ".scopes must have one OAuth scope"),
        (with(&json!({ "clientId": "c", "scopes": ["openid", ""] })), ".scopes must have one OAuth scope"),
        (with(&json!({ "clientId": "c", "scopes": ["profile"] })), ".scopes must contain openid"),
        (with(&json!({ "authorizedParties": [""] })), ".authorizedParties has an empty text"),
        (with(&json!({ "requiredClaims": { "": "x" } })), ".requiredClaims has an empty text"),
        (with(&json!({ "requiredClaims": { "x": "" } })), ".requiredClaims has an empty text"),
        (ci(&json!({ "signUp": true })), ".signUp of the kind ci needs requiredClaims"),
    ] {
        let text = refusal(&issuer);
        assert!(text.contains(&format!("[0]{problem}")), "{issuer}: {text}");
    }
    assert!(parse(&[ci(&json!({}))]).is_ok(), "without sign-up, a login must be declared");
}

#[test]
fn plain_http_is_accepted_only_on_loopback() {
    for secure in [
        "https://login.example.org",
        "https://login.example.org/realms/a/",
        "https://login.example.org:8443/x",
        "https://[2001:db8::1]/x",
        "http://localhost",
        "http://localhost:8080/a",
        "http://127.0.0.1:80",
        "http://127.8.7.6/x",
        "http://[::1]:9/a",
    ] {
        assert!(is_secure_url(secure), "{secure}");
    }
    for insecure in [
        "http://login.example.org",
        "http://169.254.169.254",
        "http://10.0.0.1",
        "http://127.0.0.1.example.org",
        "http://localhost.example.org",
        "http://localhost@example.org",
        "http://127.0.0.1:80@example.org/",
        "http://[2001:db8::1]/",
        "http://[::1]example.org/",
        "http://[::1]:80example.org/",
        "http://127.0.0.1:80.example.org/",
        "http://localhost:/",
        "https://user@login.example.org",
        "https://",
        "https:///path",
        "https://:443",
        "https://a b",
        "https://a?b",
        "https://a#b",
        "https://a\\b",
        "HTTPS://a",
        "ftp://localhost",
        "login.example.org",
        "",
    ] {
        assert!(!is_secure_url(insecure), "{insecure}");
    }
}
