//! Users, tokens, organizations, workspaces and participants, in Seqera Platform's shapes. Fields that this service
//! knows nothing of are there and null, for its clients read them.

use domain::Timestamp;
use domain::identity::{StoredToken, User, Workspace};
use domain::ids::{OrgId, TokenId, UserId, WorkspaceId};
use domain::platform::Platform;
use domain::role::Role;
use domain::use_cases::identity::participants::Whom;
use serde::{Deserialize, Serialize};
#[cfg(feature = "schema")]
use serde_json::json;

use super::{Date, instant};
use crate::problem::Problem;

/// The version of Seqera Platform's API whose shapes are served, as clients compare it: that of tower-cli 0.38.
pub const API_VERSION: &str = "1.198.0";

/// `GET /service-info`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServiceInfo<'a> {
    service_info: ServiceFacts<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct ServiceFacts<'a> {
    version: &'a str,
    /// The version of Seqera Platform's API whose shapes these are.
    api_version: &'static str,
    commit_id: (),
    auth_types: [&'static str; 0],
    login_path: (),
    navbar: Navbar,
    /// Seconds.
    heartbeat_interval: u32,
    user_workspace_enabled: bool,
    allow_instance_credentials: bool,
    landing_url: (),
    terms_of_use_url: (),
    content_url: (),
    analytics: (),
    wave_enabled: bool,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Navbar {
    menus: [&'static str; 0],
}

/// `version` is the service's own.
#[must_use]
pub fn service_info(version: &str) -> ServiceInfo<'_> {
    ServiceInfo {
        service_info: ServiceFacts {
            version,
            api_version: API_VERSION,
            commit_id: (),
            auth_types: [],
            login_path: (),
            navbar: Navbar { menus: [] },
            heartbeat_interval: 60,
            user_workspace_enabled: true,
            allow_instance_credentials: false,
            landing_url: (),
            terms_of_use_url: (),
            content_url: (),
            analytics: (),
            wave_enabled: false,
        },
    }
}

/// `GET /user-info`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UserInfo<'a> {
    user: UserFacts<'a>,
    need_consent: bool,
    default_workspace_id: (),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::struct_excessive_bools, reason = "Seqera Platform's fields")]
struct UserFacts<'a> {
    id: UserId,
    user_name: &'a str,
    email: &'a str,
    first_name: (),
    last_name: (),
    organization: (),
    description: (),
    avatar: (),
    notification: bool,
    terms_of_use_consent: bool,
    marketing_consent: bool,
    deleted: bool,
    last_access: (),
    date_created: Date,
    last_updated: Date,
}

/// Of a user.
#[must_use]
pub fn user_info(user: &User) -> UserInfo<'_> {
    UserInfo {
        user: UserFacts {
            id: user.id,
            user_name: &user.user_name,
            email: &user.email,
            first_name: (),
            last_name: (),
            organization: (),
            description: (),
            avatar: (),
            notification: false,
            terms_of_use_consent: true,
            marketing_consent: false,
            deleted: false,
            last_access: (),
            date_created: user.created.into(),
            last_updated: user.created.into(),
        },
        need_consent: false,
        default_workspace_id: (),
    }
}

/// An organization, or one of its workspaces.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct OrgOrWorkspace<'a> {
    org_id: OrgId,
    org_name: &'a str,
    org_logo_url: (),
    workspace_id: Option<WorkspaceId>,
    workspace_name: Option<&'a str>,
    workspace_full_name: Option<&'a str>,
    visibility: Option<Visibility>,
    #[cfg_attr(feature = "schema", schemars(with = "Vec<AnyRole>"))]
    roles: [AnyRole; 1],
}

/// A role in a workspace, or the one that everybody has in an organization.
#[derive(Serialize)]
#[serde(untagged)]
enum AnyRole {
    Workspace(Role),
    Organization(OrgRole),
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for AnyRole {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AnyRole".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let roles = Role::ALL.map(Self::Workspace).into_iter().chain([Self::Organization(OrgRole::Member)]);
        schemars::json_schema!({ "type": "string", "enum": roles.collect::<Vec<_>>() })
    }
}

/// Organizations group workspaces and have no roles of their own here.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline, description = ""))]
enum OrgRole {
    Member,
}

