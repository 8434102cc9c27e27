//! The OpenAPI 3.1 document of the API, generated from the table of operations and the wire types.
//! This crate writes `docs/openapi.json`, and a test compares the two. No function links this
//! crate.
//!
//! A new operation does not compile until it is described here. The end-to-end tests check every
//! answer against the document ([`conforms`]).

mod conform;
mod operations;
mod parts;
mod problems;
mod schemas;

use domain::role::{Permission, Role};
use domain::settings::Settings;
use http_api::Operation;
use http_api::operation::{Credential, Needs};
use serde_json::{Map, Value, json};

pub use crate::conform::conforms;
use crate::operations::{Described, describe};
use crate::schemas::Schemas;

/// Returns the document as JSON.
#[must_use]
pub fn document() -> Value {
    let mut schemas = Schemas::new();
    let mut paths: Map<String, Value> = Map::new();
    for operation in Operation::ALL {
        let path = paths.entry(operation.path()).or_insert_with(|| json!({}));
        path[operation.method().to_lowercase()] = entry(*operation, &mut schemas);
    }
    let responses = problems::all(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Pipeline secrets",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Stores secrets for Nextflow pipelines and delivers them to runs.",
            "description": introduction(),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{
            "url": "https://{host}",
            "description": "The stack output ApiEndpoint, or the URL that `cargo local up` prints.",
            "variables": {"host": {"default": "localhost"}},
        }],
        "tags": operations::tags(),
        "paths": paths,
        "components": {
            "securitySchemes": security_schemes(),
            "schemas": schemas.components(),
            "responses": responses,
        },
    })
}

/// Returns the text of `docs/openapi.json`.
#[must_use]
pub fn text() -> String {
    format!("{:#}\n", document())
}

fn introduction() -> String {
    let size = |operation: Operation| match operation.max_body() / 1024 {
        kib if kib % 1024 == 0 => format!("{} MiB", kib / 1024),
        kib => format!("{kib} KiB"),
    };
    format!(
        "\
Stores secrets for Nextflow pipelines and delivers them to runs on AWS Batch and on HPC schedulers. Secret values \
are write-only: a run on AWS Batch reads them from AWS Secrets Manager, and a run on an HPC scheduler claims them once.

Where Seqera Platform has the same operation, this API uses the same paths, fields, and status codes, so that the `tw` \
command line, the Terraform provider `seqera`, seqerakit, and Nextflow work unmodified. The query parameter \
`workspaceId` selects a workspace. Without it, a request applies to the caller's user secrets and to runs outside a \
workspace. A misspelled name of this parameter returns 400. A workspace that does not exist, a workspace in which the \
caller is not a participant, and an ID that belongs to another workspace return the same 404.

The body of every error is `{{\"message\": \"…\"}}` with `Content-Type: application/json`. Any request can return \
429; nothing was changed in that case. An operation that is not in this document returns 501. Responses can gain \
fields.

Launches, previews, new tokens, imports, and the lists of runs and audit events refuse unknown fields and query \
parameters with 400. Operations of Seqera Platform ignore them, unless a name differs from a known one only by case or \
punctuation. Numbers in paths and queries have ASCII digits only and no leading zeros.

Limits: 1,000 secrets per workspace and per user, 64 per launch, 32 per import; 32,768 bytes per value, and 60,000 \
bytes when written as a JSON string; {} per body, {} per import, {} per message from Nextflow.",
        size(Operation::CreatePipelineSecret),
        size(Operation::ImportPipelineSecrets),
        size(Operation::TraceProgress),
    )
}

