//! Parts of the descriptions: parameters, and the headers and links of responses.
#![expect(clippy::needless_pass_by_value, reason = "parts are made where they are put in")]

use domain::idempotency::Idempotency;
use domain::ids::{OrgId, RunId, SecretId, TokenId, UserId, WorkspaceId};
use http_api::Operation;
use serde_json::{Value, json};

use crate::schemas::Schemas;

pub(crate) fn no_content(description: &str) -> (u16, Value) {
    (204, json!({"description": description}))
}

/// Adds the `ETag` header to a response.
pub(crate) fn with_etag((status, mut answer): (u16, Value)) -> (u16, Value) {
    answer["headers"] = json!({"ETag": {
        "description": "The version, for use in `If-Match`. It reveals nothing about the value.",
        "schema": {"type": "string", "pattern": "^\"[0-9]+\"$"},
    }});
    (status, answer)
}

pub(crate) fn with_links((status, mut answer): (u16, Value), links: Value) -> (u16, Value) {
    answer["links"] = links;
    (status, answer)
}

pub(crate) fn query(name: &str, description: &str, schema: Value) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": schema})
}

pub(crate) fn workspace_id(operation: Operation, schemas: &mut Schemas) -> Value {
    let schema = schemas.parameter::<WorkspaceId>();
    if operation.requires_workspace() {
        let mut parameter = query("workspaceId", "The workspace.", schema);
        parameter["required"] = true.into();
        return parameter;
    }
    let description =
        "The workspace. Omit it for the caller's user secrets and for runs outside a workspace.";
    query("workspaceId", description, schema)
}

pub(crate) fn if_match() -> Value {
    json!({
        "name": "If-Match", "in": "header",
        "description": "The version that the change applies to, from an `ETag` header, with or without quotes. The request \
            returns 412 if another version is current. `*` and an absent header match every version.",
        "schema": {"type": "string", "pattern": "^(\\*|[0-9]+|\"[0-9]+\")$"},
        "example": "\"3\"",
    })
}

pub(crate) fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key", "in": "header",
        "description": "Makes the request safe to repeat. For 24 hours, the same request from the same user with the same key \
            returns the first result again, and nothing is done twice. A launch is repeated only with the same token.",
        "schema": {
            "type": "string",
            "pattern": "^[!-~]+$",
            "minLength": Idempotency::MIN_KEY,
            "maxLength": Idempotency::MAX_KEY,
        },
        "example": "0b6bd7a5-6f0e-4f2a-9a38-3b0a8f6f2a10",
    })
}

fn text_id() -> Value {
    json!({"type": "string", "pattern": "^[0-9A-Za-z]{22}$"})
}

pub(crate) fn path_parameters(operation: Operation, schemas: &mut Schemas) -> Vec<Value> {
    let names = operation.path().split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| {
            let (schema, description) = match name {
                "workflowId" if operation.path().starts_with("/trace/") => {
                    let description = "The run ID, or `null` for the run of the token. A message with any other \
                                       text changes nothing.";
                    (json!({"type": "string"}), description)
                }
                "workflowId" => (schemas.parameter::<RunId>(), "The run ID."),
                "secretId" => (schemas.parameter::<SecretId>(), "The secret ID."),
                "userId" => (schemas.parameter::<UserId>(), "The ID of the caller."),
                "tokenId" => (schemas.parameter::<TokenId>(), "The token ID."),
                "orgId" => (schemas.parameter::<OrgId>(), "The organization ID."),
                "credentialsId" => (text_id(), "The ID of the credentials."),
                "computeEnvId" => (text_id(), "The ID of the compute environment."),
                "workspaceId" => (schemas.parameter::<WorkspaceId>(), "The workspace ID."),
                _ => (schemas.parameter::<UserId>(), "The participant ID, which is the ID of the user."),
            };
            json!({"name": name, "in": "path", "required": true, "description": description, "schema": schema})
        })
        .collect()
}
