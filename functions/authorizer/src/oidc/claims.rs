//! The claims of a token.

use domain::Timestamp;
use domain::identity::{Login, VerifiedLogin};
use jiff::SignedDuration;
use serde::Deserialize;

/// The maximum difference between the issuer's clock and ours.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);
/// OpenID Connect Core §2: "It MUST NOT exceed 255 ASCII characters in length."
const MAX_SUBJECT: usize = 255;
/// RFC 5321 §4.5.3.1.3.
const MAX_EMAIL: usize = 254;

/// The claims that are read. It has no `Debug`, because they are personal data.
#[derive(Deserialize)]
pub struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    email_verified: Option<Verified>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// A flag. Some issuers write `"true"`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Verified {
    Flag(bool),
    Text(String),
}

impl Claims {
    /// Checks the claims and returns the verified login, or the reason for a refusal.
    pub fn check(
        self,
        issuer: &str,
        audience: &str,
        now: Timestamp,
    ) -> std::result::Result<VerifiedLogin, &'static str> {
        if self.iss != issuer {
            return Err("the token has another issuer");
        }
        let is_for_us = match &self.aud {
            Audience::One(one) => one == audience,
            Audience::Many(many) => many.iter().any(|one| one == audience),
        };
        if !is_for_us {
            return Err("the token has another audience");
        }
        let expires = instant(self.exp).ok_or("the token's expiry is not a valid time")?;
        if expires <= now - LEEWAY {
            return Err("the token has expired");
        }
        if let Some(from) = self.nbf {
            let from = instant(from).ok_or("the token's nbf claim is not a valid time")?;
            if now + LEEWAY < from {
                return Err("the token is not valid yet");
            }
        }
        if self.sub.is_empty() || self.sub.len() > MAX_SUBJECT || self.sub.contains(char::is_control) {
            return Err("the token's subject is empty, too long, or has control characters");
        }
        let verified_email = self.verified_email();
        Ok(VerifiedLogin { login: Login { issuer: self.iss, subject: self.sub }, verified_email })
    }

    /// Returns the email address if the issuer verified it and its format is plausible.
    fn verified_email(&self) -> Option<String> {
        let verified = match self.email_verified.as_ref()? {
            Verified::Flag(flag) => *flag,
            Verified::Text(text) => text == "true",
        };
        let is_plausible = |email: &&String| {
            email.len() <= MAX_EMAIL
                && email
                    .rsplit_once('@')
                    .is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'))
                && !email.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        self.email.as_ref().filter(|_| verified).filter(is_plausible).cloned()
    }
}

/// Converts a `NumericDate` of RFC 7519 §2: seconds, possibly with a fraction.
fn instant(seconds: f64) -> Option<Timestamp> {
    let duration = SignedDuration::try_from_secs_f64(seconds).ok()?;
    Timestamp::from_duration(duration).ok()
}
