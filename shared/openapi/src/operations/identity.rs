//! The service, users and their tokens, workspaces and participants.

use domain::ids::ID_BOUND;
use http_api::wire::identity::{
    MemberList, NewParticipant, NewPlatforms, NewRole, NewToken, OrganizationAnswer, OrganizationList,
    OrgsAndWorkspaces, ParticipantAnswer, ParticipantList, ServiceInfo, TokenCreated, TokenList, UserInfo,
    WorkspaceAnswer, WorkspaceList, service_info,
};
use serde_json::{Value, json};

use super::{Described, example};
use crate::parts::{no_content, query};
use crate::schemas::Schemas;

const WORKSPACE: &str = r#"{"id": 42, "name": "genomics", "fullName": "Example genomics", "description": null, "visibility": "PRIVATE"}"#;
const ORGANIZATION: &str = r#"{"orgId": 7, "name": "example", "fullName": "example", "description": null, "location": null,
    "website": null, "logoId": null, "logoUrl": null, "memberId": 17, "memberRole": "member"}"#;
const TOKEN: &str = r#"{"id": 5, "name": "cluster", "dateCreated": "2026-10-25T12:42:21Z", "lastUsed": null,
    "expires": "2027-10-25T12:42:21Z", "scope": "launch", "workspaceId": 42, "createdWith": 4}"#;
const PARTICIPANT: &str = r#"{"participantId": 18, "memberId": 18, "userName": "liam", "firstName": null, "lastName": null,
    "email": "liam@example.org", "orgRole": "member", "teamId": null, "teamName": null, "wspRole": "launch", "type": "MEMBER",
    "teamAvatarUrl": null, "userAvatarUrl": null}"#;

pub(super) fn service(schemas: &mut Schemas) -> Described {
    let info = service_info(env!("CARGO_PKG_VERSION"));
    Described::new(
        "Describe the service",
        "Returns the version of the service. Requires no token.",
        schemas.answer::<ServiceInfo<'_>>("Information about the service.", &json!(info)),
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
        "Returns the user that the token identifies.",
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
        "Returns a row with a null workspace for each organization, then a row for each workspace. The ID of another user \
         returns 404.",
        schemas.answer::<OrgsAndWorkspaces<'_>>("The rows.", &rows),
    )
}

pub(super) fn tokens(schemas: &mut Schemas) -> Described {
    let tokens = schemas.answer::<TokenList<'_>>("The tokens.", &json!({"tokens": [example(TOKEN)]}));
    Described::new(
        "List the caller's tokens",
        "Lists the caller's personal access tokens without their keys. A token of one workspace sees only tokens of it.",
        tokens,
    )
}

pub(super) fn create_token(schemas: &mut Schemas) -> Described {
    let created = json!({"accessKey": "eyJ0aWQiOiA1fS4uLg==", "token": example(TOKEN)});
    Described::new(
        "Create a token",
        "Creates a personal access token for the caller. Limit: 100 tokens per user. Only this response contains the \
         token. A token creates no token that outlives it or exceeds its scope or workspace.",
        schemas.answer::<TokenCreated<'_>>("The token.", &created),
    )
    .body(schemas.body::<NewToken>(&json!({"name": "cluster", "scope": "launch", "workspaceId": 42})))
    .errors(&[404, 409])
}

pub(super) fn delete_token() -> Described {
    Described::new(
        "Revoke a token",
        "Revokes one of the caller's personal access tokens.",
        no_content("The token was revoked."),
    )
}

pub(super) fn organizations(schemas: &mut Schemas) -> Described {
    let list = json!({"totalSize": 1, "organizations": [example(ORGANIZATION)]});
    Described::new(
        "List the caller's organizations",
        "Lists the organizations in which the caller is a participant of a workspace.",
        schemas.answer::<OrganizationList<'_>>("The organizations.", &list),
    )
}

pub(super) fn organization(schemas: &mut Schemas) -> Described {
    let organization = json!({"organization": example(ORGANIZATION)});
    Described::new(
        "Describe an organization",
        "Returns an organization in which the caller is a participant of a workspace.",
        schemas.answer::<OrganizationAnswer<'_>>("The organization.", &organization),
    )
}

