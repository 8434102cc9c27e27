//! The answer to a direct invocation of `identity`.

use domain::ids::{TokenId, UserId};
use domain::use_cases::identity::apply::{Applied, AppliedOrganization};
use serde::Serialize;

/// The answer to a direct `apply`. It has no `Debug`, because it contains new tokens.
#[derive(Serialize)]
pub struct AppliedAnswer<'a> {
    users: Vec<AppliedUser<'a>>,
    organizations: &'a [AppliedOrganization],
    changes: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AppliedUser<'a> {
    id: UserId,
    user_name: &'a str,
    tokens: Vec<AppliedToken<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AppliedToken<'a> {
    id: TokenId,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key: Option<&'a str>,
}

impl<'a> From<&'a Applied> for AppliedAnswer<'a> {
    fn from(applied: &'a Applied) -> Self {
        let users = applied.users.iter().map(|user| AppliedUser {
            id: user.id,
            user_name: &user.user_name,
            tokens: user
                .tokens
                .iter()
                .map(|token| AppliedToken {
                    id: token.id,
                    name: &token.name,
                    access_key: token.access_key.as_ref().map(|key| key.as_str()),
                })
                .collect(),
        });
        Self { users: users.collect(), organizations: &applied.organizations, changes: applied.changes }
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
}
