//! Authentication. It does not decide what a caller may do: each use case reads the caller's role.

use jiff::{SignedDuration, Timestamp};

use crate::context::Context;
use crate::identity::{Actor, Caller, StoredToken, VerifiedLogin};
use crate::ids::TokenId;
use crate::ports::{AuthenticationStore, ReadTokens, VerifyJwt};
use crate::token::{PresentedToken, TokenKey};
use crate::{Result, log};

/// The minimum interval between two updates of a token's last use.
const LAST_USED_INTERVAL: SignedDuration = SignedDuration::from_hours(1);

/// Identifies the caller from an `Authorization` header. Returns `None` if the credential is
/// refused; only the log contains the reason.
///
/// Personal access tokens and JSON Web Tokens identify a caller. Run tokens and claim tokens do
/// not: the functions that accept them verify them. An error means that the caller could not be
/// identified, and must never be treated as success.
pub async fn authenticate(
    store: &dyn AuthenticationStore,
    jwts: &dyn VerifyJwt,
    authorization: &str,
    context: &Context<'_>,
) -> Result<Option<Caller>> {
    match PresentedToken::from_authorization(authorization) {
        Some(PresentedToken::Access(id, key)) => {
            Ok(by_token(store, id, &key, context.now).await?.map(Caller::User))
        }
        Some(PresentedToken::Jwt(token)) => match jwts.verify_jwt(&token, context.now).await? {
            Some(verified) => by_login(store, verified).await,
            None => Ok(None),
        },
        Some(PresentedToken::Run(..)) => Ok(refused("a run token does not identify a caller")),
        Some(PresentedToken::Opaque(_)) => Ok(refused("tokens of this kind do not identify a caller")),
        None => Ok(refused("the header is neither Bearer nor Basic @token")),
    }
}

async fn by_token(
    store: &dyn AuthenticationStore,
    id: TokenId,
    key: &TokenKey,
    now: Timestamp,
) -> Result<Option<Actor>> {
    let Some(token) = store.token(id).await? else {
        return Ok(refused("the token id is unknown"));
    };
    if !token.hash.matches(key) {
        return Ok(refused("the token's key does not match"));
    }
    if token.expires.is_some_and(|expires| expires <= now) {
        return Ok(refused("the token has expired"));
    }
    if !store.is_enabled(token.user).await? {
        return Ok(refused("the token's user is disabled"));
    }
    record_use(store, &token, now).await;
    let StoredToken { user, workspace, scope, .. } = token;
    Ok(Some(Actor { user, token: Some(id), workspace, scope }))
}

/// Records the use of a token. A failure does not affect the request.
async fn record_use(store: &dyn ReadTokens, token: &StoredToken, now: Timestamp) {
    if token.last_used.is_some_and(|last| now - LAST_USED_INTERVAL < last) {
        return;
    }
    if let Err(error) = store.record_token_use(token.id, now).await {
        log::error(&error).token(token.id).warn("could not record the last use of a token");
    }
}

/// Returns the caller for a login that the issuer vouches for.
async fn by_login(store: &dyn AuthenticationStore, verified: VerifiedLogin) -> Result<Option<Caller>> {
    let Some(user) = store.user_of_login(&verified.login).await? else {
        return Ok(Some(Caller::NewLogin(verified)));
    };
    if !store.is_enabled(user).await? {
        return Ok(refused("the login's user is disabled"));
    }
    Ok(Some(Caller::User(Actor::without_token(user))))
}

fn refused<T>(why: &'static str) -> Option<T> {
    tracing::info!(reason = why, "refused a credential");
    None
}

#[cfg(test)]
mod tests;
