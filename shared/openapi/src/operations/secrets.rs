//! Pipeline secrets, and the audit trail.

use domain::name::SecretName;
use domain::secret::MAX_IN_SCOPE;
use domain::use_cases::create_secrets::MAX_IN_IMPORT;
use http_api::wire::audit::AuditTrail;
use http_api::wire::imports::{Imported, SecretMap};
use http_api::wire::secrets::{History, NewSecret, SecretAnswer, SecretCreated, SecretList, SecretUpdate};
use serde_json::{Value, json};

use super::{Described, example};
use crate::parts::{idempotency_key, if_match, no_content, query, with_etag, with_links};
use crate::schemas::Schemas;

const SECRET: &str = r#"{"id": 5002114781502, "name": "NCBI_API_KEY", "lastUsed": null, "dateCreated": "2026-10-25T12:42:21Z",
    "lastUpdated": "2026-10-25T12:42:21Z"}"#;

/// The path of one secret takes the id that was answered, in the same workspace.
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
    let all = schemas.answer::<SecretList<'_>>("All of them, by name; there is no paging.", &list);
    Described::new("List secrets", "Every secret of the workspace, or the caller's own.", all)
}

pub(super) fn create(schemas: &mut Schemas) -> Described {
    let created =
        schemas.answer::<SecretCreated>("It is stored.", &json!({"secretId": 5_002_114_781_502_i64}));
    Described::new(
        "Create a secret",
        format!(
            "Stores a secret under a name that is free. At most {MAX_IN_SCOPE} in a workspace, and as many of a user's own."
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
    Described::new("Check a name", "Whether a secret of this name could be created.", no_content("It could."))
        .parameters([name])
        .errors(&[409])
}

pub(super) fn import(schemas: &mut Schemas) -> Described {
    let imported =
        json!({"secrets": [{"name": "NCBI_API_KEY", "secretId": 5_002_114_781_502_i64}], "totalSize": 1});
    let map = json!({"NCBI_API_KEY": "0f1e2d3c", "SENTIEON_LICENSE": "one\ntwo"});
    let mut body = schemas.body::<SecretMap>(&map);
    body["content"]["text/plain"] = json!({
        "schema": {
            "type": "string",
            "minLength": 1,
            "description": "Lines `NAME=value`, optionally behind `export`; `#` begins a comment line. A value may stand in \
                single quotes, taken as it is, or in double quotes, where `\\n`, `\\\"`, `\\\\` and `\\$` are read; otherwise it \
                is the rest of the line without the blanks around it. Nothing is evaluated.",
        },
        "example": "# keys\nexport NCBI_API_KEY=0f1e2d3c\nSENTIEON_LICENSE=\"one\\ntwo\"\n",
    });
    Described::new(
        "Create many secrets, or none",
        format!(
            "Stores up to {MAX_IN_IMPORT} secrets, from a JSON map or the lines of a `.env` file: all of them, or none. An error \
             names the entry or line, never what stands in it."
        ),
        schemas.answer::<Imported>("All of them are stored.", &imported),
    )
    .parameters([idempotency_key()])
    .body(body)
    .errors(&[409, 422])
}

pub(super) fn describe(schemas: &mut Schemas) -> Described {
    let found =
        schemas.answer::<SecretAnswer<'_>>("The secret.", &json!({"pipelineSecret": example(SECRET)}));
    Described::new("Describe a secret", "Its name and dates.", with_etag(found))
}

pub(super) fn update(schemas: &mut Schemas) -> Described {
    Described::new(
        "Give a secret a new value",
        "Writes a new version; there is no rename. Without `If-Match` the last writer wins, each with a version of its own.",
        with_etag(no_content("It is written.")),
    )
    .parameters([if_match()])
    .body(schemas.body::<SecretUpdate>(&json!({"value": "3c2d1e0f"})))
    .errors(&[409, 412])
}

pub(super) fn delete() -> Described {
    Described::new(
        "Delete a secret",
        "Deletes it with its value. Runs that were given it keep their copy until they end.",
        no_content("It is gone."),
    )
    .parameters([if_match()])
    .errors(&[412])
}

pub(super) fn history(schemas: &mut Schemas) -> Described {
    let example = json!({"versions": [
        {"version": 2, "writtenBy": 17, "dateWritten": "2026-10-26T07:05:17Z", "dateReplaced": null},
        {"version": 1, "writtenBy": 17, "dateWritten": "2026-10-25T12:42:21Z", "dateReplaced": "2026-10-26T07:05:17Z"},
    ], "totalSize": 2});
    let found = schemas.answer::<History>("The versions, newest first.", &example);
    Described::new("List a secret's versions", "Who wrote which version when; no values.", found)
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
        "A month of what was done in the workspace, newest first; without a workspace, of what concerns the caller.",
        schemas.answer::<AuditTrail<'_>>("The records.", &example),
    )
    .parameters([
        query("month", "The month, as `2026-01`; absent, the present one.", month),
        query("max", "Records, at most.", most),
    ])
}
