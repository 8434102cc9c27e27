//! Organizations and workspaces.

use domain::identity::{self, Workspace};
use domain::ids::{OrgId, UserId, WorkspaceId};
use domain::platform::Platform;
use domain::role::Role;
use serde::{Deserialize, Serialize};

use super::super::Date;
use crate::problem::Problem;

/// An organization or a workspace.
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

/// A workspace role, or the one role that exists in an organization.
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

/// In this service, organizations only group workspaces and have a single role.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline, description = ""))]
pub(super) enum OrgRole {
    Member,
}

/// Only participants can see a workspace.
#[derive(Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline, description = ""))]
enum Visibility {
    Private,
}

/// The response to `GET /user/{userId}/workspaces`: a row with a null
/// workspace for each organization, then a row for each workspace.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrgsAndWorkspaces<'a> {
    orgs_and_workspaces: Vec<OrgOrWorkspace<'a>>,
}

impl<'a> OrgsAndWorkspaces<'a> {
    /// Creates the answer from memberships that are grouped by organization.
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

/// The response to `GET /orgs`.
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

impl<'a> Organization<'a> {
    fn new(caller: UserId, org_id: OrgId, name: &'a str) -> Self {
        Self {
            org_id,
            name,
            full_name: name,
            description: (),
            location: (),
            website: (),
            logo_id: (),
            logo_url: (),
            member_id: caller,
            member_role: OrgRole::Member,
        }
    }
}

/// The response to `GET /orgs/{orgId}`.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrganizationAnswer<'a> {
    organization: Organization<'a>,
}

/// Creates the answer for an organization.
#[must_use]
pub fn organization_answer(caller: UserId, organization: &identity::Organization) -> OrganizationAnswer<'_> {
    OrganizationAnswer { organization: Organization::new(caller, organization.id, &organization.name) }
}

/// Creates the answer with the organizations of the caller's memberships.
#[must_use]
pub fn organization_list(caller: UserId, memberships: &[(Workspace, Role)]) -> OrganizationList<'_> {
    let organizations: Vec<_> = organizations(memberships)
        .map(|workspace| Organization::new(caller, workspace.org, &workspace.org_name))
        .collect();
    OrganizationList { total_size: organizations.len(), organizations }
}

/// Returns one workspace of each organization.
fn organizations(memberships: &[(Workspace, Role)]) -> impl Iterator<Item = &Workspace> {
    let mut last = None;
    memberships
        .iter()
        .map(|(workspace, _)| workspace)
        .filter(move |workspace| last.replace(workspace.org) != Some(workspace.org))
}

/// The response to `GET /orgs/{orgId}/workspaces`.
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

/// Creates the answer with the workspaces of memberships.
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

/// The response to `GET /orgs/{orgId}/workspaces/{workspaceId}`.
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
    /// The platforms on which the workspace allows launches.
    platforms: &'a [Platform],
}

/// Creates the answer for a workspace. Seqera Platform does not have `platforms`.
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

/// The body of `PUT /orgs/{orgId}/workspaces/{workspaceId}/platforms`.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, inline))]
pub struct NewPlatforms {
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Platform>"))]
    platforms: Vec<String>,
}

/// Checks the body of `PUT /orgs/{orgId}/workspaces/{workspaceId}/platforms`.
pub fn platforms(body: NewPlatforms) -> Result<Vec<Platform>, Problem> {
    Ok(body.platforms.into_iter().map(|text| text.parse()).collect::<domain::Result<_>>()?)
}
