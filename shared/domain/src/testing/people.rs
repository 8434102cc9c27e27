//! Users, workspaces and tokens for test cases.

use super::{NOW, minutes, user_id, workspace_id};
use crate::identity::{Organization, StoredToken, User, Workspace};
use crate::ids::{OrgId, TokenId};
use crate::platform::Platform;
use crate::token::TokenKey;
use crate::token_scope::TokenScope;

pub(crate) fn user(number: i64, user_name: &str) -> User {
    User {
        id: user_id(number),
        user_name: user_name.into(),
        email: format!("{user_name}@example.org"),
        created: minutes(-1_000),
        disabled: None,
        grants: 0,
        removed: None,
    }
}

pub(crate) fn organization() -> Organization {
    Organization { id: OrgId::new(4).unwrap(), name: "acme".into() }
}

/// The workspace of most tests: `acme/research`, which allows every platform.
pub(crate) fn workspace() -> Workspace {
    Workspace {
        id: workspace_id(),
        org: organization().id,
        org_name: organization().name,
        name: "research".into(),
        full_name: "Research".into(),
        platforms: Platform::ALL.to_vec(),
        created: minutes(-1_000),
        grants: 0,
        deleted: None,
    }
}

pub(crate) fn stored_token(id: i64, user: i64, token_name: &str, key: &TokenKey) -> StoredToken {
    StoredToken {
        id: TokenId::new(id).unwrap(),
        user: user_id(user),
        name: token_name.into(),
        hash: key.hash(),
        created: NOW,
        last_used: None,
        expires: None,
        workspace: None,
        scope: TokenScope::All,
        created_with: None,
    }
}
