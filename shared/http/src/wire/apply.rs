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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sample::{user_id, workspace_id};
    use domain::ids::OrgId;
    use domain::use_cases::identity::apply;
    use serde_json::json;
    use zeroize::Zeroizing;

    #[test]
    fn an_applied_document_shows_the_keys_of_new_tokens_only() {
        let token = |number, name: &str, key: Option<&str>| apply::AppliedToken {
            id: TokenId::new(number).unwrap(),
            name: name.to_owned(),
            access_key: key.map(|key| Zeroizing::new(key.to_owned())),
        };
        let applied = Applied {
            users: vec![apply::AppliedUser {
                id: user_id(17),
                user_name: "liam".to_owned(),
                tokens: vec![token(5, "ci", Some("key")), token(6, "old", None)],
            }],
            organizations: vec![apply::AppliedOrganization {
                id: OrgId::new(7).unwrap(),
                name: "example".to_owned(),
                workspaces: vec![apply::AppliedWorkspace {
                    id: workspace_id(42),
                    name: "research".to_owned(),
                }],
            }],
            changes: 4,
        };
        let expected = json!({
            "users": [{
                "id": 17,
                "userName": "liam",
                "tokens": [{ "id": 5, "name": "ci", "accessKey": "key" }, { "id": 6, "name": "old" }],
            }],
            "organizations": [
                { "id": 7, "name": "example", "workspaces": [{ "id": 42, "name": "research" }] },
            ],
            "changes": 4,
        });
        assert_eq!(serde_json::to_value(AppliedAnswer::from(&applied)).unwrap(), expected);
    }

    #[test]
    fn a_reconciliation_reports_its_counts_and_the_owners_it_kept() {
        let done = Reconciled {
            secrets_deleted: 1,
            secrets_outdated: 2,
            secrets_missing: 3,
            tokens_revoked: 4,
            roles_removed: 5,
            roles_lowered: 6,
            platforms_narrowed: 7,
            owners_kept: vec![(workspace_id(42), user_id(17))],
        };
        let expected = json!({
            "secretsDeleted": 1,
            "secretsOutdated": 2,
            "secretsMissing": 3,
            "tokensRevoked": 4,
            "rolesRemoved": 5,
            "rolesLowered": 6,
            "platformsNarrowed": 7,
            "ownersKept": [{ "workspaceId": 42, "userId": 17 }],
        });
        assert_eq!(serde_json::to_value(ReconciledAnswer::from(&done)).unwrap(), expected);
    }
}
