//! Pipeline secrets, and the audit trail.

use domain::name::SecretName;
use domain::secret::MAX_IN_SCOPE;
use domain::use_cases::create_secrets::MAX_IN_IMPORT;
use domain::use_cases::import_secrets::{ImportMode, MAX_IN_KEYED_UPSERT};
use http_api::wire::audit::AuditTrail;
use http_api::wire::imports::{Imported, SecretMap};
use http_api::wire::secrets::{History, NewSecret, SecretAnswer, SecretCreated, SecretList, SecretUpdate};
use serde_json::{Value, json};

use super::{Described, example};
use crate::parts::{idempotency_key, if_match, no_content, query, with_etag, with_links};
use crate::schemas::Schemas;

const SECRET: &str = r#"{"id": 5002114781502, "name": "NCBI_API_KEY", "lastUsed": null, "dateCreated": "2026-10-25T12:42:21Z",
    "lastUpdated": "2026-10-25T12:42:21Z"}"#;

/// Links from a created secret to the operations on it, in the same workspace.
fn links() -> Value {
    let to = |operation: &str| {
        json!({"operationId": operation, "parameters": {
            "path.secretId": "$response.body#/secretId",
            "query.workspaceId": "$request.query.workspaceId",
        }})
    };
    json!({
        "describe": to("DescribePipelineSecret"),
        "update": to("UpdatePipelineSecret"),
        "history": to("ListPipelineSecretHistory"),
        "delete": to("DeletePipelineSecret"),
    })
}

pub(super) fn list(schemas: &mut Schemas) -> Described {
    let list = json!({"pipelineSecrets": [example(SECRET)], "totalSize": 1});
    let all = schemas.answer::<SecretList<'_>>("All secrets, sorted by name. There is no paging.", &list);
    Described::new("List secrets", "Lists the secrets of the workspace, or the caller's user secrets.", all)
        .parameters([authors()])
}

fn authors() -> Value {
    let flag = json!({"type": "boolean", "default": false});
    query("authors", "Adds `author`: the user who wrote a version, with the current name.", flag)
}

pub(super) fn create(schemas: &mut Schemas) -> Described {
    let created = schemas
        .answer::<SecretCreated>("The secret was created.", &json!({"secretId": 5_002_114_781_502_i64}));
    Described::new(
        "Create a secret",
        format!(
            "Creates a secret. Its name must not be taken. Limit: {MAX_IN_SCOPE} secrets per workspace and per user."
        ),
        with_links(created, links()),
    )
    .parameters([idempotency_key()])
    .body(schemas.body::<NewSecret>(&json!({"name": "NCBI_API_KEY", "value": "0f1e2d3c"})))
    .errors(&[409, 422])
}

pub(super) fn validate(schemas: &mut Schemas) -> Described {
    let mut name = query("name", "The name.", schemas.parameter::<SecretName>());
    name["required"] = true.into();
    name["example"] = "NCBI_API_KEY".into();
    Described::new(
        "Check a secret name",
        "Checks whether a secret with this name can be created.",
        no_content("The name is valid and not taken."),
    )
    .parameters([name])
    .errors(&[409])
}

