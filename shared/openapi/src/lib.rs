//! The API's description, OpenAPI 3.1, generated from the table of operations and the wire types. `docs/openapi.json` is
//! what this crate writes, and a test says so; no function links it.
//!
//! A new operation does not compile before it is described here. The end-to-end tests check its answers against the
//! description ([`conforms`]).

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

/// The description as a tree.
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
            "summary": "Secrets that only a run may read, for Nextflow pipelines.",
            "description": introduction(),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{
            "url": "https://{host}",
            "description": "The output ApiEndpoint of the deployed stack, or what `cargo local up` prints.",
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

/// The description as it stands in `docs/openapi.json`.
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
Stores the secrets of Nextflow pipelines and gives them to runs on AWS Batch and on HPC schedulers. No answer ever holds \
a value: only a run gets it, in AWS Secrets Manager or by one claim.

Paths, fields and codes are those of Seqera Platform wherever it has them, so that the `tw` command line, the Terraform \
provider `seqera`, seqerakit and Nextflow work unmodified. `workspaceId` is a query parameter everywhere: absent, the \
caller's own secrets are meant; present, that workspace's; misspelt, 400. A workspace that does not exist, one that the caller takes no \
part in, and an id of another workspace are one and the same 404.

Errors are `{{\"message\": \"…\"}}` with `Content-Type: application/json`, whatever the status. Any \
request may be refused with 429; nothing was changed then. Fields that are not described are ignored in requests, \
and answers may get new ones.

Limits: 1,000 secrets in a workspace and as many of a user's own, 64 in a launch, 32 in an import; a value of 32,768 \
bytes, and of 60,000 when written as a JSON string; a body of {}, an import of {}, a message from Nextflow of {}.",
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
        parameters.push(parts::workspace_id(schemas));
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
            true => "any role".to_owned(),
            false => format!("the role {}", Role::in_words(&roles)),
        };
        match permission {
            Permission::WriteSecrets | Permission::DeleteSecrets => {
                format!("{needed} (a deployment may add maintain)")
            }
            _ => needed,
        }
    };
    let needs = match operation.needs() {
        Needs::Own => String::new(),
        Needs::InWorkspace(permission) => {
            format!("\n\nIn a workspace this takes {}.", roles(permission))
        }
        Needs::OfPath(permission) => format!("\n\nThis takes {} in the workspace.", roles(permission)),
    };
    let body = match &described.body {
        Some(_) => format!("\n\nThe body may have at most {} KiB.", operation.max_body() / 1024),
        None => String::new(),
    };
    format!("{}{needs}{body}", described.description)
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
            "description": "A personal access token (`POST /tokens`): base64 of `{\"tid\": <n>}.<40 hexadecimal characters>`. \
                Or a JSON Web Token of the OpenID Connect issuer that the deployment names. Without the header it is 401; \
                a token that is unknown, revoked or expired is 403. A revoked one is refused within 60 seconds. A login that \
                no user has is registered by `GET /user-info`; other operations on secrets and runs answer 403 until then.",
        },
        "tokenAsBasic": {
            "type": "http", "scheme": "basic",
            "description": "The same token as the password of the user `@token`: Nextflow's form for tokens of a foreign shape.",
        },
        "runToken": {
            "type": "http", "scheme": "bearer",
            "description": "The run token that a launch answered: base64 of `{\"tid\":\"<workflowId>\"}.<40 hexadecimal \
                characters>`. It reports this one run, and is good for nothing else.",
        },
        "runTokenAsBasic": {
            "type": "http", "scheme": "basic",
            "description": "The run token as the password of the user `@token`.",
        },
        "claimToken": {
            "type": "http", "scheme": "bearer",
            "description": "The claim token that a launch for HPC answered. It works once.",
        },
    })
}
