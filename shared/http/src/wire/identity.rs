//! Users, tokens, organizations, workspaces and participants, in Seqera Platform's shapes. Fields that this service
//! knows nothing of are there and null, for its clients read them.

use domain::identity::{StoredToken, User, Workspace};
use domain::ids::UserId;
use domain::platform::Platform;
use domain::role::Role;
use domain::use_cases::identity::participants::Whom;
use serde::Serialize;
use serde_json::{Value, json};

use super::date;
use crate::fields::Fields;
use crate::problem::Problem;

/// The version of Seqera Platform's API whose shapes are served, as clients compare it: that of tower-cli 0.38.
pub const API_VERSION: &str = "1.198.0";

/// `GET /service-info`. `version` is the service's own.
#[must_use]
pub fn service_info(version: &str) -> Value {
    json!({ "serviceInfo": {
        "version": version,
        "apiVersion": API_VERSION,
        "commitId": null,
        "authTypes": [],
        "loginPath": null,
        "navbar": { "menus": [] },
        "heartbeatInterval": 60,
        "userWorkspaceEnabled": true,
        "allowInstanceCredentials": false,
        "landingUrl": null,
        "termsOfUseUrl": null,
        "contentUrl": null,
        "analytics": null,
        "waveEnabled": false,
    }})
}

/// `GET /user-info`
#[must_use]
pub fn user_info(user: &User) -> Value {
    json!({
        "user": {
            "id": user.id.number(),
            "userName": user.user_name,
            "email": user.email,
            "firstName": null,
            "lastName": null,
            "organization": null,
            "description": null,
            "avatar": null,
            "notification": false,
            "termsOfUseConsent": true,
            "marketingConsent": false,
            "deleted": false,
            "lastAccess": null,
            "dateCreated": date(user.created),
            "lastUpdated": date(user.created),
        },
        "needConsent": false,
        "defaultWorkspaceId": null,
    })
}

/// A row of `GET /user/{userId}/workspaces`: an organization, or one of its workspaces.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrgOrWorkspace<'a> {
    org_id: i64,
    org_name: &'a str,
    org_logo_url: Option<&'a str>,
    workspace_id: Option<i64>,
    workspace_name: Option<&'a str>,
    workspace_full_name: Option<&'a str>,
    visibility: Option<&'static str>,
    roles: [&'static str; 1],
}

/// `GET /user/{userId}/workspaces`: a row per organization with a null workspace, then one per workspace.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrgsAndWorkspaces<'a> {
    orgs_and_workspaces: Vec<OrgOrWorkspace<'a>>,
}

impl<'a> OrgsAndWorkspaces<'a> {
    /// Of memberships that stand together by organization.
    #[must_use]
    pub fn new(memberships: &'a [(Workspace, Role)]) -> Self {
        let organization = |workspace: &'a Workspace| OrgOrWorkspace {
            org_id: workspace.org.number(),
            org_name: &workspace.org_name,
            org_logo_url: None,
            workspace_id: None,
            workspace_name: None,
            workspace_full_name: None,
            visibility: None,
            roles: [ORG_ROLE],
        };
        let mut rows: Vec<_> = organizations(memberships).map(organization).collect();
        rows.extend(memberships.iter().map(|(workspace, role)| OrgOrWorkspace {
            workspace_id: Some(workspace.id.number()),
            workspace_name: Some(&workspace.name),
            workspace_full_name: Some(&workspace.full_name),
            visibility: Some(VISIBILITY),
            roles: [role.as_str()],
            ..organization(workspace)
        }));
        Self { orgs_and_workspaces: rows }
    }
}

