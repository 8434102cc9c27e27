//! What operators see and do about users, besides declarations. Only operators reach this code, by
//! invoking the function directly, which IAM guards. There is no authorization here.

use std::collections::HashMap;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::problems::{Fields, Problems};
use super::record_of;
use crate::context::Context;
use crate::identity::{Change, StoredToken, User, Workspace};
use crate::ids::{OrgId, TokenId, UserId, WorkspaceId};
use crate::issuer::Issuers;
use crate::ports::{ChangeIdentity, MAX_ROWS, ReadIdentity};
use crate::role::Role;
use crate::token_scope::TokenScope;
use crate::use_cases::retry_contended;
use crate::{Error, Result};

/// A request for a page of users.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListUsers {
    /// The name after which the page starts.
    pub after: Option<String>,
    /// The maximum number of users.
    pub limit: u32,
}

/// A page of users.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserPage {
    users: Vec<ListedUser>,
    /// The value of `after` for the next page; `None` after the last user.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A user, with everything that the user has.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedUser {
    id: UserId,
    user_name: String,
    email: String,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled: Option<Timestamp>,
    logins: Vec<ListedLogin>,
    workspaces: Vec<ListedRole>,
    tokens: Vec<ListedToken>,
}

#[derive(Clone, Serialize)]
struct ListedLogin {
    issuer: String,
    subject: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedRole {
    org_id: OrgId,
    org_name: String,
    workspace_id: WorkspaceId,
    workspace_name: String,
    role: Role,
}

/// A token without its hash.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedToken {
    id: TokenId,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace_id: Option<WorkspaceId>,
    scope: TokenScope,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
}

/// The tokens that were revoked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Revoked {
    /// The user.
    pub user_id: UserId,
    /// The number of tokens.
    pub tokens_revoked: usize,
}

impl ListUsers {
    /// Parses a request. [`Error::Invalid`] lists every problem.
    pub fn parse(json: &Value) -> Result<Self> {
        let mut problems = Problems::default();
        let fields = Fields::of(json, "list", &["after", "limit"], &mut problems);
        let after = fields.has("after").then(|| fields.text("after", &mut problems, |_| Ok(())));
        let limit = json.get("limit").map_or(Some(DEFAULT_PAGE), |limit| {
            limit
                .as_u64()
                .and_then(|limit| u32::try_from(limit).ok())
                .filter(|it| (1..=MAX_PAGE).contains(it))
        });
        if limit.is_none() {
            problems.add("list.limit", &format!("it must be a whole number, 1 to {MAX_PAGE}."));
        }
        problems.into_result()?;
        Ok(Self { after, limit: limit.unwrap_or(DEFAULT_PAGE) })
    }
}

/// Lists users by name, with their logins at the deployment's issuers, roles and tokens. Reads all
/// logins of these issuers, which have no index by user.
pub async fn list(store: &dyn ReadIdentity, request: &ListUsers, issuers: &Issuers) -> Result<UserPage> {
    let mut logins: HashMap<UserId, Vec<ListedLogin>> = HashMap::new();
    for issuer in issuers.all() {
        for (login, user) in store.logins(&issuer.issuer).await? {
            let login = ListedLogin { issuer: login.issuer, subject: login.subject };
            logins.entry(user).or_default().push(login);
        }
    }
    let users = store.users(request.after.as_deref(), request.limit).await?;
    let full = users.len() >= usize::try_from(request.limit).unwrap_or(usize::MAX);
    let next = users.last().filter(|_| full).map(|user| user.user_name.clone());
    let listed = users.into_iter().map(|user| {
        let logins = logins.remove(&user.id).unwrap_or_default();
        listed(store, user, logins)
    });
    let listed = stream::iter(listed).buffered(CONCURRENCY);
    Ok(UserPage { users: listed.try_collect().await?, next })
}

async fn listed(store: &dyn ReadIdentity, user: User, logins: Vec<ListedLogin>) -> Result<ListedUser> {
    let memberships = store.memberships(user.id).await?;
    let tokens = store.tokens(user.id).await?;
    Ok(ListedUser {
        logins,
        workspaces: memberships.into_iter().map(ListedRole::from).collect(),
        tokens: tokens.into_iter().map(ListedToken::from).collect(),
        id: user.id,
        user_name: user.user_name,
        email: user.email,
        created_at: user.created,
        disabled: user.disabled,
    })
}

impl From<(Workspace, Role)> for ListedRole {
    fn from((workspace, role): (Workspace, Role)) -> Self {
        Self {
            org_id: workspace.org,
            org_name: workspace.org_name,
            workspace_id: workspace.id,
            workspace_name: workspace.name,
            role,
        }
    }
}

impl From<StoredToken> for ListedToken {
    fn from(token: StoredToken) -> Self {
        let StoredToken { id, name, workspace, scope, created, last_used, expires, .. } = token;
        Self { id, name, workspace_id: workspace, scope, created_at: created, last_used, expires }
    }
}

/// Revokes every token of the user with the name in `{"user": "…"}`. Safe to repeat.
pub async fn revoke_tokens(
    store: &dyn ChangeIdentity,
    json: &Value,
    context: &Context<'_>,
) -> Result<Revoked> {
    let mut problems = Problems::default();
    let fields = Fields::of(json, "revoke", &["user"], &mut problems);
    let name = fields.text("user", &mut problems, |_| Ok(()));
    problems.into_result()?;
    let user = store.user_by_name(&name).await?;
    let user =
        user.ok_or_else(|| Error::Invalid(format!("Nothing was changed. There is no user {name}.")))?;
    Ok(Revoked { user_id: user.id, tokens_revoked: revoke_all(store, user.id, context).await? })
}

/// Revokes every token of the user, also those that are created meanwhile. Returns their number. A
/// token creates none after its own revocation, so this ends unless the user has another login:
/// then the attempts end, and the error says that some may be left.
pub(super) async fn revoke_all(
    store: &dyn ChangeIdentity,
    user: UserId,
    context: &Context<'_>,
) -> Result<usize> {
    let mut revoked = 0;
    retry_contended(context.backoff, async || {
        let tokens = store.tokens(user).await?;
        if tokens.is_empty() {
            return Ok(());
        }
        for tokens in tokens.chunks(MAX_ROWS / REVOCATION) {
            let changes: Vec<_> = tokens.iter().cloned().map(Change::RevokeToken).collect();
            let audit: Vec<_> =
                changes.iter().filter_map(|change| record_of(change, None, context)).collect();
            store.change_identity(&changes, &audit, None).await?;
            revoked += changes.len();
        }
        Err(Error::Contended) // look for tokens that were created since they were listed
    })
    .await?;
    Ok(revoked)
}

/// Users of a page, by default and at most: each needs up to four calls.
const DEFAULT_PAGE: u32 = 100;
const MAX_PAGE: u32 = 500;
/// Users who are read at once.
const CONCURRENCY: usize = 8;
/// The rows of a revocation, as [`Change::rows`] counts them.
const REVOCATION: usize = 4;

#[cfg(test)]
mod tests;
