//! Secrets and personal access tokens that expire soon, and what the event about one says.

use jiff::Timestamp;
use serde::Serialize;

use crate::identity::StoredToken;
use crate::ids::{SecretId, TokenId, UserId, WorkspaceId};
use crate::names::names;
use crate::owner::SecretOwner;
use crate::secret::Secret;

/// The number of days before its expiry from which a secret or token is announced every day: two
/// weeks, in which somebody is at work.
pub const NOTICE_DAYS: i64 = 14;

const NANOSECONDS_OF_A_DAY: i128 = 86_400 * 1_000_000_000;

/// Returns the days until the expiry, rounded up, or `None` if it has passed or is more than
/// [`NOTICE_DAYS`] away. Each whole number from 14 to 1 is the answer for exactly one day, so a
/// rule that waits for 7 matches once.
#[must_use]
pub fn days_to_expiry(expires: Timestamp, now: Timestamp) -> Option<i64> {
    let left = expires.as_nanosecond() - now.as_nanosecond();
    // `div_ceil` of signed numbers is not stable.
    let days = i64::try_from((left + NANOSECONDS_OF_A_DAY - 1).div_euclid(NANOSECONDS_OF_A_DAY)).ok()?;
    (1..=NOTICE_DAYS).contains(&days).then_some(days)
}

/// The key of a secret or token in the index of expiries: a hint, which its row confirms.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ExpiringKey {
    /// A secret and its owner.
    Secret(SecretOwner, SecretId),
    /// A personal access token.
    Token(TokenId),
}

/// What the index of expiries lists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpiringKeys {
    /// Secrets and tokens, earliest expiry first.
    pub keys: Vec<ExpiringKey>,
    /// Whether these are all. Rows that are neither a secret nor a token count towards the limit.
    pub complete: bool,
}

/// A secret or token as its row has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expiring {
    /// A secret.
    Secret(Secret),
    /// A personal access token.
    Token(StoredToken),
}

names! {
    /// What an event about an expiry is about, as its detail type.
    "detail type" pub enum ExpiryKind {
        /// A secret.
        Secret = "Secret Approaching Expiration",
        /// A personal access token.
        Token = "Access Token Approaching Expiration",
    }
}

/// The event about a secret or token that expires soon. It contains no value, no key of a token and
/// no hash.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpiryNotice {
    /// What it is about.
    #[serde(skip)]
    pub kind: ExpiryKind,
    /// The secret's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_id: Option<SecretId>,
    /// The token's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<TokenId>,
    /// The name of the secret or token.
    pub name: String,
    /// The workspace that owns the secret, or to which the token is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<WorkspaceId>,
    /// The user who owns the secret or token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// When it expires.
    pub expires_at: Timestamp,
    /// The days until then ([`days_to_expiry`]).
    pub days_to_expiry: i64,
}

