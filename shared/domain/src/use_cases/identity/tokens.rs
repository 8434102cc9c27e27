//! A caller's own personal access tokens. Nobody sees or revokes another's: an id that is not the caller's does not exist.

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::document::{check_token_name, fold};
use super::{Deed, Ports, record_of};
use crate::identity::{Actor, Change, StoredToken};
use crate::ids::TokenId;
use crate::ports::{ChangeIdentity, Pace, Randomness, ReadIdentity};
use crate::token::TokenKey;
use crate::use_cases::settle;
use crate::{Error, Result};

/// Tokens that a user may have.
const MAX_TOKENS: u32 = 100;

/// The caller's tokens, by name; never their keys.
pub async fn list(store: &impl ReadIdentity, actor: &Actor) -> Result<Vec<StoredToken>> {
    store.tokens(actor.user).await
}

/// Makes a token, and shows it this once. [`Error::Conflict`] where the caller has one of this name.
pub async fn create(
    ports: &Ports<'_, impl ChangeIdentity, impl Randomness, impl Pace>,
    actor: &Actor,
    name: &str,
    expires: Option<Timestamp>,
    now: Timestamp,
) -> Result<(StoredToken, Zeroizing<String>)> {
    check_token_name(name).map_err(|rule| Error::Invalid(format!("Invalid token name: {rule}")))?;
    if expires.is_some_and(|expires| expires <= now) {
        return Err(Error::Invalid("The expiry date lies in the past.".into()));
    }
    settle(ports.pace, async || {
        let present = ports.store.tokens(actor.user).await?;
        if present.iter().any(|token| fold(&token.name) == fold(name)) {
            return Err(Error::Conflict(
                "You have a token with this name already: revoke it or choose another name.".into(),
            ));
        }
        if present.len() >= MAX_TOKENS as usize {
            return Err(Error::LimitExceeded { limit: MAX_TOKENS, what: "tokens of a user" });
        }
        let key = TokenKey::make_random(ports.randomness);
        let token = StoredToken {
            id: TokenId::make_random(ports.randomness),
            user: actor.user,
            name: name.to_owned(),
            hash: key.hash(),
            created: now,
            last_used: None,
            expires,
        };
        change_own(ports, actor, Change::CreateToken(token.clone()), now).await?;
        let access_key = key.access_token(token.id);
        Ok((token, access_key))
    })
    .await
}

/// Revokes one of the caller's tokens, which may be the one that this request came with. [`Error::NotFound`] where it is
/// gone or not the caller's.
pub async fn revoke(
    ports: &Ports<'_, impl ChangeIdentity, impl Randomness, impl Pace>,
    actor: &Actor,
    id: TokenId,
    now: Timestamp,
) -> Result<()> {
    settle(ports.pace, async || {
        let present = ports.store.tokens(actor.user).await?;
        let token = present.into_iter().find(|token| token.id == id).ok_or(Error::NotFound)?;
        change_own(ports, actor, Change::RevokeToken(token), now).await
    })
    .await
}

async fn change_own(
    ports: &Ports<'_, impl ChangeIdentity, impl Randomness, impl Pace>,
    actor: &Actor,
    change: Change,
    now: Timestamp,
) -> Result<()> {
    let deed = Deed { actor: Some(actor.user), at: now };
    let audit: Vec<_> = record_of(&change, deed, ports.randomness).into_iter().collect();
    ports.store.change_identity(&[change], &audit, None).await
}

#[cfg(test)]
mod tests;
