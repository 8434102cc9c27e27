use super::*;
use crate::operation::Operation;
use crate::request::Request;
use crate::testing::event::event;
use crate::testing::sample::secret_id;
use serde_json::json;

fn read_map(body: &[u8]) -> Result<Vec<Draft>, Problem> {
    let settings = Settings::new("test");
    let event = event(Operation::ImportPipelineSecrets, &json!({ "body": String::from_utf8_lossy(body) }));
    from_json(&Request::parse(&event)?.json_text()?, &settings)
}

#[test]
fn a_map_keeps_its_order_and_its_duplicates_for_the_use_case_to_refuse() {
    for (body, expected) in [
        ("{}", vec![]),
        (r#"{"BB": " \n", "AA": "\u0061"}"#, vec![("BB", " \n"), ("AA", "a")]),
        (r#"{"workspaceId": "1"}"#, vec![("workspaceId", "1")]),
        (r#"{"AA": "1", "AA": "2"}"#, vec![("AA", "1"), ("AA", "2")]),
    ] {
        let drafts = read_map(body.as_bytes()).unwrap();
        let read: Vec<_> = drafts.iter().map(|draft| (draft.name.as_str(), draft.value.expose())).collect();
        assert_eq!(read, expected, "{body}");
        assert!(drafts.iter().all(|it| it.description.is_none() && it.expires.is_none()), "{body}");
    }
}

#[test]
fn an_invalid_entry_is_named_by_number_and_never_quoted() {
    let large = format!(r#"{{"AA": "{}"}}"#, "x".repeat(32_769));
    for (case, body, status, place) in [
        ("not a string", r#"{"AA": "1", "BB": ["hidden"]}"#, 400, "Entry 2: "),
        ("null", r#"{"AA": null}"#, 400, "Entry 1: "),
        ("a number", r#"{"AA": 12345678}"#, 400, "Entry 1: "),
        ("half a surrogate pair", r#"{"AA": "hidden\ud800"}"#, 400, "Entry 1: "),
        ("an empty value", r#"{"AA": ""}"#, 400, "Entry 1: "),
        ("a value with NUL", r#"{"AA": "hidden\u0000"}"#, 400, "Entry 1: "),
        ("a value that is too large", &large, 413, "Entry 1: "),
        ("a bad name", r#"{"AA": "1", "BB": "2", "hidden-name": "3"}"#, 400, "Entry 3: "),
        ("a reserved name", r#"{"NXF_HOME": "hidden"}"#, 400, "Entry 1: "),
        ("a list", r#"["hidden"]"#, 400, ""),
        ("unfinished", r#"{"AA": "hidden"#, 400, ""),
        ("empty body", "", 400, ""),
    ] {
        let problem = read_map(body.as_bytes()).err().unwrap();
        let message = problem.message();
        assert_eq!(problem.status(), status, "{case}: {message}");
        assert!(message.starts_with(place), "{case}: {message}");
        assert!(!message.contains("hidden") && !message.contains("12345678"), "{case}: {message}");
    }
    let problem = read_map(b"{\"AA\": \"\xff\"}").err().unwrap();
    assert_eq!(problem.status(), 400, "not UTF-8: {}", problem.message());
}

#[test]
fn the_33rd_entry_of_a_map_is_refused() {
    for (count, status) in [(32, None), (33, Some(400)), (10_000, Some(400))] {
        let entries: Vec<_> = (0..count).map(|number| format!("\"N{number}\": \"v\"")).collect();
        let read = read_map(format!("{{{}}}", entries.join(",")).as_bytes());
        assert_eq!(read.err().map(|problem| problem.status()), status, "{count}");
    }
}

#[test]
fn an_import_is_answered_with_names_ids_and_outcomes_in_its_order() {
    let drafts = from_dotenv("BB=hidden\nAA=hidden", &Settings::new("test")).unwrap();
    let written = [
        Written { id: secret_id(502), outcome: WriteOutcome::Created },
        Written { id: secret_id(501), outcome: WriteOutcome::Updated },
    ];
    let imported = Imported::new(&drafts, &written);
    let expected = json!({
        "secrets": [
            { "name": "BB", "secretId": 502, "outcome": "created" },
            { "name": "AA", "secretId": 501, "outcome": "updated" },
        ],
        "totalSize": 2,
    });
    assert_eq!(serde_json::to_value(imported).unwrap(), expected);
}

#[test]
fn the_mode_is_create_or_upsert_and_given_once() {
    for (query, expected) in [
        (json!(null), Some(ImportMode::Create)),
        (json!({}), Some(ImportMode::Create)),
        (json!({ "mode": "create" }), Some(ImportMode::Create)),
        (json!({ "mode": "upsert" }), Some(ImportMode::Upsert)),
        (json!({ "mode": "" }), None),
        (json!({ "mode": "hidden" }), None),
        (json!({ "mode": "Upsert" }), None),
        (json!({ "mode": " upsert" }), None),
        // How API Gateway sends a parameter that occurs twice.
        (json!({ "mode": "upsert,upsert" }), None),
        (json!({ "mode": "create,upsert" }), None),
    ] {
        let event = event(Operation::ImportPipelineSecrets, &json!({ "queryStringParameters": query }));
        match (mode(&Request::parse(&event).ok().unwrap()), expected) {
            (Ok(mode), Some(expected)) => assert_eq!(mode, expected, "{query}"),
            (Err(problem), None) => {
                assert_eq!(problem.status(), 400, "{query}");
                let words = "mode must be create or upsert, once. Omit it to create secrets only.";
                assert_eq!(problem.message(), words, "{query}");
            }
            (read, _) => panic!("{query}: {:?}", read.is_ok()),
        }
    }
}
