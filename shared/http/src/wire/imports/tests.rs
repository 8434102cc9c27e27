use super::*;
use crate::operation::Operation;
use crate::request::Request;
use crate::testing::event::event;
use crate::testing::sample::secret_id;
use serde_json::json;

fn read(text: &str) -> Result<Vec<(String, String)>, String> {
    from_dotenv(text, &Settings::new("test"))
        .map(|drafts| {
            drafts.iter().map(|draft| (draft.name.to_string(), draft.value.expose().to_owned())).collect()
        })
        .map_err(|problem| problem.message().to_owned())
}

#[test]
fn lines_are_read_and_nothing_is_evaluated() {
    let text = "\u{feff}# comment\r\n\r\nexport AA=one two \r\nBB='$HOME \"x\"'\nCC=\"a\\nb\\\"c\\$d\"\nDD=$(id)`id`#x\nEE==a=b\n";
    let expected = [
        ("AA", "one two"),
        ("BB", "$HOME \"x\""),
        ("CC", "a\nb\"c$d"),
        ("DD", "$(id)`id`#x"),
        ("EE", "=a=b"),
    ];
    let expected: Vec<_> = expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    assert_eq!(read(text).unwrap(), expected);
}

#[test]
fn a_bad_line_is_named_by_number_and_never_quoted() {
    for (text, line) in [
        ("AA=1\nsecret-without-name", 2),
        ("AA=\"hidden", 1),
        ("A-B=hidden", 1),
        ("AA=1\n\nBB=", 3),
        ("AA='hid'den'", 1),
        ("AA=\"", 1),
    ] {
        let message = read(text).unwrap_err();
        assert!(message.starts_with(&format!("Line {line}: ")), "{message}");
        assert!(!message.contains("hid") && !message.contains("secret-without"), "{message}");
    }
}

#[test]
fn the_33rd_entry_is_refused() {
    let lines = |n: usize| (0..n).map(|i| format!("N{i}=v")).collect::<Vec<_>>().join("\n");
    assert_eq!(read(&lines(32)).unwrap().len(), 32);
    assert!(read(&lines(33)).is_err());
    assert!(read(&lines(10_000)).is_err());
}
#[test]
fn quotes_and_escapes_are_removed_from_values() {
    for (value, expected) in [
        ("plain", Some("plain")),
        ("  blanks around  ", Some("blanks around")),
        ("a # b", Some("a # b")),
        ("don't", Some("don't")),
        ("'  kept  '", Some("  kept  ")),
        (r"'\n\$'", Some(r"\n\$")),
        (r#""  kept  ""#, Some("  kept  ")),
        (r#""a\nb\"c\\d\$e""#, Some("a\nb\"c\\d$e")),
        (r#""a\tb\q'c""#, Some(r"a\tb\q'c")),
        (r#""ü""#, Some("ü")),
        (r#""a"b""#, None),
        (r#""a\""#, None),
        (r#""a"#, None),
        ("\"", None),
        ("'", None),
        ("'a\"", None),
        ("'a'b'", None),
        ("'aü", None),
    ] {
        let read = read(&format!("AA={value}")).ok().map(|entries| entries[0].1.clone());
        assert_eq!(read.as_deref(), expected, "{value}");
    }
}

#[test]
fn a_name_ends_at_the_first_equals_sign_and_may_follow_export() {
    for (line, expected) in [
        ("AA=1", Some("AA")),
        ("AA =1", Some("AA")),
        ("  AA = 1", Some("AA")),
        ("export AA=1", Some("AA")),
        ("export   AA=1", Some("AA")),
        ("export=1", Some("export")),
        ("exports AA=1", None),
        ("AWS_SESSION_TOKEN=1", None),
        ("=1", None),
    ] {
        let read = read(line).ok().map(|entries| entries[0].0.clone());
        assert_eq!(read.as_deref(), expected, "{line}");
    }
}

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
fn an_import_is_answered_with_names_and_ids_in_its_order() {
    let drafts = from_dotenv("BB=hidden\nAA=hidden", &Settings::new("test")).unwrap();
    let imported = Imported::new(&drafts, &[secret_id(502), secret_id(501)]);
    let expected = json!({
        "secrets": [{ "name": "BB", "secretId": 502 }, { "name": "AA", "secretId": 501 }],
        "totalSize": 2,
    });
    assert_eq!(serde_json::to_value(imported).unwrap(), expected);
}