impl ExpiryNotice {
    /// Returns the notice about a secret or token, or `None` if it does not expire soon.
    #[must_use]
    pub fn of(expiring: Expiring, now: Timestamp) -> Option<Self> {
        match expiring {
            Expiring::Secret(secret) => {
                let expires_at = secret.expires?;
                let (workspace_id, user_id) = match secret.owner {
                    SecretOwner::Workspace(id) => (Some(id), None),
                    SecretOwner::User(id) => (None, Some(id)),
                };
                Some(Self {
                    kind: ExpiryKind::Secret,
                    secret_id: Some(secret.id),
                    token_id: None,
                    name: secret.name.to_string(),
                    workspace_id,
                    user_id,
                    expires_at,
                    days_to_expiry: days_to_expiry(expires_at, now)?,
                })
            }
            Expiring::Token(token) => {
                let expires_at = token.expires?;
                Some(Self {
                    kind: ExpiryKind::Token,
                    secret_id: None,
                    token_id: Some(token.id),
                    name: token.name,
                    workspace_id: token.workspace,
                    user_id: Some(token.user),
                    expires_at,
                    days_to_expiry: days_to_expiry(expires_at, now)?,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::json;

    use super::*;
    use crate::testing::{NOW, Repeating, of_user, of_workspace, secret, stored_token, workspace_id};
    use crate::token::TokenKey;

    const DAY: i64 = 86_400;

    fn after(seconds: i64, nanoseconds: i32) -> Timestamp {
        NOW + SignedDuration::new(seconds, nanoseconds)
    }

    #[test]
    fn the_days_to_an_expiry_are_rounded_up_and_only_14_of_them_count() {
        for (seconds, nanoseconds, days) in [
            (-DAY, 0, None),
            (0, -1, None),
            (0, 0, None),
            (0, 1, Some(1)),
            (1, 0, Some(1)),
            (DAY, 0, Some(1)),
            (DAY, 1, Some(2)),
            (7 * DAY, 0, Some(7)),
            (7 * DAY, 1, Some(8)),
            (13 * DAY, 0, Some(13)),
            (13 * DAY, 1, Some(14)),
            (14 * DAY, 0, Some(14)),
            (14 * DAY, 1, None),
            (400 * DAY, 0, None),
        ] {
            let expires = after(seconds, nanoseconds);
            assert_eq!(days_to_expiry(expires, NOW), days, "{seconds} s and {nanoseconds} ns");
        }
        assert_eq!(days_to_expiry(Timestamp::MAX, Timestamp::MIN), None);
        assert_eq!(days_to_expiry(Timestamp::MIN, Timestamp::MAX), None);
    }

    #[test]
    fn daily_checks_see_each_number_of_days_once() {
        let expires = after(20 * DAY + 12_345, 0);
        let seen: Vec<_> = (0..30).filter_map(|day| days_to_expiry(expires, after(day * DAY, 0))).collect();
        assert_eq!(seen, (1..=14).rev().collect::<Vec<_>>());
    }

    #[test]
    fn a_notice_has_ids_name_owner_and_expiry_and_nothing_else() {
        let expires = Some(after(DAY + 1, 0));
        let of = |expiring| ExpiryNotice::of(expiring, NOW).unwrap();
        let in_workspace = of(Expiring::Secret(Secret { expires, ..secret(of_workspace(), 5, "KEY") }));
        let in_user = of(Expiring::Secret(Secret { expires, ..secret(of_user(), 6, "KEY") }));
        let token = StoredToken { expires, ..stored_token(8, 7, "ci", &TokenKey::make_claim(&Repeating(1))) };
        let limited = of(Expiring::Token(StoredToken { workspace: Some(workspace_id()), ..token.clone() }));
        let token = of(Expiring::Token(token));
        let at = expires.map(|at| at.to_string());
        for (notice, kind, detail) in [
            (
                in_workspace,
                "Secret Approaching Expiration",
                json!({ "secretId": 5, "name": "KEY", "workspaceId": 42, "expiresAt": at, "daysToExpiry": 2 }),
            ),
            (
                in_user,
                "Secret Approaching Expiration",
                json!({ "secretId": 6, "name": "KEY", "userId": 7, "expiresAt": at, "daysToExpiry": 2 }),
            ),
            (
                token,
                "Access Token Approaching Expiration",
                json!({ "tokenId": 8, "name": "ci", "userId": 7, "expiresAt": at, "daysToExpiry": 2 }),
            ),
            (
                limited,
                "Access Token Approaching Expiration",
                json!({ "tokenId": 8, "name": "ci", "workspaceId": 42, "userId": 7, "expiresAt": at, "daysToExpiry": 2 }),
            ),
        ] {
            assert_eq!((notice.kind.as_str(), serde_json::to_value(&notice).unwrap()), (kind, detail));
        }
    }

    #[test]
    fn the_row_decides_whether_there_is_a_notice() {
        for (expires, found) in
            [(None, false), (Some(0), false), (Some(1), true), (Some(14 * DAY + 1), false)]
        {
            let expires = expires.map(|seconds| after(seconds, 0));
            let secret = Secret { expires, ..secret(of_workspace(), 5, "KEY") };
            let token =
                StoredToken { expires, ..stored_token(8, 7, "ci", &TokenKey::make_claim(&Repeating(1))) };
            assert_eq!(ExpiryNotice::of(Expiring::Secret(secret), NOW).is_some(), found, "{expires:?}");
            assert_eq!(ExpiryNotice::of(Expiring::Token(token), NOW).is_some(), found, "{expires:?}");
        }
    }
}