fn entry(operation: Operation, schemas: &mut Schemas) -> Value {
    let described = describe(operation, schemas);
    let mut entry = json!({
        "operationId": operation.id(),
        "tags": [operations::tag(operation)],
        "summary": described.summary,
        "description": explain(operation, &described),
        "security": security(operation.credential()),
        "responses": answers(operation, &described),
    });
    let mut parameters = parts::path_parameters(operation, schemas);
    if matches!(operation.needs(), Needs::InWorkspace(_)) {
        parameters.push(parts::workspace_id(operation, schemas));
    }
    parameters.extend(described.parameters.clone());
    if !parameters.is_empty() {
        entry["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = &described.body {
        entry["requestBody"] = body.clone();
    }
    entry
}

fn explain(operation: Operation, described: &Described) -> String {
    let roles = |permission: Permission| {
        let roles = permission.roles(&Settings::new(""));
        let needed = match roles.len() == Role::ALL.len() {
            true => "be a participant".to_owned(),
            false => format!("have the role {}", Role::in_words(&roles)),
        };
        match permission {
            Permission::WriteSecrets | Permission::DeleteSecrets => {
                format!("{needed} (or maintain, if the deployment allows it)")
            }
            Permission::CancelRuns => format!("have launched the run, or {needed}"),
            _ => needed,
        }
    };
    let needs = match operation.needs() {
        Needs::Own => String::new(),
        Needs::InWorkspace(permission) if operation.requires_workspace() => {
            format!("\n\nThe caller must {} in the workspace.", roles(permission))
        }
        Needs::InWorkspace(permission) => {
            format!("\n\nWith `workspaceId`, the caller must {} in that workspace.", roles(permission))
        }
        Needs::OfPath(permission) => {
            format!("\n\nThe caller must {} in the workspace.", roles(permission))
        }
    };
    let scopes: Vec<_> = operation.scopes().iter().map(|scope| scope.as_str()).collect();
    let scopes = match operation.credential() {
        Credential::User => format!("\n\nScopes of personal access tokens: {}.", scopes.join(", ")),
        _ => String::new(),
    };
    let body = match &described.body {
        Some(_) => format!("\n\nMaximum body size: {} KiB.", operation.max_body() / 1024),
        None => String::new(),
    };
    format!("{}{needs}{scopes}{body}", described.description)
}

fn answers(operation: Operation, described: &Described) -> Map<String, Value> {
    let mut statuses = vec![429, 500, 503];
    match operation.credential() {
        Credential::None => {}
        Credential::User | Credential::Run => statuses.extend([401, 403]),
        Credential::Claim => statuses.extend([401, 403, 404]),
    }
    if operation.path().contains('{') || matches!(operation.needs(), Needs::InWorkspace(_)) {
        statuses.push(404);
    }
    if described.body.is_some() {
        statuses.extend([413, 415]);
    }
    let numbers = operation.path().contains("Id}") && !operation.path().contains("{workflowId}");
    let reads_input = described.body.is_some() || !described.parameters.is_empty() || numbers;
    if reads_input || matches!(operation.needs(), Needs::InWorkspace(_)) {
        statuses.push(400);
    }
    statuses.retain(|status| !described.never.contains(status));
    statuses.extend(&described.errors);
    let mut answers = Map::new();
    for status in statuses {
        answers.insert(status.to_string(), problems::reference(status));
    }
    let (status, success) = &described.success;
    answers.insert(status.to_string(), success.clone());
    answers
}

fn security(credential: Credential) -> Value {
    match credential {
        Credential::None => json!([]),
        Credential::User => json!([{"token": []}, {"tokenAsBasic": []}]),
        Credential::Run => json!([{"runToken": []}, {"runTokenAsBasic": []}]),
        Credential::Claim => json!([{"claimToken": []}]),
    }
}

fn security_schemes() -> Value {
    json!({
        "token": {
            "type": "http", "scheme": "bearer",
            "description": "A personal access token (`POST /tokens`), which is base64 of `{\"tid\": <n>}.<40 \
                hexadecimal characters>`, or a JSON Web Token from an OpenID Connect issuer that the deployment \
                trusts. A request without the header returns 401. An unknown, revoked, or expired token returns 403; \
                a revocation takes effect within 60 seconds. So does a request beyond the scope or the workspace of \
                the token, and the message names the limit. A login that no user has returns 403 with its issuer and \
                subject, unless the issuer has sign-up: then `GET /user-info` registers it, and until then, \
                operations on secrets and runs return 403.",
        },
        "tokenAsBasic": {
            "type": "http", "scheme": "basic",
            "description": "The same token as the password of the user `@token`. Nextflow sends a token in this form if it \
                does not recognize the token's format.",
        },
        "runToken": {
            "type": "http", "scheme": "bearer",
            "description": "The run token from the response to a launch: base64 of `{\"tid\":\"<workflowId>\"}.<40 \
                hexadecimal characters>`. It authorizes reports about this one run and nothing else.",
        },
        "runTokenAsBasic": {
            "type": "http", "scheme": "basic",
            "description": "The run token as the password of the user `@token`.",
        },
        "claimToken": {
            "type": "http", "scheme": "bearer",
            "description": "The claim token from the response to an HPC launch. It can be used once.",
        },
    })
}
