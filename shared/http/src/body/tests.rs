use super::*;

#[derive(serde::Deserialize, PartialEq, Debug)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::option_option, reason = "absent, null and a value mean different things")]
struct Body {
    some_text: Option<String>,
    number: Option<i64>,
    flag: Option<bool>,
    list: Option<Vec<String>>,
    #[serde(default, deserialize_with = "nullable")]
    note: Option<Option<String>>,
}

#[derive(serde::Deserialize)]
struct Required {
    #[expect(dead_code, reason = "only deserialized")]
    name: String,
}

fn outcome<T>(result: Result<T, Problem>) -> Result<T, String> {
    result.map_err(|problem| format!("{} {}", problem.status(), problem.message()))
}

#[test]
fn a_body_that_is_not_an_object_is_refused_with_its_position() {
    for (body, message) in [
        ("", "400 The body is missing: it must be a JSON object."),
        ("\n", "400 The body is missing: it must be a JSON object."),
        ("[]", "400 Malformed body: it must be a JSON object."),
        ("[null, null, null, null, null]", "400 Malformed body: it must be a JSON object."),
        ("\"hidden\"", "400 Malformed body: it must be a JSON object."),
        ("null", "400 Malformed body: it must be a JSON object."),
        ("{\"a\":", "400 Malformed body: it is not valid JSON at line 1, column 5."),
        ("{\n", "400 Malformed body: it is not valid JSON at line 2, column 0."),
        ("{\n\"a\": hidden}", "400 Malformed body: it is not valid JSON at line 2, column 6."),
        ("{\"hidden\": [}", "400 Malformed body: it is not valid JSON at line 1, column 13."),
        ("hidden", "400 Malformed body: it is not valid JSON at line 1, column 1."),
        ("{\"number\": \"hidden\",", "400 Malformed body: it is not valid JSON at line 1, column 20."),
        ("{} hidden", "400 Malformed body: it is not valid JSON at line 1, column 4."),
    ] {
        assert_eq!(outcome(parse::<Body>(body)), Err(message.to_owned()), "{body:?}");
    }
}

#[test]
fn a_field_is_read_as_its_type_and_absent_or_null_is_none() {
    let empty = || Body { some_text: None, number: None, flag: None, list: None, note: None };
    for (body, expected) in [
        ("{}", empty()),
        (r#"{"someText": null, "number": null, "flag": null, "list": null}"#, empty()),
        (r#"{"note": null}"#, Body { note: Some(None), ..empty() }),
        (r#"{"note": "n"}"#, Body { note: Some(Some("n".to_owned())), ..empty() }),
        (
            r#"{"\u0073omeText": "\u00fc", "other": [{}]}"#,
            Body { some_text: Some("ü".to_owned()), ..empty() },
        ),
        (
            r#" {"number": -7, "flag": false, "list": ["a"]} "#,
            Body { number: Some(-7), flag: Some(false), list: Some(vec!["a".to_owned()]), ..empty() },
        ),
    ] {
        assert_eq!(outcome(parse::<Body>(body)), Ok(expected), "{body}");
    }
}

#[test]
fn an_error_names_the_field_and_quotes_nothing() {
    for (body, message) in [
        (r#"{"someText": ["hidden"]}"#, "400 `someText` must be a JSON string."),
        (r#"{"number": "hidden, expected a boolean"}"#, "400 `number` must be a whole number."),
        (r#"{"number": 1.0}"#, "400 `number` must be a whole number."),
        (r#"{"flag": 1}"#, "400 `flag` must be true or false."),
        (r#"{"list": "hidden"}"#, "400 `list` must be a list."),
        (r#"{"list": ["a", 1]}"#, "400 `list[1]` must be a JSON string."),
        (r#"{"note": 1}"#, "400 `note` must be a JSON string."),
        (r#"{"number": 1, "number": 1}"#, "400 Malformed body: `number` appears more than once."),
        (r#"{"note": null, "note": null}"#, "400 Malformed body: `note` appears more than once."),
        (r#"{"flag": null, "flag": true}"#, "400 Malformed body: `flag` appears more than once."),
        (
            r#"{"someText": "hidden\ud800"}"#,
            "400 Malformed body: it is not valid JSON at line 1, column 27, in `someText`.",
        ),
        (
            r#"{"list": ["a", "hidden\ud800"]}"#,
            "400 Malformed body: it is not valid JSON at line 1, column 29, in `list[1]`.",
        ),
        (
            r#"{"someText": "hidden"#,
            "400 Malformed body: it is not valid JSON at line 1, column 20, in `someText`.",
        ),
    ] {
        assert_eq!(outcome(parse::<Body>(body)), Err(message.to_owned()), "{body}");
    }
    for (body, message) in [
        ("{}", "400 `name` is missing."),
        ("{} hidden", "400 Malformed body: it is not valid JSON at line 1, column 4."),
    ] {
        assert_eq!(outcome(parse::<Required>(body).map(drop)), Err(message.to_owned()), "{body}");
    }
}

#[test]
fn an_unknown_field_is_named_with_the_closest_known_one() {
    let both = UnknownNames::Refused;
    let similar = UnknownNames::SimilarRefused;
    for (name, unknown, message) in [
        ("flag", both, None),
        ("workspaceId", both, None),
        ("flags", both, Some("Unknown field `flags`: remove it, or write `flag` if you mean that.")),
        (
            "sometext",
            both,
            Some("Unknown field `sometext`: remove it, or write `someText` if you mean that."),
        ),
        (
            "some_text",
            similar,
            Some("Unknown field `some_text`: remove it, or write `someText` if you mean that."),
        ),
        (
            "workspace-id",
            similar,
            Some("Unknown field `workspace-id`: remove it, or write `workspaceId` if you mean that."),
        ),
        ("a value, not a name", both, Some("Unknown field: remove it, or write `note` if you mean that.")),
        ("flags", similar, None),
        ("some_text", UnknownNames::Ignored, None),
    ] {
        let checked = check_fields::<Body>(&format!("{{{name:?}: [1]}}"), unknown);
        let read = checked.err().map(|problem| problem.message().to_owned());
        match message {
            Some(message) if message.contains("Unknown field:") => {
                assert!(read.unwrap().starts_with("Unknown field:"));
            }
            message => assert_eq!(read.as_deref(), message, "{name}"),
        }
    }
}

#[test]
fn the_distance_of_names_counts_changed_characters() {
    for (one, other, expected) in [
        ("", "", 0),
        ("a", "", 1),
        ("", "ab", 2),
        ("expires", "expiresat", 2),
        ("abc", "axc", 1),
        ("ab", "ba", 2),
    ] {
        assert_eq!(distance(one, other), expected, "{one} {other}");
    }
}
