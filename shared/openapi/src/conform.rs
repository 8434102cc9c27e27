//! A value against a schema: the part of JSON Schema that the description uses, and stricter in one thing: a field that
//! no schema names is an error.

use serde_json::Value;

/// Follows a reference into the document.
pub(crate) fn resolve<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    match part["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null),
        None => part,
    }
}

/// Checks a value; an error names the place.
pub(crate) fn check(document: &Value, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    let schema = resolve(document, schema);
    if schema.as_object().is_some_and(serde_json::Map::is_empty) {
        return Ok(()); // anything
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let errors: Vec<_> = choices.iter().map_while(|it| check(document, it, value, place).err()).collect();
        return if errors.len() < choices.len() { Ok(()) } else { Err(errors.join("; ")) };
    }
    check_type(schema, value, place)?;
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        return Err(format!("{place}: {value} is none of those described"));
    }
    match value {
        Value::Object(fields) => {
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !fields.contains_key(name) {
                    return Err(format!("{place}: {name} is missing"));
                }
            }
            for (name, field) in fields {
                let described = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
                let described = described.ok_or_else(|| format!("{place}: {name} is not described"))?;
                check(document, described, field, &format!("{place}.{name}"))?;
            }
            Ok(())
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(at, item)| check(document, &schema["items"], item, &format!("{place}[{at}]"))),
        Value::Number(number) => {
            let within =
                |limit: &str, holds: fn(f64, f64) -> bool| match (schema[limit].as_f64(), number.as_f64()) {
                    (Some(limit), Some(number)) => holds(number, limit),
                    _ => true,
                };
            match within("minimum", |number, least| number >= least)
                && within("maximum", |number, most| number <= most)
            {
                true => Ok(()),
                false => Err(format!("{place}: {number} is out of range")),
            }
        }
        Value::String(text) if schema["format"] == "date-time" && !is_date_time(text) => {
            Err(format!("{place}: {text} is no date and time"))
        }
        _ => Ok(()),
    }
}

fn check_type(schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    let fits = match &schema["type"] {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        // Any value.
        _ => true,
    };
    if fits { Ok(()) } else { Err(format!("{place}: {value} is not of the type described")) }
}

/// `2026-01-31T00:00:00Z`, with or without milliseconds.
fn is_date_time(text: &str) -> bool {
    let shape: String = text.chars().map(|it| if it.is_ascii_digit() { '0' } else { it }).collect();
    matches!(shape.as_str(), "0000-00-00T00:00:00Z" | "0000-00-00T00:00:00.000Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_described_is_an_error_that_names_its_place() {
        let document = json!({"s": {"type": "object", "required": ["a"], "properties": {
            "a": {"type": ["integer", "null"], "minimum": 1},
            "b": {"type": "array", "items": {"type": "string", "enum": ["x"]}},
            "c": {"anyOf": [{"type": "boolean"}, {"type": "string", "format": "date-time"}]},
        }}});
        let schema = json!({"$ref": "#/s"});
        for good in [
            json!({"a": 1}),
            json!({"a": null, "b": ["x"], "c": true}),
            json!({"a": 2, "c": "2026-01-01T00:00:00Z"}),
        ] {
            assert_eq!(check(&document, &schema, &good, "it"), Ok(()));
        }
        for (bad, place) in [
            (json!({}), "it: a is missing"),
            (json!({"a": 0}), "it.a: 0 is out of range"),
            (json!({"a": "1"}), "it.a: \"1\" is not of the type"),
            (json!({"a": 1, "d": 1}), "it: d is not described"),
            (json!({"a": 1, "b": ["x", "y"]}), "it.b[1]: \"y\" is none"),
            (json!({"a": 1, "c": "today"}), "it.c: "),
            (json!([]), "it: [] is not"),
        ] {
            let error = check(&document, &schema, &bad, "it").unwrap_err();
            assert!(error.starts_with(place), "{error}");
        }
    }
}
