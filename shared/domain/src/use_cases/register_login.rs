//! Registers a login that an issuer vouches for and that no user has yet.

use super::retry_contended;
use crate::audit::{AuditAction, AuditRecord};
use crate::context::Context;
use crate::identity::{Actor, User, VerifiedLogin};
use crate::ids::UserId;
use crate::owner::SecretOwner;
use crate::ports::RegisterLogins;
use crate::{Error, Result};

/// Returns the user of this login. If its issuer has sign-up, a new login becomes a new user
/// without permissions, never an existing user, because a name or an e-mail address proves nothing.
/// Without sign-up, a new login is [`Error::UnknownLogin`]: an operator declares it first.
pub async fn register_login(
    store: &dyn RegisterLogins,
    verified: &VerifiedLogin,
    context: &Context<'_>,
) -> Result<Actor> {
    retry_contended(context.backoff, async || {
        match find_or_create(store, verified, context).await {
            // A concurrent first request of this login was faster: the next attempt finds the user.
            Err(Attempt::Raced) => Err(Error::Contended),
            // Also for a throttled table: another attempt would only add load.
            Err(Attempt::Failed(error)) => Ok(Err(error)),
            Ok(user) => Ok(Ok(Actor::without_token(user))),
        }
    })
    .await?
}

/// Why an attempt neither found nor created a user.
enum Attempt {
    Raced,
    Failed(Error),
}

impl From<Error> for Attempt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

async fn find_or_create(
    store: &dyn RegisterLogins,
    verified: &VerifiedLogin,
    context: &Context<'_>,
) -> std::result::Result<UserId, Attempt> {
    if let Some(user) = store.user_of_login(&verified.login).await? {
        return Ok(user);
    }
    if !verified.sign_up {
        return Err(Attempt::Failed(verified.login.unknown()));
    }
    let user = make_user(store, verified, context).await?;
    let scope = SecretOwner::User(user.id);
    let mut audit = AuditRecord::new(scope, Some(user.id), AuditAction::UserCreated, context);
    audit.detail = Some("first login".into());
    match store.register_login(&user, &verified.login, &audit).await {
        Err(Error::Contended) => return Err(Attempt::Raced),
        other => other?,
    }
    tracing::info!(user.id = %user.id, "created a user for a new login");
    Ok(user.id)
}

/// Creates the user for a new login. Users cannot choose the name at the issuer, so they cannot
/// take a name that an owner or operator expects to be someone else. The e-mail address is the
/// verified one, if no other user has it.
async fn make_user(
    store: &dyn RegisterLogins,
    verified: &VerifiedLogin,
    context: &Context<'_>,
) -> Result<User> {
    let id = UserId::make_random(context.randomness);
    let email = match &verified.verified_email {
        Some(email) if !store.is_email_taken(email).await? => email.clone(),
        _ => format!("{id}@{NO_EMAIL_DOMAIN}"),
    };
    Ok(User {
        id,
        user_name: format!("{LOGIN_NAME_PREFIX}{id}"),
        email,
        created: context.now,
        disabled: None,
        grants: 0,
        removed: None,
    })
}

/// The prefix of user names that are created at login. Declared names must not start with it.
pub(crate) const LOGIN_NAME_PREFIX: &str = "oidc-";

/// The domain of placeholder addresses. No host has the top-level domain `.invalid` (RFC 2606 §2).
pub(crate) const NO_EMAIL_DOMAIN: &str = "no-email.invalid";

#[cfg(test)]
mod tests;