/// Workspaces are seen by their participants alone.
#[derive(Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline, description = ""))]
enum Visibility {
    Private,
}

/// `GET /user/{userId}/workspaces`: a row per organization with a null workspace, then one per workspace.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrgsAndWorkspaces<'a> {
    orgs_and_workspaces: Vec<OrgOrWorkspace<'a>>,
}

impl<'a> OrgsAndWorkspaces<'a> {
    /// Of memberships that stand together by organization.
    #[must_use]
    pub fn new(memberships: &'a [(Workspace, Role)]) -> Self {
        let organization = |workspace: &'a Workspace| OrgOrWorkspace {
            org_id: workspace.org,
            org_name: &workspace.org_name,
            org_logo_url: (),
            workspace_id: None,
            workspace_name: None,
            workspace_full_name: None,
            visibility: None,
            roles: [AnyRole::Organization(OrgRole::Member)],
        };
        let mut rows: Vec<_> = organizations(memberships).map(organization).collect();
        rows.extend(memberships.iter().map(|(workspace, role)| OrgOrWorkspace {
            workspace_id: Some(workspace.id),
            workspace_name: Some(&workspace.name),
            workspace_full_name: Some(&workspace.full_name),
            visibility: Some(Visibility::Private),
            roles: [AnyRole::Workspace(*role)],
            ..organization(workspace)
        }));
        Self { orgs_and_workspaces: rows }
    }
}

/// `GET /orgs`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrganizationList<'a> {
    total_size: usize,
    organizations: Vec<Organization<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Organization<'a> {
    org_id: OrgId,
    name: &'a str,
    full_name: &'a str,
    description: (),
    location: (),
    website: (),
    logo_id: (),
    logo_url: (),
    member_id: UserId,
    member_role: OrgRole,
}

/// The organizations of a caller's memberships.
#[must_use]
pub fn organization_list(caller: UserId, memberships: &[(Workspace, Role)]) -> OrganizationList<'_> {
    let organizations: Vec<_> = organizations(memberships)
        .map(|workspace| Organization {
            org_id: workspace.org,
            name: &workspace.org_name,
            full_name: &workspace.org_name,
            description: (),
            location: (),
            website: (),
            logo_id: (),
            logo_url: (),
            member_id: caller,
            member_role: OrgRole::Member,
        })
        .collect();
    OrganizationList { total_size: organizations.len(), organizations }
}

/// One workspace of each organization.
fn organizations(memberships: &[(Workspace, Role)]) -> impl Iterator<Item = &Workspace> {
    let mut last = None;
    memberships
        .iter()
        .map(|(workspace, _)| workspace)
        .filter(move |workspace| last.replace(workspace.org) != Some(workspace.org))
}

/// `GET /orgs/{orgId}/workspaces`
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkspaceList<'a> {
    workspaces: Vec<WorkspaceFacts<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct WorkspaceFacts<'a> {
    id: WorkspaceId,
    name: &'a str,
    full_name: &'a str,
    description: (),
    visibility: Visibility,
}

/// The workspaces of memberships.
#[must_use]
pub fn workspace_list(memberships: &[(Workspace, Role)]) -> WorkspaceList<'_> {
    let workspaces = memberships.iter().map(|(workspace, _)| WorkspaceFacts {
        id: workspace.id,
        name: &workspace.name,
        full_name: &workspace.full_name,
        description: (),
        visibility: Visibility::Private,
    });
    WorkspaceList { workspaces: workspaces.collect() }
}

/// `GET /orgs/{orgId}/workspaces/{workspaceId}`
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkspaceAnswer<'a> {
    workspace: DescribedWorkspace<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct DescribedWorkspace<'a> {
    id: WorkspaceId,
    name: &'a str,
    full_name: &'a str,
    description: (),
    visibility: Visibility,
    date_created: Date,
    last_updated: Date,
    /// Where launches may go.
    platforms: &'a [Platform],
}

/// Of a workspace. `platforms` is ours, not Seqera Platform's.
#[must_use]
pub fn workspace_answer(workspace: &Workspace) -> WorkspaceAnswer<'_> {
    WorkspaceAnswer {
        workspace: DescribedWorkspace {
            id: workspace.id,
            name: &workspace.name,
            full_name: &workspace.full_name,
            description: (),
            visibility: Visibility::Private,
            date_created: workspace.created.into(),
            last_updated: workspace.created.into(),
            platforms: &workspace.platforms,
        },
    }
}

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

