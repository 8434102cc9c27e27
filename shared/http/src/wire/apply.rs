//! What operators get who invoke `identity` directly.

use domain::ids::TokenId;
use domain::use_cases::identity::apply::Applied;
use serde::Serialize;

/// What a direct `apply` answers. No `Debug`: it shows new tokens.
#[derive(Serialize)]
pub struct AppliedAnswer<'a> {
    users: Vec<AppliedUser<'a>>,
    organizations: Vec<AppliedGroup<'a>>,
    changes: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AppliedUser<'a> {
    id: i64,
    user_name: &'a str,
    tokens: Vec<AppliedToken<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AppliedToken<'a> {
    id: i64,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key: Option<&'a str>,
}

#[derive(Serialize)]
struct AppliedGroup<'a> {
    id: i64,
    name: &'a str,
    workspaces: Vec<AppliedWorkspace<'a>>,
}

#[derive(Serialize)]
struct AppliedWorkspace<'a> {
    id: i64,
    name: &'a str,
}

impl<'a> From<&'a Applied> for AppliedAnswer<'a> {
    fn from(applied: &'a Applied) -> Self {
        let token =
            |id: TokenId, name: &'a str, access_key| AppliedToken { id: id.number(), name, access_key };
        let users = applied.users.iter().map(|user| AppliedUser {
            id: user.id.number(),
            user_name: &user.user_name,
            tokens: user
                .tokens
                .iter()
                .map(|it| token(it.id, &it.name, it.access_key.as_ref().map(|key| key.as_str())))
                .collect(),
        });
        let organizations = applied.organizations.iter().map(|organization| AppliedGroup {
            id: organization.id.number(),
            name: &organization.name,
            workspaces: organization
                .workspaces
                .iter()
                .map(|workspace| AppliedWorkspace { id: workspace.id.number(), name: &workspace.name })
                .collect(),
        });
        Self { users: users.collect(), organizations: organizations.collect(), changes: applied.changes }
    }
}
