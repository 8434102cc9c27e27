//! The service, users and their tokens, workspaces and participants.

use http_api::wire::identity::{
    NewParticipant, NewPlatforms, NewRole, NewToken, OrganizationList, OrgsAndWorkspaces, ParticipantAnswer,
    ParticipantList, ServiceInfo, TokenCreated, TokenList, UserInfo, WorkspaceAnswer, WorkspaceList,
    service_info,
};
use serde_json::json;

use super::{Described, example};
use crate::parts::{no_content, query};
use crate::schemas::Schemas;

const WORKSPACE: &str = r#"{"id": 42, "name": "genomics", "fullName": "Example genomics", "description": null, "visibility": "PRIVATE"}"#;
const TOKEN: &str = r#"{"id": 5, "name": "ci", "dateCreated": "2026-10-25T12:42:21Z", "lastUsed": null}"#;
const PARTICIPANT: &str = r#"{"participantId": 18, "memberId": 18, "userName": "liam", "firstName": null, "lastName": null,
    "email": "liam@example.org", "orgRole": "member", "teamId": null, "teamName": null, "wspRole": "launch", "type": "MEMBER",
    "teamAvatarUrl": null, "userAvatarUrl": null}"#;

pub(super) fn service(schemas: &mut Schemas) -> Described {
    let info = service_info(env!("CARGO_PKG_VERSION"));
    Described::new(
        "Describe the service",
        "Its version, for anybody.",
        schemas.answer::<ServiceInfo<'_>>("The service.", &json!(info)),
    )
}

pub(super) fn user(schemas: &mut Schemas) -> Described {
    let user = example(
        r#"{"user": {"id": 17, "userName": "olivia", "email": "olivia@example.org", "firstName": null, "lastName": null,
        "organization": null, "description": null, "avatar": null, "notification": false, "termsOfUseConsent": true,
        "marketingConsent": false, "deleted": false, "lastAccess": null, "dateCreated": "2026-10-25T12:42:21Z",
        "lastUpdated": "2026-10-25T12:42:21Z"}, "needConsent": false, "defaultWorkspaceId": null}"#,
    );
    Described::new(
        "Describe the caller",
        "Who the token belongs to.",
        schemas.answer::<UserInfo<'_>>("The caller.", &user),
    )
    .errors(&[404])
}

pub(super) fn user_workspaces(schemas: &mut Schemas) -> Described {
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
        schemas.answer::<OrgsAndWorkspaces<'_>>("The rows.", &rows),
    )
}

pub(super) fn tokens(schemas: &mut Schemas) -> Described {
    let tokens = schemas.answer::<TokenList<'_>>("The tokens.", &json!({"tokens": [example(TOKEN)]}));
    Described::new("List the caller's tokens", "Without their keys.", tokens)
}

pub(super) fn create_token(schemas: &mut Schemas) -> Described {
    let created = json!({"accessKey": "eyJ0aWQiOiA1fS4uLg==", "token": example(TOKEN)});
    Described::new(
        "Make a token",
        "A personal access token of the caller, at most 100. It is shown in this answer and never again.",
        schemas.answer::<TokenCreated<'_>>("The token.", &created),
    )
    .body(schemas.body::<NewToken>(&json!({"name": "ci"})))
    .errors(&[409])
}

pub(super) fn delete_token() -> Described {
    Described::new("Revoke a token", "One of the caller's own.", no_content("It is refused from here on."))
}

pub(super) fn organizations(schemas: &mut Schemas) -> Described {
    let list = example(
        r#"{"totalSize": 1, "organizations": [{"orgId": 7, "name": "example", "fullName": "example", "description": null,
        "location": null, "website": null, "logoId": null, "logoUrl": null, "memberId": 17, "memberRole": "member"}]}"#,
    );
    Described::new(
        "List the caller's organizations",
        "Those in which the caller takes part in a workspace.",
        schemas.answer::<OrganizationList<'_>>("The organizations.", &list),
    )
}

pub(super) fn workspaces(schemas: &mut Schemas) -> Described {
    let found =
        schemas.answer::<WorkspaceList<'_>>("The workspaces.", &json!({"workspaces": [example(WORKSPACE)]}));
    Described::new("List an organization's workspaces", "Those in which the caller takes part.", found)
}

pub(super) fn workspace(schemas: &mut Schemas) -> Described {
    let mut workspace = example(WORKSPACE);
    workspace["dateCreated"] = "2026-10-25T12:42:21Z".into();
    workspace["lastUpdated"] = "2026-10-25T12:42:21Z".into();
    workspace["platforms"] = json!(["aws-batch"]);
    let found = schemas.answer::<WorkspaceAnswer<'_>>("The workspace.", &json!({"workspace": workspace}));
    Described::new("Describe a workspace", "Its names, and where launches may go.", found)
}

pub(super) fn platforms(schemas: &mut Schemas) -> Described {
    Described::new(
        "Say where launches may go",
        "The platforms that a launch in the workspace may name. An HPC platform hands values to whoever launches.",
        no_content("They are set."),
    )
    .body(schemas.body::<NewPlatforms>(&json!({"platforms": ["aws-batch", "slurm"]})))
}

pub(super) fn participants(schemas: &mut Schemas) -> Described {
    let page = json!({"participants": [example(PARTICIPANT)], "totalSize": 1});
    let number = || json!({"type": "integer", "minimum": 0});
    Described::new(
        "List participants",
        "Who takes part in the workspace, and in which role.",
        schemas.answer::<ParticipantList<'_>>("The participants, by name.", &page),
    )
    .parameters([
        query("max", "Participants, at most.", number()),
        query("offset", "Participants to leave out at the beginning.", number()),
        query("search", "Only those whose name or e-mail address holds this.", json!({"type": "string"})),
    ])
}

pub(super) fn add_participant(schemas: &mut Schemas) -> Described {
    Described::new(
        "Add a participant",
        "Lets a user of the deployment take part. There are no teams.",
        schemas.answer::<ParticipantAnswer<'_>>(
            "The participant.",
            &json!({"participant": example(PARTICIPANT)}),
        ),
    )
    .body(schemas.body::<NewParticipant>(&json!({"userNameOrEmail": "liam", "role": "launch"})))
    .errors(&[409])
}

pub(super) fn participant_role(schemas: &mut Schemas) -> Described {
    Described::new(
        "Give a participant another role",
        "Only owners make or unmake an owner, and the last one stays.",
        no_content("It is set."),
    )
    .body(schemas.body::<NewRole>(&json!({"role": "maintain"})))
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
