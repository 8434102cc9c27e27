use super::*;
use crate::operation::Operation;
use crate::testing::event::read_body;
use crate::testing::form::{self, Presence, Type};
use crate::testing::sample::{at, secret, user_id};
use domain::secret::Description;
use serde_json::{Value, json};

fn read_draft(body: &[u8]) -> Result<Draft, Problem> {
    let settings = Settings::new("test");
    read_body(Operation::CreatePipelineSecret, body, |fields| draft(fields, &settings))
}

fn read_change(body: &[u8]) -> Result<Change, Problem> {
    read_body(Operation::UpdatePipelineSecret, body, change)
}

fn answer(body: impl Serialize) -> Value {
    serde_json::to_value(body).unwrap()
}

#[test]
fn a_malformed_creation_is_refused_by_the_field() {
    let example = [
        ("name", "\"NCBI_API_KEY\""),
        ("value", "\"hidden\""),
        ("description", "\"a note\""),
        ("expires", "\"2030-01-31T00:00:00Z\""),
    ];
    let fields = [
        ("name", Type::Text, Presence::Required),
        ("value", Type::Text, Presence::Required),
        ("description", Type::Text, Presence::Optional),
        ("expires", Type::Text, Presence::Optional),
    ];
    form::check(&example, &fields, |body| read_draft(body).map(drop));
}

#[test]
fn a_malformed_update_is_refused_by_the_field() {
    let example = [("value", "\"hidden\""), ("description", "null"), ("expires", "null")];
    let fields = [
        ("value", Type::Text, Presence::Required),
        ("description", Type::Text, Presence::Optional),
        ("expires", Type::Text, Presence::Optional),
    ];
    form::check(&example, &fields, |body| read_change(body).map(drop));
}

#[test]
fn a_creation_is_read_byte_for_byte() {
    for (body, value, description, expires) in [
        (json!({ "name": "NCBI_API_KEY", "value": " \"ü\\\n" }), " \"ü\\\n", None, None),
        (
            json!({
                "name": "NCBI_API_KEY", "value": "v", "description": "",
                "expires": "2030-01-31T02:00:00+02:00",
            }),
            "v",
            Some(""),
            Some(at("2030-01-31T00:00:00Z")),
        ),
    ] {
        let draft = read_draft(body.to_string().as_bytes()).unwrap();
        assert_eq!(draft.name.as_str(), "NCBI_API_KEY", "{body}");
        assert_eq!(draft.value.expose(), value, "{body}");
        assert_eq!(draft.description.as_ref().map(Description::as_str), description, "{body}");
        assert_eq!(draft.expires, expires, "{body}");
    }
}

#[test]
fn a_broken_rule_is_named_and_the_input_is_not_quoted() {
    for (case, field, value, status, names) in [
        ("a name with a digit first", "name", "1hidden".to_owned(), 400, "name"),
        ("a name of one character", "name", "A".to_owned(), 400, "name"),
        ("a name of 101 characters", "name", "hidden".repeat(17), 400, "name"),
        ("a reserved name", "name", "LD_PRELOAD".to_owned(), 400, "name"),
        (
            "an AWS name, which the default settings refuse",
            "name",
            "AWS_SESSION_TOKEN".to_owned(),
            400,
            "name",
        ),
        ("an empty value", "value", String::new(), 400, "value"),
        ("a value with NUL", "value", "hidden\0".to_owned(), 400, "value"),
        ("a value of 32,769 bytes", "value", "x".repeat(32_769), 413, "32768 bytes"),
        ("a value past 60,000 bytes as JSON", "value", "\u{1}".repeat(10_000), 413, "60000 bytes"),
        ("a description of 257 bytes", "description", "ü".repeat(129), 400, "description"),
        ("not a date", "expires", "hidden".to_owned(), 400, "expires"),
        ("a date without a time", "expires", "2030-01-31".to_owned(), 400, "expires"),
        ("a time without an offset", "expires", "2030-01-31T00:00:00".to_owned(), 400, "expires"),
        ("a date past the supported range", "expires", "9999-12-31T00:00:00Z".to_owned(), 400, "expires"),
    ] {
        let mut body = json!({ "name": "NCBI_API_KEY", "value": "hidden" });
        body[field] = value.into();
        let body = body.to_string();
        let mut refusals = vec![("created", read_draft(body.as_bytes()).err())];
        if field != "name" {
            refusals.push(("updated", read_change(body.as_bytes()).err()));
        }
        for (how, problem) in refusals {
            let problem = problem.unwrap_or_else(|| panic!("{case}, {how}: accepted"));
            let message = problem.message();
            assert_eq!(problem.status(), status, "{case}, {how}: {message}");
            assert!(message.contains(names) && !message.contains("hidden"), "{case}, {how}: {message}");
        }
    }
}

