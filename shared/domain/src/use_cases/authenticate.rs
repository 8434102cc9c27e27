//! Who calls. What a caller may do is not decided here: each use case reads the caller's role itself.

use jiff::{SignedDuration, Timestamp};

use super::retry_contended;
use crate::audit::{AuditAction, AuditRecord};
use crate::context::Context;
use crate::identity::{Actor, StoredToken, User, Vouched};
use crate::ids::{TokenId, UserId};
use crate::owner::SecretOwner;
use crate::ports::{AuthenticationStore, Logins, ReadTokens, VerifyJwt};
use crate::token::{Presented, TokenKey};
use crate::{Error, Result, log};

/// A token's last use is noted no more often than this.
const NOTED_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// Decides who presents this `Authorization` header; `None` where nobody may: the reason is for the log alone.
///
/// Personal access tokens and JSON Web Tokens name a caller. Run tokens and claim tokens do not: the functions that take
/// them check them themselves. An error says that it could not be decided, and is never an answer of "yes".
pub async fn authenticate(
    store: &dyn AuthenticationStore,
    jwts: &dyn VerifyJwt,
    authorization: &str,
    context: &Context<'_>,
) -> Result<Option<Actor>> {
    match Presented::from_authorization(authorization) {
        Some(Presented::Access(id, key)) => by_token(store, id, &key, context.now).await,
        Some(Presented::Jwt(token)) => match jwts.verify_jwt(&token, context.now).await? {
            Some(vouched) => by_login(store, &vouched, context).await.map(Some),
            None => Ok(None),
        },
        Some(Presented::Run(..)) => Ok(refused("a run token names no caller")),
        Some(Presented::Opaque(_)) => Ok(refused("the token is of no kind that names a caller")),
        None => Ok(refused("the header is neither Bearer nor Basic @token")),
    }
}

async fn by_token(
    store: &dyn ReadTokens,
    id: TokenId,
    key: &TokenKey,
    now: Timestamp,
) -> Result<Option<Actor>> {
    let Some(token) = store.token(id).await? else {
        return Ok(refused("no token has this id"));
    };
    if !token.hash.matches(key) {
        return Ok(refused("the token's key does not match"));
    }
    if token.expires.is_some_and(|expires| expires <= now) {
        return Ok(refused("the token has expired"));
    }
    note_use(store, &token, now).await;
    Ok(Some(Actor { user: token.user, token: Some(id) }))
}

/// Notes that a token is in use. Whether that succeeds decides nothing.
async fn note_use(store: &dyn ReadTokens, token: &StoredToken, now: Timestamp) {
    if token.last_used.is_some_and(|last| now - NOTED_EVERY < last) {
        return;
    }
    if let Err(error) = store.touch_token(token.id, now).await {
        log::error(&error).token(token.id).warn("a token's last use could not be noted");
    }
}

/// The user of a login that the issuer vouches for. A login that is seen for the first time becomes a user with no
/// rights, never one who exists already: a name or an e-mail address proves nothing.
async fn by_login(store: &dyn Logins, vouched: &Vouched, context: &Context<'_>) -> Result<Actor> {
    retry_contended(context.backoff, async || {
        match known_or_made(store, vouched, context).await {
            // Two first requests of one login met: another attempt finds the user.
            Err(Attempt::Met) => Err(Error::Contended),
            // Also of a table that is throttled: another attempt would only ask more of it.
            Err(Attempt::Failed(error)) => Ok(Err(error)),
            Ok(user) => Ok(Ok(Actor { user, token: None })),
        }
    })
    .await?
}

/// Why an attempt found or made no user.
enum Attempt {
    Met,
    Failed(Error),
}

impl From<Error> for Attempt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

async fn known_or_made(
    store: &dyn Logins,
    vouched: &Vouched,
    context: &Context<'_>,
) -> std::result::Result<UserId, Attempt> {
    if let Some(user) = store.user_of_login(&vouched.login).await? {
        return Ok(user);
    }
    let user = make_user(store, vouched, context).await?;
    let scope = SecretOwner::User(user.id);
    let mut audit = AuditRecord::new(scope, Some(user.id), AuditAction::UserCreated, context);
    audit.detail = Some("first sight of a login".into());
    match store.welcome(&user, &vouched.login, &audit).await {
        Err(Error::Contended) => return Err(Attempt::Met),
        other => other?,
    }
    tracing::info!(user.id = %user.id, "a login was seen for the first time");
    Ok(user.id)
}

/// A user for a new login. The name cannot be chosen at the issuer, so that nobody can take one that an owner or an
/// operator means somebody else by; the e-mail address is the verified one where it is free.
async fn make_user(store: &dyn Logins, vouched: &Vouched, context: &Context<'_>) -> Result<User> {
    let id = UserId::make_random(context.randomness);
    let email = match &vouched.verified_email {
        Some(email) if !store.is_email_taken(email).await? => email.clone(),
        _ => format!("{id}@{NO_EMAIL_DOMAIN}"),
    };
    Ok(User { id, user_name: format!("{LOGIN_NAME_PREFIX}{id}"), email, created: context.now })
}

fn refused(why: &'static str) -> Option<Actor> {
    tracing::info!(reason = why, "refused a credential");
    None
}

/// Names of users who came by a login begin so; names that are declared may not.
pub(crate) const LOGIN_NAME_PREFIX: &str = "oidc-";

/// The domain of addresses that stand for none: `.invalid` names no host (RFC 2606 §2).
pub(crate) const NO_EMAIL_DOMAIN: &str = "no-email.invalid";

#[cfg(test)]
mod tests;