pub(super) fn members(schemas: &mut Schemas) -> Described {
    let member = example(
        r#"{"memberId": 18, "userName": "liam", "email": "liam@example.org", "firstName": null, "lastName": null,
        "avatar": null, "role": "member"}"#,
    );
    Described::new(
        "List an organization's members",
        "Lists the participants of the caller's workspaces in the organization.",
        schemas.answer::<MemberList<'_>>(
            "The members, sorted by name.",
            &json!({"members": [member], "totalSize": 1}),
        ),
    )
    .parameters(page("members"))
    .parameters([query(
        "search",
        "Returns only the member with this name or email address (case-insensitive, without partial matches).",
        json!({"type": "string"}),
    )])
}

/// The parameters that select a page of a list.
fn page(of: &str) -> [Value; 2] {
    let number = || json!({"type": "integer", "minimum": 0, "maximum": ID_BOUND - 1});
    [
        query("max", &format!("The maximum number of {of}."), number()),
        query("offset", &format!("The number of {of} to skip."), number()),
    ]
}

pub(super) fn workspaces(schemas: &mut Schemas) -> Described {
    let found =
        schemas.answer::<WorkspaceList<'_>>("The workspaces.", &json!({"workspaces": [example(WORKSPACE)]}));
    Described::new(
        "List an organization's workspaces",
        "Lists the workspaces in which the caller is a participant.",
        found,
    )
}

pub(super) fn workspace(schemas: &mut Schemas) -> Described {
    let mut workspace = example(WORKSPACE);
    workspace["dateCreated"] = "2026-10-25T12:42:21Z".into();
    workspace["lastUpdated"] = "2026-10-25T12:42:21Z".into();
    workspace["platforms"] = json!(["aws-batch"]);
    let found = schemas.answer::<WorkspaceAnswer<'_>>("The workspace.", &json!({"workspace": workspace}));
    Described::new(
        "Describe a workspace",
        "Returns the workspace and the platforms on which it allows launches.",
        found,
    )
}

pub(super) fn platforms(schemas: &mut Schemas) -> Described {
    Described::new(
        "Set the platforms of a workspace",
        "Sets the platforms on which the workspace allows launches. On an HPC platform, a user who launches a run can read \
         the values of its secrets.",
        no_content("The platforms were set."),
    )
    .body(schemas.body::<NewPlatforms>(&json!({"platforms": ["aws-batch", "slurm"]})))
}

pub(super) fn participants(schemas: &mut Schemas) -> Described {
    let list = json!({"participants": [example(PARTICIPANT)], "totalSize": 1});
    Described::new(
        "List participants",
        "Lists the participants of the workspace and their roles.",
        schemas.answer::<ParticipantList<'_>>("The participants, sorted by name.", &list),
    )
    .parameters(page("participants"))
    .parameters([query(
        "search",
        "Returns only participants whose name or email address contains this text.",
        json!({"type": "string"}),
    )])
}

pub(super) fn add_participant(schemas: &mut Schemas) -> Described {
    Described::new(
        "Add a participant",
        "Adds a user of the deployment to the workspace. Teams are not supported.",
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
        "Change a participant's role",
        "Only an owner can grant the role owner or take it away. A workspace keeps at least one owner.",
        no_content("The role was changed."),
    )
    .body(schemas.body::<NewRole>(&json!({"role": "maintain"})))
    .errors(&[409])
}

pub(super) fn delete_participant() -> Described {
    Described::new(
        "Remove a participant",
        "Participants can remove themselves. To remove another participant, the caller must have the role owner or admin; \
         to remove an owner, the role owner. The last owner cannot be removed. The removal applies to the next request and \
         to writes that are in progress.",
        no_content("The participant was removed."),
    )
    .errors(&[409])
}

pub(super) fn leave_workspace() -> Described {
    Described::new(
        "Leave a workspace",
        "Removes the caller from the participants of the workspace. The last owner cannot leave. Takes effect as for \
         DeleteParticipant.",
        no_content("The caller is no longer a participant."),
    )
    .errors(&[409])
}

pub(super) fn delete_workspace() -> Described {
    Described::new(
        "Delete a workspace",
        "Deletes the workspace, its secrets and its compute environments, and removes its participants. The caller must \
         have the role owner. From then on every request for the workspace gets 404, and writes that are in progress are \
         refused. Its live runs are cancelled and their copies deleted by the next sweep, even if their jobs still run. \
         Its audit trail and receipts are kept and can be read only by operators. The name can be used again.",
        no_content("The workspace is deleted."),
    )
}
