//! The caller's personal access tokens. A token of another user is reported as not found.

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::change_one;
use super::document::check_token_name;
use crate::context::Context;
use crate::identity::{Actor, Change, StoredToken, fold};
use crate::ids::{TokenId, WorkspaceId};
use crate::ports::{ChangeIdentity, ReadIdentity};
use crate::token::TokenKey;
use crate::token_scope::TokenScope;
use crate::use_cases::retry_contended;
use crate::{Error, Result};

/// The maximum number of tokens of a user.
const MAX_TOKENS: u32 = 100;

/// A token to create.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewToken {
    /// Unique among the caller's tokens.
    pub name: String,
    /// When it expires; by default, as late as it can.
    pub expires: Option<Timestamp>,
    /// The only workspace in which it can be used; by default, that of the caller's token.
    pub workspace: Option<WorkspaceId>,
    /// The operations for which it can be used; by default, those of the caller's token.
    pub scope: Option<TokenScope>,
}

/// Lists the caller's tokens, by name, without their keys. A token of one workspace sees only
/// tokens of this workspace.
pub async fn list(store: &dyn ReadIdentity, actor: &Actor) -> Result<Vec<StoredToken>> {
    let mut tokens = store.tokens(actor.user).await?;
    tokens.retain(|token| actor.may_use(token.workspace));
    Ok(tokens)
}

/// Creates a token and shows it once. Returns [`Error::Conflict`] if the caller has a token with
/// this name. The new token lives at most as long as the settings allow, and a token makes none
/// that outlives it or exceeds its limits.
pub async fn create(
    store: &dyn ChangeIdentity,
    actor: &Actor,
    new: &NewToken,
    context: &Context<'_>,
) -> Result<(StoredToken, Zeroizing<String>)> {
    let name = &new.name;
    check_token_name(name).map_err(|rule| Error::Invalid(format!("Invalid token name: {rule}")))?;
    if new.expires.is_some_and(|expires| expires <= context.now) {
        return Err(Error::Invalid("The expiry date must be in the future.".into()));
    }
    retry_contended(context.backoff, async || {
        let present = store.tokens(actor.user).await?;
        let maker = match actor.token {
            // A revoked token can be accepted for a minute, but it makes no token.
            Some(id) => Some(present.iter().find(|token| token.id == id).ok_or_else(Error::token_revoked)?),
            None => None,
        };
        let Limits { expires, workspace, scope } = limit(new, maker, context)?;
        if present.iter().any(|token| fold(&token.name) == fold(name)) {
            return Err(Error::Conflict(
                "You already have a token with this name. Revoke it or choose another name.".into(),
            ));
        }
        if present.len() >= MAX_TOKENS as usize {
            return Err(Error::LimitExceeded { limit: MAX_TOKENS, what: "tokens" });
        }
        let key = TokenKey::make_random(context.randomness);
        let token = StoredToken {
            id: TokenId::make_random(context.randomness),
            user: actor.user,
            name: name.clone(),
            hash: key.hash(),
            created: context.now,
            last_used: None,
            expires: Some(expires),
            workspace,
            scope,
            created_with: actor.token,
        };
        if let Some(workspace) = workspace {
            store.role(workspace, actor.user).await?.ok_or(Error::NotFound)?;
        }
        change_one(store, Change::CreateToken(token.clone()), Some(actor.user), None, context).await?;
        let access_key = key.access_token(token.id);
        Ok((token, access_key))
    })
    .await
}

/// The limits of a new token.
#[derive(PartialEq, Eq, Debug)]
struct Limits {
    expires: Timestamp,
    workspace: Option<WorkspaceId>,
    scope: TokenScope,
}

/// Decides the limits of a new token. Without a choice, it gets those of the token that makes it.
fn limit(new: &NewToken, maker: Option<&StoredToken>, context: &Context<'_>) -> Result<Limits> {
    let most = context.now.saturating_add(context.settings.max_token_life).unwrap_or(Timestamp::MAX);
    let most = maker.and_then(|maker| maker.expires).map_or(most, |expires| expires.min(most));
    let expires = new.expires.unwrap_or(most);
    if expires > most {
        let most = most.strftime("%Y-%m-%dT%H:%M:%SZ");
        return Err(Error::Invalid(format!(
            "The token would live too long: it can expire at {most} at the latest. A token lives at most as \
             long as the deployment allows, and as the token with which it is created."
        )));
    }
    let (own, limited_to) = maker.map_or((TokenScope::All, None), |maker| (maker.scope, maker.workspace));
    let scope = new.scope.unwrap_or(own);
    if !own.includes(scope) {
        return Err(Error::TokenLimited(format!(
            "it has the scope {own} and can only create tokens with it."
        )));
    }
    if let (Some(own), Some(asked)) = (limited_to, new.workspace)
        && own != asked
    {
        return Err(Error::TokenLimited(format!("it can only create tokens for the workspace {own}.")));
    }
    Ok(Limits { expires, workspace: new.workspace.or(limited_to), scope })
}

/// Revokes one of the caller's tokens, possibly the token of this request. Returns
/// [`Error::NotFound`] if it does not exist, is not the caller's, or the caller's token cannot see
/// it.
pub async fn revoke(
    store: &dyn ChangeIdentity,
    actor: &Actor,
    id: TokenId,
    context: &Context<'_>,
) -> Result<()> {
    retry_contended(context.backoff, async || {
        let present = list(store, actor).await?;
        let token = present.into_iter().find(|token| token.id == id).ok_or(Error::NotFound)?;
        change_one(store, Change::RevokeToken(token), Some(actor.user), None, context).await
    })
    .await
}

#[cfg(test)]
mod tests;
