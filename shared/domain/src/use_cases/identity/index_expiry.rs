//! Adds secrets and tokens that earlier versions wrote to the index of expiries, page by page. Only
//! operators reach this code, by invoking the function directly, which IAM guards. There is no
//! authorization here.

use serde::Serialize;
use serde_json::Value;

use super::problems::{Fields, Problems};
use crate::Result;
use crate::owner::SecretOwner;
use crate::ports::IndexExpiry;
use crate::role::Role;

/// What was added for a page of users.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Indexed {
    /// Secrets.
    pub secrets_indexed: u32,
    /// Tokens.
    pub tokens_indexed: u32,
    /// The value of `after` for the next page; `None` after the last user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The users of a page.
const PAGE: u32 = 10;

/// Returns the name after which the page starts. [`Error::Invalid`](crate::Error::Invalid) lists
/// every problem.
pub fn parse(json: &Value) -> Result<Option<String>> {
    let mut problems = Problems::default();
    let fields = Fields::of(json, "indexExpiry", &["after"], &mut problems);
    let after = fields.has("after").then(|| fields.text("after", &mut problems, |_| Ok(())));
    problems.into_result()?;
    Ok(after)
}

/// Adds the secrets and tokens of a page of users, and the secrets of the workspaces that they own.
/// Every workspace has an owner. A repetition continues where a call ran out of time.
pub async fn index_expiry(store: &dyn IndexExpiry, after: Option<&str>) -> Result<Indexed> {
    let users = store.users(after, PAGE).await?;
    let full = users.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
    let next = users.last().filter(|_| full).map(|user| user.user_name.clone());
    let mut indexed = Indexed { next, ..Indexed::default() };
    for user in users {
        indexed.tokens_indexed += store.index_tokens(user.id).await?;
        indexed.secrets_indexed += store.index_secrets(SecretOwner::User(user.id)).await?;
        for (workspace, role) in store.memberships(user.id).await? {
            if role == Role::Owner {
                indexed.secrets_indexed += store.index_secrets(SecretOwner::Workspace(workspace.id)).await?;
            }
        }
    }
    Ok(indexed)
}

#[cfg(test)]
mod tests;
