//! The check of answers against the document.

use std::sync::LazyLock;

use http_api::Operation;
use serde_json::{Value, json};

/// Checks the status and every field of an operation's answer against the document.
///
/// Stricter than the document, which allows additional fields: here an unknown field is an error.
pub fn conforms(operation: Operation, status: u16, body: &Value) -> Result<(), String> {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
        let mut document = crate::document();
        close(&mut document);
        document
    });
    let document = &*DOCUMENT;
    let answers = &document["paths"][operation.path()][operation.method().to_lowercase()]["responses"];
    let answer = resolve(document, &answers[status.to_string()]);
    if answer.is_null() {
        return Err(format!("{} does not describe status {status}", operation.id()));
    }
    match answer["content"].get("application/json") {
        Some(content) => check(document, &content["schema"], body),
        None if body.is_null() => Ok(()),
        None => Err(format!("{} describes status {status} without a body", operation.id())),
    }
    .map_err(|error| format!("{} {status}: {error}", operation.id()))
}

fn resolve<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    match part["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null),
        None => part,
    }
}

/// Forbids additional fields in every schema.
fn close(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(close);
            let is_object = members.get("type").is_some_and(|kind| {
                *kind == "object" || kind.as_array().is_some_and(|kinds| kinds.contains(&"object".into()))
            });
            if is_object && members.contains_key("properties") {
                members.entry("additionalProperties").or_insert(false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

fn check(document: &Value, schema: &Value, body: &Value) -> Result<(), String> {
    let mut schema = json!({"allOf": [schema]});
    schema["components"] = document["components"].clone();
    let validator = jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&schema)
        .map_err(|error| format!("invalid schema: {error}"))?;
    let errors: Vec<_> =
        validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a list with one token in which one field has the given value.
    fn tokens(field: &str, value: Value) -> Value {
        let mut token = json!({
            "id": 5, "name": "ci", "scope": "all", "workspaceId": null, "dateCreated": "2026-10-25T12:42:21Z",
            "lastUsed": null,
        });
        token[field] = value;
        json!({"tokens": [token]})
    }

    #[test]
    fn a_deviation_from_the_schema_is_an_error_that_names_its_path() {
        for (field, value, place) in [
            ("id", json!(5), None),
            ("lastUsed", json!("2026-10-25T12:42:21.042Z"), None),
            ("expires", json!("2026-10-25T12:42:21Z"), None),
            ("id", json!(0), Some("/tokens/0/id: ")),
            ("id", json!("5"), Some("/tokens/0/id: ")),
            ("name", Value::Null, Some("/tokens/0/name: ")),
            ("lastUsed", json!("today"), Some("/tokens/0/lastUsed: ")),
            ("expires", Value::Null, Some("/tokens/0/expires: ")),
            ("other", json!(1), Some("/tokens/0: ")),
        ] {
            let outcome = conforms(Operation::ListTokens, 200, &tokens(field, value.clone()));
            match place {
                None => assert_eq!(outcome, Ok(()), "{field}: {value}"),
                Some(place) => {
                    let error = outcome.unwrap_err();
                    let begins = error.starts_with(&format!("ListTokens 200: {place}"));
                    assert!(begins, "{field}: {value}: {error}");
                }
            }
        }
    }

    #[test]
    fn a_missing_field_another_status_and_an_unexpected_body_are_errors() {
        for (operation, status, body, good) in [
            (Operation::ListTokens, 200, json!({"tokens": []}), true),
            (Operation::ListTokens, 200, json!({"tokens": [{}]}), false),
            (Operation::ListTokens, 200, json!({}), false),
            (Operation::ListTokens, 200, json!([]), false),
            (Operation::ListTokens, 418, json!({"message": "A teapot."}), false),
            (Operation::ListTokens, 403, json!({"message": "Forbidden"}), true),
            (Operation::DeleteToken, 204, Value::Null, true),
            (Operation::DeleteToken, 204, json!({}), false),
        ] {
            assert_eq!(
                conforms(operation, status, &body).is_ok(),
                good,
                "{}, {status}: {body}",
                operation.id()
            );
        }
    }
}
