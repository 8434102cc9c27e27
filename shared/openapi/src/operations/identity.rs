//! The service, users and their tokens, workspaces and participants.

use domain::platform::Platform;
use serde_json::{Value, json};

use super::{Described, example};
use crate::parts::{answer, body, date, described, id, list, no_content, object, or_null, query};
use crate::schemas::{platform, role};

const WORKSPACE: &str = r#"{"id": 42, "name": "genomics", "fullName": "Example genomics", "description": null, "visibility": "PRIVATE"}"#;
const TOKEN: &str = r#"{"id": 5, "name": "ci", "dateCreated": "2026-10-25T12:42:21Z", "lastUsed": null}"#;
const PARTICIPANT: &str = r#"{"participantId": 18, "memberId": 18, "userName": "liam", "firstName": null, "lastName": null,
    "email": "liam@example.org", "orgRole": "member", "teamId": null, "teamName": null, "wspRole": "launch", "type": "MEMBER",
    "teamAvatarUrl": null, "userAvatarUrl": null}"#;

pub(super) fn service() -> Described {
    let info = http_api::wire::identity::service_info(env!("CARGO_PKG_VERSION"));
    Described::new(
        "Describe the service",
        "Its version, for anybody.",
        answer("The service.", "ServiceInfo", json!(info)),
    )
}

pub(super) fn user() -> Described {
    let user = example(
        r#"{"user": {"id": 17, "userName": "olivia", "email": "olivia@example.org", "firstName": null, "lastName": null,
        "organization": null, "description": null, "avatar": null, "notification": false, "termsOfUseConsent": true,
        "marketingConsent": false, "deleted": false, "lastAccess": null, "dateCreated": "2026-10-25T12:42:21Z",
        "lastUpdated": "2026-10-25T12:42:21Z"}, "needConsent": false, "defaultWorkspaceId": null}"#,
    );
    Described::new(
        "Describe the caller",
        "Who the token belongs to.",
        answer("The caller.", "UserInfo", user),
    )
    .errors(&[404])
}

pub(super) fn user_workspaces() -> Described {
    let rows = example(
        r#"{"orgsAndWorkspaces": [
        {"orgId": 7, "orgName": "example", "orgLogoUrl": null, "workspaceId": null, "workspaceName": null,
            "workspaceFullName": null, "visibility": null, "roles": ["member"]},
        {"orgId": 7, "orgName": "example", "orgLogoUrl": null, "workspaceId": 42, "workspaceName": "genomics",
            "workspaceFullName": "Example genomics", "visibility": "PRIVATE", "roles": ["owner"]}]}"#,
    );
    Described::new(
        "List the caller's organizations and workspaces",
        "A row per organization with a null workspace, then one per workspace. Somebody else's id is 404.",
        answer("The rows.", "OrgsAndWorkspaces", rows),
    )
}

pub(super) fn tokens() -> Described {
    let tokens = answer("The tokens.", "TokenList", json!({"tokens": [example(TOKEN)]}));
    Described::new("List the caller's tokens", "Without their keys.", tokens)
}

pub(super) fn create_token() -> Described {
    let created = json!({"accessKey": "eyJ0aWQiOiA1fS4uLg==", "token": example(TOKEN)});
    let name = json!({"type": "string", "minLength": 1, "maxLength": 50, "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*$"});
    let schema = object(
        &[("name", described(name, "Unique among the caller's; case does not count."))],
        &[("expires", described(or_null(date()), "After this it is refused; it has to lie ahead."))],
    );
    Described::new(
        "Make a token",
        "A personal access token of the caller, at most 100. It is shown in this answer and never again.",
        answer("The token.", "TokenCreated", created),
    )
    .body(body(schema, json!({"name": "ci"})))
    .errors(&[409])
}

pub(super) fn delete_token() -> Described {
    Described::new("Revoke a token", "One of the caller's own.", no_content("It is refused from here on."))
}

