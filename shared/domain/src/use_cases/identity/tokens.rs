//! The caller's personal access tokens. A token of another user is reported as not found.

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::change_one;
use super::document::check_token_name;
use crate::context::Context;
use crate::identity::{Actor, Change, StoredToken, fold};
use crate::ids::TokenId;
use crate::ports::{ChangeIdentity, ReadIdentity};
use crate::token::TokenKey;
use crate::token_scope::TokenScope;
use crate::use_cases::retry_contended;
use crate::{Error, Result};

/// The maximum number of tokens of a user.
const MAX_TOKENS: u32 = 100;

/// Lists the caller's tokens, by name, without their keys.
pub async fn list(store: &dyn ReadIdentity, actor: &Actor) -> Result<Vec<StoredToken>> {
    store.tokens(actor.user).await
}

/// Creates a token and shows it once. Returns [`Error::Conflict`] if the caller has a token with
/// this name.
pub async fn create(
    store: &dyn ChangeIdentity,
    actor: &Actor,
    name: &str,
    expires: Option<Timestamp>,
    context: &Context<'_>,
) -> Result<(StoredToken, Zeroizing<String>)> {
    check_token_name(name).map_err(|rule| Error::Invalid(format!("Invalid token name: {rule}")))?;
    if expires.is_some_and(|expires| expires <= context.now) {
        return Err(Error::Invalid("The expiry date must be in the future.".into()));
    }
    retry_contended(context.backoff, async || {
        let present = store.tokens(actor.user).await?;
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
            name: name.to_owned(),
            hash: key.hash(),
            created: context.now,
            last_used: None,
            expires,
            workspace: None,
            scope: TokenScope::All,
        };
        change_one(store, Change::CreateToken(token.clone()), Some(actor.user), None, context).await?;
        let access_key = key.access_token(token.id);
        Ok((token, access_key))
    })
    .await
}

/// Revokes one of the caller's tokens, possibly the token of this request. Returns
/// [`Error::NotFound`] if it does not exist or is not the caller's.
pub async fn revoke(
    store: &dyn ChangeIdentity,
    actor: &Actor,
    id: TokenId,
    context: &Context<'_>,
) -> Result<()> {
    retry_contended(context.backoff, async || {
        let present = store.tokens(actor.user).await?;
        let token = present.into_iter().find(|token| token.id == id).ok_or(Error::NotFound)?;
        change_one(store, Change::RevokeToken(token), Some(actor.user), None, context).await
    })
    .await
}

#[cfg(test)]
mod tests;
