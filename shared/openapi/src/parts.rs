//! What descriptions are put together from: parameters, and what belongs to an answer beside its body.
#![expect(clippy::needless_pass_by_value, reason = "parts are made where they are put in")]

use domain::idempotency::Idempotency;
use domain::ids::{OrgId, RunId, SecretId, TokenId, UserId, WorkspaceId};
use http_api::Operation;
use serde_json::{Value, json};

use crate::schemas::Schemas;

/// A run's id where Nextflow reports; it writes `null` after a first message that was lost.
fn reported_run_id() -> Value {
    json!({"type": "string", "pattern": format!("^([0-9A-Za-z]{{{}}}|null)$", RunId::LENGTH)})
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
pub(crate) fn workspace_id(schemas: &mut Schemas) -> Value {
    query("workspaceId", "The workspace. Absent: the caller's own.", schemas.parameter::<WorkspaceId>())
}

/// `If-Match`.
pub(crate) fn if_match() -> Value {
    json!({
        "name": "If-Match", "in": "header",
        "description": "The version over which the change is meant, as an `ETag` gave it, with or without its quotes; `*` is any. Absent: the present one, whichever it is.",
        "schema": {"type": "string", "pattern": "^(\\*|[0-9]+|\"[0-9]+\")$"},
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
pub(crate) fn path_parameters(operation: Operation, schemas: &mut Schemas) -> Vec<Value> {
    let names = operation.path().split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| {
            let (schema, description) = match name {
                "workflowId" if operation.path().starts_with("/trace/") => (reported_run_id(), "The run, or `null`."),
                "workflowId" => (schemas.parameter::<RunId>(), "The run."),
                "secretId" => (schemas.parameter::<SecretId>(), "The secret."),
                "userId" => (schemas.parameter::<UserId>(), "The caller's own id."),
                "tokenId" => (schemas.parameter::<TokenId>(), "The token."),
                "orgId" => (schemas.parameter::<OrgId>(), "The organization."),
                "workspaceId" => (schemas.parameter::<WorkspaceId>(), "The workspace."),
                _ => (schemas.parameter::<UserId>(), "The participant: the id of the user."),
            };
            json!({"name": name, "in": "path", "required": true, "description": description, "schema": schema})
        })
        .collect()
}
