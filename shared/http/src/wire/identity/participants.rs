//! Participants of workspaces.

use domain::identity::User;
use domain::ids::UserId;
use domain::role::Role;
use domain::use_cases::identity::participants::UserRef;
use serde::{Deserialize, Serialize};
#[cfg(feature = "schema")]
use serde_json::json;

use super::workspaces::OrgRole;
use crate::problem::Problem;

/// A participant of a workspace. `participantId` and `memberId` are both the ID of the user.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Participant"))]
struct ParticipantRow<'a> {
    participant_id: UserId,
    member_id: UserId,
    user_name: &'a str,
    first_name: (),
    last_name: (),
    email: &'a str,
    org_role: OrgRole,
    team_id: (),
    team_name: (),
    wsp_role: Role,
    r#type: ParticipantType,
    team_avatar_url: (),
    user_avatar_url: (),
}

#[derive(Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
enum ParticipantType {
    Member,
}

impl<'a> ParticipantRow<'a> {
    fn new(user: &'a User, role: Role) -> Self {
        Self {
            participant_id: user.id,
            member_id: user.id,
            user_name: &user.user_name,
            first_name: (),
            last_name: (),
            email: &user.email,
            org_role: OrgRole::Member,
            team_id: (),
            team_name: (),
            wsp_role: role,
            r#type: ParticipantType::Member,
            team_avatar_url: (),
            user_avatar_url: (),
        }
    }
}

/// The response to `GET /orgs/{orgId}/workspaces/{workspaceId}/participants`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ParticipantList<'a> {
    participants: Vec<ParticipantRow<'a>>,
    total_size: usize,
}

impl<'a> ParticipantList<'a> {
    /// Creates the answer with at most `max` participants whose name or email address contains
    /// `search`, from `offset` on. Exact matches come first, because tower-cli uses the first
    /// participant of the answer.
    #[must_use]
    pub fn new(participants: &'a [(User, Role)], search: &str, offset: usize, max: usize) -> Self {
        let search = search.to_lowercase();
        let holds = |text: &str| text.to_lowercase().contains(&search);
        let is = |text: &str| text.to_lowercase() == search;
        let mut found: Vec<_> =
            participants.iter().filter(|(user, _)| holds(&user.user_name) || holds(&user.email)).collect();
        found.sort_by_key(|(user, _)| !(is(&user.user_name) || is(&user.email)));
        let total_size = found.len();
        let page = found.into_iter().skip(offset).take(max);
        Self { participants: page.map(|(user, role)| ParticipantRow::new(user, *role)).collect(), total_size }
    }
}

/// The response to `PUT /orgs/{orgId}/workspaces/{workspaceId}/participants/add`.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ParticipantAnswer<'a> {
    participant: ParticipantRow<'a>,
}

impl<'a> ParticipantAnswer<'a> {
    /// Creates the answer for a user with a role.
    #[must_use]
    pub fn new(user: &'a User, role: Role) -> Self {
        Self { participant: ParticipantRow::new(user, role) }
    }
}

/// The body of `PUT /orgs/{orgId}/workspaces/{workspaceId}/participants/add`. Seqera Platform does
/// not have `role`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline, extend("oneOf" = json!([
    {
        "required": ["memberId"],
        "properties": { "memberId": { "type": "integer" }, "userNameOrEmail": { "type": "null" } },
    },
    {
        "required": ["userNameOrEmail"],
        "properties": { "userNameOrEmail": { "type": "string" }, "memberId": { "type": "null" } },
    },
]))))]
pub struct NewParticipant {
    /// The ID of the user.
    #[cfg_attr(feature = "schema", schemars(with = "Option<UserId>"))]
    member_id: Option<i64>,
    /// The name or email address of the user (case-insensitive), instead of the ID.
    user_name_or_email: Option<String>,
    /// The role (case-insensitive). Default: view. Only an owner can grant the role owner.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Role>"))]
    role: Option<String>,
}

/// Checks the body of `PUT /orgs/{orgId}/workspaces/{workspaceId}/participants/add`. The default
/// role is view, the lowest: the Terraform provider sends no role for it.
pub fn new_participant(body: NewParticipant) -> Result<(UserRef, Role), Problem> {
    let user = match (body.member_id, body.user_name_or_email) {
        (Some(id), None) => UserId::new(id)
            .map(UserRef::Id)
            .ok_or_else(|| Problem::bad_request("memberId must be the ID of a user."))?,
        (None, Some(text)) => UserRef::NameOrEmail(text),
        _ => {
            return Err(Problem::bad_request(
                "The body must name one user, by `memberId` or by `userNameOrEmail`. Teams are not supported.",
            ));
        }
    };
    let role = body.role.as_deref().map(parse_role).transpose()?;
    Ok((user, role.unwrap_or(Role::View)))
}

/// The body of `PUT /orgs/{orgId}/workspaces/{workspaceId}/participants/{participantId}/role`.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct NewRole {
    /// The role (case-insensitive). Only an owner can grant the role owner.
    #[cfg_attr(feature = "schema", schemars(with = "Role"))]
    role: String,
}

/// Checks the body of `PUT
/// /orgs/{orgId}/workspaces/{workspaceId}/participants/{participantId}/role`.
pub fn new_role(body: NewRole) -> Result<Role, Problem> {
    let NewRole { role } = body;
    parse_role(&role)
}

/// Reads a role in upper or lower case: tower-cli's help shows roles in upper case.
fn parse_role(text: &str) -> Result<Role, Problem> {
    Ok(text.to_ascii_lowercase().parse()?)
}
