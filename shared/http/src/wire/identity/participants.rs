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

/// A participant. A person is the same participant and the same member everywhere: both ids are the user's.
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

/// The answer to `GET /orgs/{orgId}/workspaces/{workspaceId}/participants`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ParticipantList<'a> {
    participants: Vec<ParticipantRow<'a>>,
    total_size: usize,
}

impl<'a> ParticipantList<'a> {
    /// The participants whose name or e-mail address holds `search`, from `offset` on, at most `max`. Who is called just
    /// that comes first, for tower-cli takes the first of the answer for the one it asked for.
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

/// The answer to `PUT /orgs/{orgId}/workspaces/{workspaceId}/participants/add`.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ParticipantAnswer<'a> {
    participant: ParticipantRow<'a>,
}

impl<'a> ParticipantAnswer<'a> {
    /// Of a user in a role.
    #[must_use]
    pub fn new(user: &'a User, role: Role) -> Self {
        Self { participant: ParticipantRow::new(user, role) }
    }
}

/// The body of `PUT /orgs/{orgId}/workspaces/{workspaceId}/participants/add`. `role` is ours, not Seqera Platform's.
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
    /// The user, by id.
    #[cfg_attr(feature = "schema", schemars(with = "Option<UserId>"))]
    member_id: Option<i64>,
    /// Or by name or e-mail address, in any case.
    user_name_or_email: Option<String>,
    /// In any case. Absent: launch. Only owners make an owner.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Role>"))]
    role: Option<String>,
}

/// Checks the body of `PUT /orgs/{orgId}/workspaces/{workspaceId}/participants/add`. Without a role the participant may launch, as on Seqera Platform.
pub fn new_participant(body: NewParticipant) -> Result<(UserRef, Role), Problem> {
    let whom = match (body.member_id, body.user_name_or_email) {
        (Some(id), None) => UserId::new(id)
            .map(UserRef::Id)
            .ok_or_else(|| Problem::bad_request("memberId must be the id of a user."))?,
        (None, Some(text)) => UserRef::NameOrEmail(text),
        _ => {
            return Err(Problem::bad_request(
                "Name one user, by `memberId` or by `userNameOrEmail`; there are no teams.",
            ));
        }
    };
    let role = body.role.as_deref().map(parse_role).transpose()?;
    Ok((whom, role.unwrap_or(Role::Launch)))
}

/// The body of `PUT /orgs/{orgId}/workspaces/{workspaceId}/participants/{participantId}/role`.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct NewRole {
    /// In any case. Only owners make an owner.
    #[cfg_attr(feature = "schema", schemars(with = "Role"))]
    role: String,
}

/// Checks the body of `PUT /orgs/{orgId}/workspaces/{workspaceId}/participants/{participantId}/role`.
pub fn new_role(body: NewRole) -> Result<Role, Problem> {
    let NewRole { role } = body;
    parse_role(&role)
}

/// In any case: tower-cli's help writes roles in capitals.
fn parse_role(text: &str) -> Result<Role, Problem> {
    Ok(text.to_ascii_lowercase().parse()?)
}
