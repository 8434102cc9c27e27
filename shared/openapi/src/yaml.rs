//! A tree as YAML that people can read: blocks, plain words where they are safe, the usual order of OpenAPI's keys.

use serde_json::{Map, Value};

/// Writes a tree.
pub(crate) fn write(tree: &Value) -> String {
    let mut out = String::new();
    write_block(tree, 0, &mut out);
    out
}

fn write_block(tree: &Value, depth: usize, out: &mut String) {
    match tree {
        Value::Object(map) => write_map(map, depth, out),
        Value::Array(list) => {
            for item in list {
                indent(depth, out);
                out.push('-');
                match item {
                    // The first key stands behind the dash.
                    Value::Object(map) if !map.is_empty() && !is_flat(item) => {
                        let mut inner = String::new();
                        write_map(map, depth + 1, &mut inner);
                        out.push(' ');
                        out.push_str(inner.trim_start());
                    }
                    item => write_value(item, depth, out),
                }
            }
        }
        leaf => {
            out.push_str(&scalar(leaf));
            out.push('\n');
        }
    }
}

fn write_map(map: &Map<String, Value>, depth: usize, out: &mut String) {
    let mut keys: Vec<_> = map.keys().collect();
    keys.sort_by_key(|key| (rank(key), *key));
    for key in keys {
        indent(depth, out);
        out.push_str(&word(key));
        out.push(':');
        write_value(&map[key], depth, out);
    }
}

/// What stands behind a key or a dash.
fn write_value(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::String(text) if text.contains('\n') && !text.ends_with('\n') => {
            out.push_str(" |-\n");
            for line in text.lines() {
                if !line.is_empty() {
                    indent(depth + 1, out);
                    out.push_str(line);
                }
                out.push('\n');
            }
        }
        value if is_flat(value) => {
            out.push(' ');
            out.push_str(&flow(value));
            out.push('\n');
        }
        value => {
            out.push('\n');
            write_block(value, depth + 1, out);
        }
    }
}

/// Whether it fits on the rest of a line.
fn is_flat(value: &Value) -> bool {
    match value {
        Value::Object(map) if map.is_empty() => true,
        Value::Object(_) | Value::Array(_) => {
            let nested = |value: &Value| value.is_object() || value.is_array();
            let deep = match value {
                Value::Object(map) => map.values().any(nested),
                Value::Array(list) => list.iter().any(nested),
                _ => false,
            };
            !deep && flow(value).len() <= 80
        }
        _ => true,
    }
}

fn flow(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort_by_key(|key| (rank(key), *key));
            let pairs: Vec<_> =
                keys.iter().map(|key| format!("{}: {}", word(key), flow(&map[*key]))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Value::Array(list) => {
            let items: Vec<_> = list.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        leaf => scalar(leaf),
    }
}

fn scalar(leaf: &Value) -> String {
    match leaf {
        Value::String(text) => word(text),
        // Numbers, true, false and null are the same in JSON.
        other => other.to_string(),
    }
}

/// Plain where nothing in YAML reads it as something else; otherwise as JSON writes it, which YAML reads.
fn word(text: &str) -> String {
    let plain_start = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
    let plain = |it: char| it.is_ascii_alphanumeric() || "_-./ ()'".contains(it);
    let meaning = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let safe = plain_start
        && text.chars().all(plain)
        && !text.ends_with(' ')
        && !meaning.contains(&text.to_ascii_lowercase().as_str());
    match safe {
        true => text.to_owned(),
        false => Value::from(text).to_string(),
    }
}

fn indent(depth: usize, out: &mut String) {
    out.push_str(&"  ".repeat(depth));
}

/// Keys of OpenAPI and JSON Schema in the order in which people read them; all others follow by name.
fn rank(key: &str) -> usize {
    const ORDER: &[&str] = &[
        "openapi",
        "info",
        "servers",
        "tags",
        "paths",
        "components",
        "title",
        "version",
        "summary",
        "operationId",
        "name",
        "in",
        "required",
        "description",
        "security",
        "parameters",
        "requestBody",
        "responses",
        "$ref",
        "type",
        "scheme",
        "format",
        "properties",
        "items",
        "headers",
        "content",
        "schema",
        "example",
        "examples",
    ];
    ORDER.iter().position(|known| *known == key).unwrap_or(ORDER.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_yaml_reads_as_something_else_is_quoted() {
        for text in [
            "",
            "no",
            "Null",
            "1",
            "1.5",
            "2026-01-01",
            "a: b",
            "- a",
            "#a",
            "a #b",
            "*",
            "&a",
            "{",
            "é",
            " a",
            "a ",
        ] {
            assert_eq!(word(text), Value::from(text).to_string(), "{text:?}");
        }
        for text in ["a", "/pipeline-secrets", "List secrets", "application/json", "it's"] {
            assert_eq!(word(text), text);
        }
    }

    #[test]
    fn blocks_are_indented_and_short_ones_stay_on_their_line() {
        let tree = json!({"b": {"deep": {"x": {"y": 1}}}, "a": ["one", 2, null], "text": "two\n\nlines", "list": [{"k": {"v": {}}}, {}]});
        let expected = "a: [one, 2, null]\nb:\n  deep:\n    x: {\"y\": 1}\nlist:\n  - k:\n      v: {}\n  - {}\ntext: |-\n  two\n\n  lines\n";
        assert_eq!(write(&tree), expected);
    }
}