pub(super) fn import(schemas: &mut Schemas) -> Described {
    let imported = json!({"secrets": [
        {"name": "NCBI_API_KEY", "secretId": 5_002_114_781_502_i64, "outcome": "created"},
        {"name": "SENTIEON_LICENSE", "secretId": 5_002_114_781_503_i64, "outcome": "created"},
    ], "totalSize": 2});
    let map = json!({"NCBI_API_KEY": "0f1e2d3c", "SENTIEON_LICENSE": "one\ntwo"});
    let mut body = schemas.body::<SecretMap>(&map);
    body["content"]["text/plain"] = json!({
        "schema": {
            "type": "string",
            "minLength": 1,
            "description": "Lines of the form `NAME=value`, optionally preceded by `export`. A line that begins with `#` is \
                a comment. A value in single quotes is taken literally. In double quotes, `\\n` is replaced by a line \
                break. A value in quotes can span several lines, and a comment can follow it. A value without quotes is \
                the rest of the line. Nothing else is evaluated. Docker, Node.js and Python read some lines differently, \
                such as `$` or an escape outside single quotes, or a `#` after a blank: such a line is refused with its \
                number.",
        },
        "example": "# keys\nexport NCBI_API_KEY=0f1e2d3c\nSENTIEON_LICENSE=\"one\\ntwo\"\n",
    });
    Described::new(
        "Import secrets",
        format!(
            "Creates up to {MAX_IN_IMPORT} secrets from a JSON map or from the lines of a `.env` file: all of them, or \
             none. With `mode=upsert`, also updates the values of existing secrets. An error names the entry or line and \
             never quotes it."
        ),
        schemas.answer::<Imported>("All secrets were created or updated. `outcome` says which.", &imported),
    )
    .parameters([
        query(
            "mode",
            &format!(
                "`create`: returns 409 if a secret exists. `upsert`: writes a new version of each existing secret, and \
                 keeps its description and expiry. A name that differs only in case from an existing one returns 409. With \
                 an `Idempotency-Key`, an upsert can contain at most {MAX_IN_KEYED_UPSERT} secrets."
            ),
            schemas.parameter::<ImportMode>(),
        ),
        idempotency_key(),
    ])
    .body(body)
    .errors(&[409, 422])
}

pub(super) fn describe(schemas: &mut Schemas) -> Described {
    let found =
        schemas.answer::<SecretAnswer<'_>>("The secret.", &json!({"pipelineSecret": example(SECRET)}));
    Described::new("Describe a secret", "Returns the secret without its value.", with_etag(found))
}

pub(super) fn update(schemas: &mut Schemas) -> Described {
    Described::new(
        "Update a secret",
        "Writes a new value as a new version. A secret cannot be renamed. Without `If-Match`, each of several concurrent \
         updates writes a version, and the last one becomes current.",
        with_etag(no_content("The new version was written.")),
    )
    .parameters([if_match()])
    .body(schemas.body::<SecretUpdate>(&json!({"value": "3c2d1e0f"})))
    .errors(&[409, 412])
}

pub(super) fn delete() -> Described {
    Described::new(
        "Delete a secret",
        "Deletes the secret and its value. Runs that received the secret keep their copy until they end.",
        no_content("The secret was deleted."),
    )
    .parameters([if_match()])
    .errors(&[412])
}

pub(super) fn history(schemas: &mut Schemas) -> Described {
    let example = json!({"versions": [
        {"version": 2, "writtenBy": 17, "dateWritten": "2026-10-26T07:05:17Z", "dateReplaced": null},
        {"version": 1, "writtenBy": 17, "dateWritten": "2026-10-25T12:42:21Z", "dateReplaced": "2026-10-26T07:05:17Z"},
    ], "totalSize": 2});
    let found = schemas.answer::<History<'_>>("The versions, newest first.", &example);
    Described::new(
        "List a secret's versions",
        "Lists when each version was written, and by which user. Contains no values.",
        found,
    )
    .parameters([authors()])
}

pub(super) fn audit_events(schemas: &mut Schemas) -> Described {
    let example = json!({"month": "2026-10", "events": [{
        "date": "2026-10-25T12:42:21.042Z", "id": "8859411891220411", "action": "secret.created", "actor": 17, "run": null,
        "person": null, "detail": null,
        "subjects": [{"secretId": 5_002_114_781_502_i64, "name": "NCBI_API_KEY", "owner": "workspace", "version": 1,
            "overrides": null}],
    }]});
    let month = json!({"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$"});
    let most = json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100});
    Described::new(
        "Read the audit trail",
        "Lists the audit events of one month, newest first: those of the workspace or, without a workspace, those of the \
         caller.",
        schemas.answer::<AuditTrail<'_>>("The audit events.", &example),
    )
    .parameters([
        query("month", "The month, such as `2026-01`. Default: the current month.", month),
        query("max", "The maximum number of events.", most),
    ])
}