#[test]
fn an_update_that_removes_and_sets_the_same_field_is_refused() {
    for body in [
        r#"{"value": "v", "description": null, "description": "hidden"}"#,
        r#"{"value": "v", "description": "hidden", "description": null}"#,
        r#"{"value": "v", "expires": null, "expires": "2030-01-31T00:00:00Z"}"#,
        r#"{"value": "v", "expires": null, "expires": null}"#,
    ] {
        assert_eq!(read_change(body.as_bytes()).err().map(|problem| problem.status()), Some(400), "{body}");
    }
}

#[test]
fn an_update_keeps_absent_fields_and_removes_null_ones() {
    let note = || Some(Some(Description::new("a note").unwrap()));
    let end = Some(Some(at("2030-01-31T00:00:00Z")));
    for (body, description, expires) in [
        (json!({ "value": "v" }), None, None),
        (json!({ "value": "v", "description": null }), Some(None), None),
        (json!({ "value": "v", "expires": null }), None, Some(None)),
        (json!({ "value": "v", "description": "a note" }), note(), None),
        (json!({ "value": "v", "expires": "2030-01-31T00:00:00Z" }), None, end),
        (json!({ "value": "v", "description": null, "expires": "2030-01-31T00:00:00Z" }), Some(None), end),
        (json!({ "value": "v", "other": null }), None, None),
    ] {
        let change = read_change(body.to_string().as_bytes()).unwrap();
        assert_eq!(change.value.expose(), "v", "{body}");
        assert_eq!((change.description, change.expires), (description, expires), "{body}");
    }
}

#[test]
fn a_secret_shows_description_and_expiry_only_if_set() {
    let plain = json!({
        "id": 501,
        "name": "NCBI_API_KEY",
        "lastUsed": null,
        "dateCreated": "2026-10-25T12:42:21Z",
        "lastUpdated": "2026-10-26T07:05:17Z",
    });
    let full = Secret {
        last_used: Some(at("2026-10-27T00:00:00Z")),
        expires: Some(at("2030-01-31T00:00:00Z")),
        description: Some(Description::new("a note").unwrap()),
        ..secret()
    };
    let mut shown = plain.clone();
    shown["lastUsed"] = "2026-10-27T00:00:00Z".into();
    shown["expires"] = "2030-01-31T00:00:00Z".into();
    shown["description"] = "a note".into();
    for (case, secret, expected) in
        [("plain", secret(), plain.clone()), ("full", full.clone(), shown.clone())]
    {
        assert_eq!(answer(SecretAnswer::from(&secret)), json!({ "pipelineSecret": expected }), "{case}");
    }
    let list = json!({ "pipelineSecrets": [shown, plain], "totalSize": 2 });
    assert_eq!(answer(SecretList::new(&[full, secret()], None)), list);
    assert_eq!(answer(SecretList::new(&[], None)), json!({ "pipelineSecrets": [], "totalSize": 0 }));
}

#[test]
fn a_creation_is_answered_with_the_id_and_a_version_has_its_tag() {
    assert_eq!(answer(SecretCreated { secret_id: secret().id }), json!({ "secretId": 501 }));
    assert_eq!(etag(&secret()), "\"3\"");
    assert_eq!(etag(&Secret { version: 12, ..secret() }), "\"12\"");
}

#[test]
fn a_history_begins_with_the_current_version() {
    let old = |version, written, replaced| OldVersion {
        version,
        written: at(written),
        written_by: user_id(17),
        replaced: at(replaced),
    };
    let replaced = [
        old(2, "2026-10-26T01:00:00Z", "2026-10-26T07:05:17Z"),
        old(1, "2026-10-25T12:42:21Z", "2026-10-26T01:00:00Z"),
    ];
    let present = json!({
        "version": 3, "writtenBy": 18, "dateWritten": "2026-10-26T07:05:17Z", "dateReplaced": null,
    });
    let expected = json!({ "totalSize": 3, "versions": [
        present,
        {
            "version": 2, "writtenBy": 17,
            "dateWritten": "2026-10-26T01:00:00Z", "dateReplaced": "2026-10-26T07:05:17Z",
        },
        {
            "version": 1, "writtenBy": 17,
            "dateWritten": "2026-10-25T12:42:21Z", "dateReplaced": "2026-10-26T01:00:00Z",
        },
    ]});
    assert_eq!(answer(History::new(&secret(), &replaced, None)), expected);
    assert_eq!(answer(History::new(&secret(), &[], None)), json!({ "totalSize": 1, "versions": [present] }));
}

#[test]
fn authors_are_shown_with_their_names_and_without_if_they_no_longer_exist() {
    let secrets = [secret()];
    let id = secrets[0].updated_by;
    let known = UserNames::from([(id, "olivia".to_owned())]);
    for (names, name) in [(&known, json!("olivia")), (&UserNames::new(), Value::Null)] {
        let expected = json!({ "id": id.number(), "userName": name });
        let list = answer(SecretList::new(&secrets, Some(names)));
        assert_eq!(list["pipelineSecrets"][0]["author"], expected);
        let history = answer(History::new(&secrets[0], &[], Some(names)));
        assert_eq!(history["versions"][0]["author"], expected);
    }
}
