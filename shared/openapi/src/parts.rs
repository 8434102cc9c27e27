//! What descriptions are put together from: kinds of values, parameters, bodies, answers.
#![expect(clippy::needless_pass_by_value, reason = "parts are made where they are put in")]

use domain::idempotency::Idempotency;
use domain::ids::RunId;
use http_api::Operation;
use serde_json::{Map, Value, json};

/// One above the largest numeric id.
const ID_BOUND: i64 = 1 << 53;

/// A numeric id.
pub(crate) fn id() -> Value {
    json!({"type": "integer", "format": "int64", "minimum": 1, "maximum": ID_BOUND - 1})
}

/// A number that counts.
pub(crate) fn count() -> Value {
    json!({"type": "integer", "format": "int64", "minimum": 0})
}

/// A version of a secret.
pub(crate) fn version() -> Value {
    json!({"type": "integer", "format": "int64", "minimum": 1, "description": "1 when it is created, one more with each new value."})
}

/// Text.
pub(crate) fn text() -> Value {
    json!({"type": "string"})
}

/// Text, explained.
pub(crate) fn described(mut schema: Value, description: &str) -> Value {
    schema["description"] = description.into();
    schema
}

/// `true` or `false`.
pub(crate) fn boolean() -> Value {
    json!({"type": "boolean"})
}

/// A date and time.
pub(crate) fn date() -> Value {
    json!({"type": "string", "format": "date-time"})
}

/// A run's id.
pub(crate) fn run_id() -> Value {
    json!({"type": "string", "pattern": format!("^[0-9A-Za-z]{{{}}}$", RunId::LENGTH)})
}

/// A run's id where Nextflow reports; it writes `null` after a first message that was lost.
fn reported_run_id() -> Value {
    json!({"type": "string", "pattern": format!("^([0-9A-Za-z]{{{}}}|null)$", RunId::LENGTH)})
}

/// A secret's name.
pub(crate) fn secret_name() -> Value {
    reference("SecretName")
}

/// One of a few words.
pub(crate) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> Value {
    json!({"type": "string", "enum": words.into_iter().collect::<Vec<_>>()})
}

/// It, or null.
pub(crate) fn or_null(mut schema: Value) -> Value {
    match schema["type"].clone() {
        Value::String(name) => {
            schema["type"] = json!([name, "null"]);
            if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
                words.push(Value::Null);
            }
            schema
        }
        _ => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}

/// A schema of the components.
pub(crate) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// A list.
pub(crate) fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

/// An object with the fields that are always there, and those that may be.
pub(crate) fn object(always: &[(&str, Value)], sometimes: &[(&str, Value)]) -> Value {
    let required: Vec<_> = always.iter().map(|(name, _)| *name).collect();
    let properties: Map<_, _> =
        always.iter().chain(sometimes).map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let mut object = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

/// A JSON body.
pub(crate) fn body(schema: Value, example: Value) -> Value {
    json!({"required": true, "content": {"application/json": {"schema": schema, "example": example}}})
}

/// A 200 with JSON.
pub(crate) fn answer(description: &str, schema: &str, example: Value) -> (u16, Value) {
    let content = json!({"application/json": {"schema": reference(schema), "example": example}});
    (200, json!({"description": description, "content": content}))
}

/// A 200 with JSON, or with lines that a shell reads.
pub(crate) fn answer_or_lines(description: &str, schema: &str, example: Value, lines: &str) -> (u16, Value) {
    let (status, mut answer) = answer(description, schema, example);
    answer["content"]["text/plain"] = json!({
        "schema": {"type": "string", "description": "With `Accept: text/plain`: a line `name=value` each, nothing quoted."},
        "example": lines,
    });
    (status, answer)
}

/// A 204.
pub(crate) fn no_content(description: &str) -> (u16, Value) {
    (204, json!({"description": description}))
}

/// An answer with the entity tag of a version.
pub(crate) fn with_etag((status, mut answer): (u16, Value)) -> (u16, Value) {
    answer["headers"] = json!({"ETag": {
        "description": "The version, for `If-Match`. It tells nothing of the value.",
        "schema": {"type": "string", "pattern": "^\"[0-9]+\"$"},
    }});
    (status, answer)
}

/// An answer whose id leads to other operations.
pub(crate) fn with_links((status, mut answer): (u16, Value), links: Value) -> (u16, Value) {
    answer["links"] = links;
    (status, answer)
}

/// A parameter of the query.
pub(crate) fn query(name: &str, description: &str, schema: Value) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": schema})
}

/// The workspace.
pub(crate) fn workspace_id() -> Value {
    query("workspaceId", "The workspace. Absent: the caller's own.", id())
}

/// `If-Match`.
pub(crate) fn if_match() -> Value {
    json!({
        "name": "If-Match", "in": "header",
        "description": "The version over which the change is meant, as an `ETag` gave it. Absent: the present one, whichever it is.",
        "schema": {"type": "string", "pattern": "^(\\*|\"[0-9]+\")$"},
        "example": "\"3\"",
    })
}

/// `Idempotency-Key`.
pub(crate) fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key", "in": "header",
        "description": "Makes it safe to repeat the request after a lost answer: for 24 hours the same key of the same user with \
            the same request is answered again, and nothing is done twice.",
        "schema": {
            "type": "string",
            "pattern": "^[!-~]+$",
            "minLength": Idempotency::MIN_KEY,
            "maxLength": Idempotency::MAX_KEY,
        },
        "example": "0b6bd7a5-6f0e-4f2a-9a38-3b0a8f6f2a10",
    })
}

/// The parameters that stand in a path.
pub(crate) fn path_parameters(operation: Operation) -> Vec<Value> {
    let names = operation.path().split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| {
            let (schema, description) = match name {
                "workflowId" if operation.path().starts_with("/trace/") => (reported_run_id(), "The run, or `null`."),
                "workflowId" => (run_id(), "The run."),
                "secretId" => (id(), "The secret."),
                "userId" => (id(), "The caller's own id."),
                "tokenId" => (id(), "The token."),
                "orgId" => (id(), "The organization."),
                "workspaceId" => (id(), "The workspace."),
                _ => (id(), "The participant: the id of the user."),
            };
            json!({"name": name, "in": "path", "required": true, "description": description, "schema": schema})
        })
        .collect()
}