pub(super) fn organizations() -> Described {
    let list = example(
        r#"{"totalSize": 1, "organizations": [{"orgId": 7, "name": "example", "fullName": "example", "description": null,
        "location": null, "website": null, "logoId": null, "logoUrl": null, "memberId": 17, "memberRole": "member"}]}"#,
    );
    Described::new(
        "List the caller's organizations",
        "Those in which the caller takes part in a workspace.",
        answer("The organizations.", "OrganizationList", list),
    )
}

pub(super) fn workspaces() -> Described {
    let found = answer("The workspaces.", "WorkspaceList", json!({"workspaces": [example(WORKSPACE)]}));
    Described::new("List an organization's workspaces", "Those in which the caller takes part.", found)
}

pub(super) fn workspace() -> Described {
    let mut workspace = example(WORKSPACE);
    workspace["dateCreated"] = "2026-10-25T12:42:21Z".into();
    workspace["lastUpdated"] = "2026-10-25T12:42:21Z".into();
    workspace["platforms"] = json!([Platform::AwsBatch.as_str()]);
    let found = answer("The workspace.", "WorkspaceAnswer", json!({"workspace": workspace}));
    Described::new("Describe a workspace", "Its names, and where launches may go.", found)
}

pub(super) fn platforms() -> Described {
    let schema = object(&[("platforms", list(platform()))], &[]);
    Described::new(
        "Say where launches may go",
        "The platforms that a launch in the workspace may name. An HPC platform hands values to whoever launches.",
        no_content("They are set."),
    )
    .body(body(schema, json!({"platforms": ["aws-batch", "slurm"]})))
}

pub(super) fn participants() -> Described {
    let page = json!({"participants": [example(PARTICIPANT)], "totalSize": 1});
    let number = || json!({"type": "integer", "minimum": 0});
    Described::new(
        "List participants",
        "Who takes part in the workspace, and in which role.",
        answer("The participants, by name.", "ParticipantList", page),
    )
    .parameters([
        query("max", "Participants, at most.", number()),
        query("offset", "Participants to leave out at the beginning.", number()),
        query("search", "Only those whose name or e-mail address holds this.", json!({"type": "string"})),
    ])
}

fn any_role() -> Value {
    described(role(), "In any case. Only owners make an owner.")
}

pub(super) fn add_participant() -> Described {
    let schema = json!({
        "type": "object",
        "properties": {
            "memberId": described(or_null(id()), "The user, by id."),
            "userNameOrEmail": described(json!({"type": ["string", "null"]}), "Or by name or e-mail address, in any case."),
            "role": described(or_null(role()), "In any case. Absent: launch. Only owners make an owner."),
        },
        "oneOf": [
            {"required": ["memberId"], "properties": {"memberId": {"type": "integer"}, "userNameOrEmail": {"type": "null"}}},
            {"required": ["userNameOrEmail"], "properties": {"userNameOrEmail": {"type": "string"}, "memberId": {"type": "null"}}},
        ],
    });
    Described::new(
        "Add a participant",
        "Lets a user of the deployment take part. There are no teams.",
        answer("The participant.", "ParticipantAnswer", json!({"participant": example(PARTICIPANT)})),
    )
    .body(body(schema, json!({"userNameOrEmail": "liam", "role": "launch"})))
    .errors(&[409])
}

pub(super) fn participant_role() -> Described {
    let schema = object(&[("role", any_role())], &[]);
    Described::new(
        "Give a participant another role",
        "Only owners make or unmake an owner, and the last one stays.",
        no_content("It is set."),
    )
    .body(body(schema, json!({"role": "maintain"})))
    .errors(&[409])
}

pub(super) fn delete_participant() -> Described {
    Described::new(
        "Remove a participant",
        "Everyone may leave; removing somebody else takes the role owner or admin, and removing an owner the role owner. The last \
         owner stays. It acts on the next request, and on a write that is under way.",
        no_content("The user takes no part any more."),
    )
    .errors(&[409])
}
