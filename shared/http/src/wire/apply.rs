//! What operators get who invoke `identity` directly.

use domain::ids::TokenId;
use domain::use_cases::identity::apply::Applied;
use domain::use_cases::identity::reconcile::Reconciled;
use serde::Serialize;

/// What a direct `apply` answers. No `Debug`: it shows new tokens.
#[derive(Serialize)]
pub struct AppliedAnswer<'a> {
    users: Vec<AppliedUser<'a>>,
    organizations: Vec<AppliedGroup<'a>>,
    changes: usize,
}

/// What a direct `reconcile` answers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReconciledAnswer {
    secrets_deleted: u32,
    secrets_outdated: u32,
    secrets_missing: u32,
    tokens_revoked: u32,
    roles_removed: u32,
    roles_lowered: u32,
    platforms_narrowed: u32,
    owners_kept: Vec<KeptOwner>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeptOwner {
    workspace_id: i64,
    user_id: i64,
}

impl From<&Reconciled> for ReconciledAnswer {
    fn from(done: &Reconciled) -> Self {
        let kept = done.owners_kept.iter();
        Self {
            secrets_deleted: done.secrets_deleted,
            secrets_outdated: done.secrets_outdated,
            secrets_missing: done.secrets_missing,
            tokens_revoked: done.tokens_revoked,
            roles_removed: done.roles_removed,
            roles_lowered: done.roles_lowered,
            platforms_narrowed: done.platforms_narrowed,
            owners_kept: kept
                .map(|(workspace, user)| KeptOwner {
                    workspace_id: workspace.number(),
                    user_id: user.number(),
                })
                .collect(),
        }
    }
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