/// `GET …/participants`
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

/// `PUT …/participants/add`
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

/// The body of `PUT …/participants/add`. `role` is ours, not Seqera Platform's.
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

/// Checks the body of `PUT …/participants/add`. Without a role the participant may launch, as on Seqera Platform.
pub fn new_participant(body: NewParticipant) -> Result<(Whom, Role), Problem> {
    let whom = match (body.member_id, body.user_name_or_email) {
        (Some(id), None) => UserId::new(id)
            .map(Whom::Id)
            .ok_or_else(|| Problem::bad_request("memberId must be the id of a user."))?,
        (None, Some(text)) => Whom::NameOrEmail(text),
        _ => {
            return Err(Problem::bad_request(
                "Name one user, by `memberId` or by `userNameOrEmail`; there are no teams.",
            ));
        }
    };
    let role = body.role.as_deref().map(parse_role).transpose()?;
    Ok((whom, role.unwrap_or(Role::Launch)))
}

/// The body of `PUT …/participants/{participantId}/role`.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct NewRole {
    /// In any case. Only owners make an owner.
    #[cfg_attr(feature = "schema", schemars(with = "Role"))]
    role: String,
}

/// Checks the body of `PUT …/participants/{participantId}/role`.
pub fn new_role(body: NewRole) -> Result<Role, Problem> {
    let NewRole { role } = body;
    parse_role(&role)
}

/// In any case: tower-cli's help writes roles in capitals.
fn parse_role(text: &str) -> Result<Role, Problem> {
    Ok(text.to_ascii_lowercase().parse()?)
}

/// The body of `PUT …/platforms`.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct NewPlatforms {
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Platform>"))]
    platforms: Vec<String>,
}

/// Checks the body of `PUT …/platforms`.
pub fn platforms(body: NewPlatforms) -> Result<Vec<Platform>, Problem> {
    Ok(body.platforms.into_iter().map(|text| text.parse()).collect::<domain::Result<_>>()?)
}

/// The body of `POST /tokens`.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct NewToken {
    /// Unique among the caller's; case does not count.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 50), regex(pattern = TOKEN_NAME)))]
    name: String,
    /// After this it is refused; it has to lie ahead.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Date>"))]
    expires: Option<String>,
}

/// A character that can be seen, and no control characters.
#[cfg(feature = "schema")]
const TOKEN_NAME: &str =
    r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";

/// Checks the body of `POST /tokens`: the name and the expiry. The use case checks what a name may be.
pub fn new_token(body: NewToken) -> Result<(String, Option<Timestamp>), Problem> {
    let expires = body.expires.as_deref().map(|text| instant("expires", text)).transpose()?;
    Ok((body.name, expires))
}

/// A personal access token, without its key.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct AccessToken<'a> {
    id: TokenId,
    name: &'a str,
    date_created: Date,
    last_used: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Date"))]
    expires: Option<Date>,
}

impl<'a> From<&'a StoredToken> for AccessToken<'a> {
    fn from(token: &'a StoredToken) -> Self {
        Self {
            id: token.id,
            name: &token.name,
            date_created: token.created.into(),
            last_used: token.last_used.map(Date::from),
            expires: token.expires.map(Date::from),
        }
    }
}

/// `GET /tokens`
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenList<'a> {
    tokens: Vec<AccessToken<'a>>,
}

impl<'a> TokenList<'a> {
    /// All of them.
    #[must_use]
    pub fn new(tokens: &'a [StoredToken]) -> Self {
        Self { tokens: tokens.iter().map(AccessToken::from).collect() }
    }
}

/// `POST /tokens`: the one time that a token is shown. No `Debug`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenCreated<'a> {
    /// The token itself, shown this once.
    access_key: &'a str,
    token: AccessToken<'a>,
}

impl<'a> TokenCreated<'a> {
    /// A new token and the text of it.
    #[must_use]
    pub fn new(token: &'a StoredToken, access_key: &'a str) -> Self {
        Self { access_key, token: token.into() }
    }
}

#[cfg(test)]
mod tests;
