//! Checks that apply to every reader of a JSON body.

use crate::problem::Problem;

/// Text in the bodies below. Messages must not quote it.
const INPUT: &str = "do-not-quote";
/// A number in the bodies below. Messages must not quote it.
const NUMBER: &str = "12345678";

/// The JSON type of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Type {
    Text,
    Number,
    Texts,
    Flag,
}

/// Whether a field may be absent or null.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Presence {
    Required,
    Optional,
    /// May be absent, but not null.
    NotNull,
}

/// Checks the behavior that all readers of a JSON object share: wrong types, missing fields, null,
/// repeated fields, unknown fields, and bodies that are not an object. `example` is an accepted
/// body, as names and raw JSON.
pub(crate) fn check(
    example: &[(&str, &str)],
    fields: &[(&str, Type, Presence)],
    read: impl Fn(&[u8]) -> Result<(), Problem>,
) {
    accepts(&read, "the example", &object(example));
    let deep = nested(10_000);
    let unknown = [("unknown", INPUT_JSON), ("unknown", "null"), ("deep", deep.as_str())];
    // Operations differ: a refusal names the field.
    if let Err(problem) = read(object(&[example, &unknown].concat()).as_bytes()) {
        let message = problem.message();
        assert!(problem.status() == 400 && message.starts_with("Unknown field `"), "{message}");
    }

    for (field, accepted_type, presence) in fields {
        let others: Vec<_> = example.iter().copied().filter(|(name, _)| name != field).collect();
        let with = |value| object(&[others.as_slice(), &[(field, value)]].concat());

        for misspelled in misspellings(field) {
            let body = object(&[others.as_slice(), &[(&misspelled, "null")]].concat());
            if *presence != Presence::Required {
                refuses(&read, &format!("{field} written {misspelled}"), field, &body);
            }
            let body = object(&[example, &[(&misspelled, "null")]].concat());
            refuses(&read, &format!("{field} and {misspelled}"), field, &body);
        }
        for (case, value, its_type) in values(&deep) {
            if its_type != Some(*accepted_type) {
                refuses(&read, &format!("{field}: {case}"), field, &with(value));
            }
        }
        for (case, body) in [("absent", object(&others)), ("null", with("null"))] {
            match presence {
                Presence::NotNull if case == "absent" => accepts(&read, &format!("{field}: {case}"), &body),
                Presence::Required | Presence::NotNull => {
                    refuses(&read, &format!("{field}: {case}"), field, &body);
                }
                Presence::Optional => accepts(&read, &format!("{field}: {case}"), &body),
            }
        }
        let value = example.iter().find(|(name, _)| name == field).map_or("null", |(_, value)| value);
        for (first, second) in [(value, value), (value, "null"), ("null", value), ("null", "null")] {
            let repeated = object(&[others.as_slice(), &[(field, first), (field, second)]].concat());
            refuses(&read, &format!("{field}: repeated, {first} and {second}"), field, &repeated);
        }
    }
    let values: Vec<_> = fields
        .iter()
        .map(|(field, ..)| example.iter().find(|(name, _)| name == field).map_or("null", |(_, value)| value))
        .collect();
    refuses(&read, "the values as a list, without names", "", &format!("[{}]", values.join(", ")));
    for (case, body) in unreadable() {
        refuses_bytes(&read, case, "", &body);
    }
}

/// The name in other cases and with other punctuation.
fn misspellings(field: &str) -> [String; 5] {
    let snake = field.chars().fold(String::new(), |mut name, character| {
        if character.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(character.to_ascii_lowercase());
        name
    });
    let pascal = field[..1].to_uppercase() + &field[1..];
    [format!("{snake}_"), snake.to_uppercase(), pascal, snake.replace('_', "-") + ".", format!("_{field}")]
}

const INPUT_JSON: &str = "\"do-not-quote\"";

/// JSON values of every kind, each with the field type that accepts it.
fn values(deep: &str) -> [(&'static str, &str, Option<Type>); 9] {
    [
        ("text", INPUT_JSON, Some(Type::Text)),
        ("half a surrogate pair", r#""do-not-quote\ud800""#, None),
        ("whole number", NUMBER, Some(Type::Number)),
        ("fraction", "12345678.5", None),
        ("number past 64 bits", "12345678901234567890", None),
        ("boolean", "true", Some(Type::Flag)),
        ("list of texts", r#"["do-not-quote"]"#, Some(Type::Texts)),
        ("object", r#"{"do-not-quote": "do-not-quote"}"#, None),
        ("too deep", deep, None),
    ]
}

/// Bodies that are not a JSON object.
fn unreadable() -> Vec<(&'static str, Vec<u8>)> {
    let unfinished = "[".repeat(10_000);
    let deep = nested(10_000);
    let bodies: [(&str, &[u8]); 15] = [
        ("empty", b""),
        ("blank", b" \n "),
        ("not JSON", b"do-not-quote"),
        ("a form", b"name=do-not-quote"),
        ("unfinished", b"{\"name\": \"do-not-quote"),
        ("two objects", b"{} {\"do-not-quote\": 1}"),
        ("trailing comma", b"{\"do-not-quote\": 1,}"),
        ("list", b"[\"do-not-quote\"]"),
        ("text", b"\"do-not-quote\""),
        ("number", NUMBER.as_bytes()),
        ("boolean", b"true"),
        ("null", b"null"),
        ("not UTF-8", b"{\"do-not-quote\": \"\xff\"}"),
        ("too deep", deep.as_bytes()),
        ("too deep and unfinished", unfinished.as_bytes()),
    ];
    bodies.map(|(case, body)| (case, body.to_vec())).into()
}

fn nested(depth: usize) -> String {
    format!("{}{INPUT_JSON}{}", "[".repeat(depth), "]".repeat(depth))
}

/// An object, which may repeat names.
fn object(members: &[(&str, &str)]) -> String {
    let members: Vec<_> = members.iter().map(|(name, value)| format!("{name:?}: {value}")).collect();
    format!("{{{}}}", members.join(", "))
}

fn accepts(read: &impl Fn(&[u8]) -> Result<(), Problem>, case: &str, body: &str) {
    if let Err(problem) = read(body.as_bytes()) {
        panic!("{case}: refused with {} {}", problem.status(), problem.message());
    }
}

fn refuses(read: &impl Fn(&[u8]) -> Result<(), Problem>, case: &str, field: &str, body: &str) {
    refuses_bytes(read, case, field, body.as_bytes());
}

fn refuses_bytes(read: &impl Fn(&[u8]) -> Result<(), Problem>, case: &str, field: &str, body: &[u8]) {
    let Err(problem) = read(body) else {
        panic!("{case}: accepted");
    };
    let message = problem.message();
    assert_eq!(problem.status(), 400, "{case}: {message}");
    assert!(message.contains(field), "{case}: the message does not name {field}: {message}");
    assert!(!message.contains(INPUT) && !message.contains(NUMBER), "{case}: quotes the input: {message}");
}