/// `GET /orgs`
#[must_use]
pub fn organization_list(caller: UserId, memberships: &[(Workspace, Role)]) -> Value {
    let list: Vec<_> = organizations(memberships)
        .map(|workspace| {
            json!({
                "orgId": workspace.org.number(),
                "name": workspace.org_name,
                "fullName": workspace.org_name,
                "description": null,
                "location": null,
                "website": null,
                "logoId": null,
                "logoUrl": null,
                "memberId": caller.number(),
                "memberRole": ORG_ROLE,
            })
        })
        .collect();
    json!({ "totalSize": list.len(), "organizations": list })
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
#[must_use]
pub fn workspace_list(memberships: &[(Workspace, Role)]) -> Value {
    let list: Vec<_> = memberships
        .iter()
        .map(|(workspace, _)| {
            json!({
                "id": workspace.id.number(),
                "name": workspace.name,
                "fullName": workspace.full_name,
                "description": null,
                "visibility": VISIBILITY,
            })
        })
        .collect();
    json!({ "workspaces": list })
}

/// `GET /orgs/{orgId}/workspaces/{workspaceId}`. `platforms` is ours.
#[must_use]
pub fn workspace_answer(workspace: &Workspace) -> Value {
    json!({ "workspace": {
        "id": workspace.id.number(),
        "name": workspace.name,
        "fullName": workspace.full_name,
        "description": null,
        "visibility": VISIBILITY,
        "dateCreated": date(workspace.created),
        "lastUpdated": date(workspace.created),
        "platforms": workspace.platforms,
    }})
}

/// A participant. A person is the same participant and the same member everywhere: both ids are the user's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ParticipantRow<'a> {
    participant_id: i64,
    member_id: i64,
    user_name: &'a str,
    first_name: Option<&'a str>,
    last_name: Option<&'a str>,
    email: &'a str,
    org_role: &'static str,
    team_id: Option<i64>,
    team_name: Option<&'a str>,
    wsp_role: &'static str,
    r#type: &'static str,
    team_avatar_url: Option<&'a str>,
    user_avatar_url: Option<&'a str>,
}

impl<'a> ParticipantRow<'a> {
    fn new(user: &'a User, role: Role) -> Self {
        Self {
            participant_id: user.id.number(),
            member_id: user.id.number(),
            user_name: &user.user_name,
            first_name: None,
            last_name: None,
            email: &user.email,
            org_role: ORG_ROLE,
            team_id: None,
            team_name: None,
            wsp_role: role.as_str(),
            r#type: "MEMBER",
            team_avatar_url: None,
            user_avatar_url: None,
        }
    }
}

/// `GET …/participants`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
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

/// The body of `PUT …/participants/add`: `memberId` or `userNameOrEmail`, and ours: `role`. Who is added without one may
/// launch, as on Seqera Platform.
pub fn new_participant(fields: &Fields<'_>) -> Result<(Whom, Role), Problem> {
    let whom = match (fields.number("memberId")?, fields.text("userNameOrEmail")?) {
        (Some(id), None) => UserId::new(id)
            .map(Whom::Id)
            .ok_or_else(|| Problem::bad_request("memberId must be the id of a user."))?,
        (None, Some(text)) => Whom::NameOrEmail(text.to_string()),
        _ => {
            return Err(Problem::bad_request(
                "Name one user, by `memberId` or by `userNameOrEmail`; there are no teams.",
            ));
        }
    };
    let role = fields.text("role")?.map(|text| parse_role(&text)).transpose()?;
    Ok((whom, role.unwrap_or(Role::Launch)))
}

/// The body of `PUT …/participants/{participantId}/role`.
pub fn new_role(fields: &Fields<'_>) -> Result<Role, Problem> {
    parse_role(&fields.required_text("role")?)
}

/// In any case: tower-cli's help writes roles in capitals.
fn parse_role(text: &str) -> Result<Role, Problem> {
    Ok(text.to_ascii_lowercase().parse()?)
}

/// The body of `PUT …/platforms`.
pub fn platforms(fields: &Fields<'_>) -> Result<Vec<Platform>, Problem> {
    let list = fields
        .texts("platforms")?
        .ok_or_else(|| Problem::bad_request("`platforms` is missing: it must be a list of JSON strings."))?;
    Ok(list.iter().map(|text| text.parse()).collect::<domain::Result<_>>()?)
}

/// A personal access token, without its key.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccessToken<'a> {
    id: i64,
    name: &'a str,
    date_created: String,
    last_used: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

impl<'a> From<&'a StoredToken> for AccessToken<'a> {
    fn from(token: &'a StoredToken) -> Self {
        Self {
            id: token.id.number(),
            name: &token.name,
            date_created: date(token.created),
            last_used: token.last_used.map(date),
            expires: token.expires.map(date),
        }
    }
}

/// `GET /tokens`
#[derive(Serialize)]
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
pub struct TokenCreated<'a> {
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

/// Organizations group workspaces and have no roles of their own here.
const ORG_ROLE: &str = "member";
/// Workspaces are seen by their participants alone.
const VISIBILITY: &str = "PRIVATE";

#[cfg(test)]
mod tests;
