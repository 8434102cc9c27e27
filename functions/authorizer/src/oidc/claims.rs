//! The claims of a token.

use domain::Timestamp;
use domain::identity::{Login, VerifiedLogin};
use domain::issuer::{Issuer, IssuerKind};
use domain::unique_map::UniqueMap;
use jiff::SignedDuration;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The maximum difference between the issuer's clock and ours.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);
/// OpenID Connect Core §2: "It MUST NOT exceed 255 ASCII characters in length."
const MAX_SUBJECT: usize = 255;
/// RFC 5321 §4.5.3.1.3.
const MAX_EMAIL: usize = 254;

/// The claims of a token. It has no `Debug`, because they are personal data.
pub struct Claims {
    known: Known,
    /// All claims, also those of `known`, for the issuer's required claims.
    all: UniqueMap<Value>,
}

#[derive(Deserialize)]
struct Known {
    iss: String,
    sub: String,
    #[serde(default)]
    aud: Option<Audience>,
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

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = UniqueMap::<Value>::deserialize(deserializer)?;
        let object = Value::Object(all.0.clone().into_iter().collect());
        // The crate's error would quote claims.
        let known = Known::deserialize(object).map_err(|_| D::Error::custom("a claim has another type"))?;
        Ok(Self { known, all })
    }
}

impl Claims {
    /// Checks the claims of a token whose signature is valid and whose header has this `typ`.
    /// Returns the verified login, or the reason for a refusal.
    pub fn check(
        self,
        issuer: &Issuer,
        typ: Option<&str>,
        now: Timestamp,
    ) -> Result<VerifiedLogin, &'static str> {
        if self.known.iss != issuer.issuer {
            return Err("the token has another issuer");
        }
        self.check_times(now)?;
        self.check_use(issuer.kind, typ)?;
        self.check_audience(issuer)?;
        let lacks = |(name, value): (&String, &String)| !self.has(name, value);
        if issuer.required_claims.iter().any(lacks) {
            return Err("the token lacks a required claim");
        }
        let subject = &self.known.sub;
        if subject.is_empty() || subject.len() > MAX_SUBJECT || subject.contains(char::is_control) {
            return Err("the token's subject is empty, too long, or has control characters");
        }
        let verified_email = self.verified_email();
        let login = Login { issuer: self.known.iss, subject: self.known.sub };
        Ok(VerifiedLogin { login, verified_email, sign_up: issuer.sign_up })
    }

    fn check_times(&self, now: Timestamp) -> Result<(), &'static str> {
        let expires = instant(self.known.exp).ok_or("the token's expiry is not a valid time")?;
        if expires <= now - LEEWAY {
            return Err("the token has expired");
        }
        if let Some(from) = self.known.nbf {
            let from = instant(from).ok_or("the token's nbf claim is not a valid time")?;
            if now + LEEWAY < from {
                return Err("the token is not valid yet");
            }
        }
        Ok(())
    }

    /// Refuses what is certainly no credential for an API. Access tokens of people differ from ID
    /// tokens by their type (RFC 9068 §2.1), by a claim of their issuer, or only by claims that ID
    /// tokens have.
    fn check_use(&self, kind: IssuerKind, typ: Option<&str>) -> Result<(), &'static str> {
        let typ = typ.unwrap_or("JWT").to_ascii_lowercase();
        let is_plain = match typ.strip_prefix("application/").unwrap_or(&typ) {
            "at+jwt" => false,
            "jwt" => true,
            _ => return Err("the token's type is neither JWT nor at+jwt"), // logout+jwt, dpop+jwt
        };
        if self.all.0.contains_key("events") {
            return Err("the token reports an event"); // RFC 8417 §2.2, OpenID Back-Channel Logout §2.4
        }
        if self.all.0.contains_key("cnf") {
            return Err("the token is bound to a key that this service does not check"); // RFC 7800 §3.1
        }
        if kind == IssuerKind::Ci || !is_plain {
            return Ok(());
        }
        // Keycloak: `Bearer` or `ID`. Amazon Cognito: `access` or `id`.
        for (claim, access) in [("typ", "Bearer"), ("token_use", "access")] {
            match self.all.0.get(claim) {
                None => {}
                Some(value) if value == access => return Ok(()),
                Some(_) => return Err("the token is not an access token"),
            }
        }
        let is_id_token =
            ["nonce", "at_hash", "c_hash", "s_hash"].iter().any(|it| self.all.0.contains_key(*it));
        if is_id_token {
            return Err("the token is an ID token: an access token is required");
        }
        // RFC 9068 §2.2.3; Okta and Microsoft Entra ID have `scp`. ID tokens have neither.
        match ["scope", "scp"].iter().any(|it| self.all.0.contains_key(*it)) {
            true => Ok(()),
            false => Err("the token has no scope, as an ID token: an access token is required"),
        }
    }

    /// Checks the audience, and the client for which the token was issued. A token that is also for
    /// another audience could come from there, so its client must be known.
    fn check_audience(&self, issuer: &Issuer) -> Result<(), &'static str> {
        let audiences = match &self.known.aud {
            Some(Audience::One(one)) => std::slice::from_ref(one),
            Some(Audience::Many(many)) => many,
            None => &[],
        };
        // Access tokens of Amazon Cognito have no audience: the client's ID takes its place.
        let is_for_client = audiences.is_empty()
            && self.known.aud.is_none()
            && self.text("token_use") == Some("access")
            && self.text("client_id") == Some(&issuer.audience);
        if !is_for_client && !audiences.contains(&issuer.audience) {
            return Err("the token has another audience");
        }
        let has_others = audiences.iter().any(|audience| *audience != issuer.audience);
        if !has_others && issuer.authorized_parties.is_empty() {
            return Ok(());
        }
        // OpenID Connect Core §2; RFC 9068 §2.2; Okta; Microsoft Entra ID, version 1.0.
        let party = ["azp", "client_id", "cid", "appid"].into_iter().find_map(|claim| self.text(claim));
        match party {
            None => Err("the token names no authorized party"),
            Some(party) if issuer.authorized_parties.iter().any(|known| known == party) => Ok(()),
            Some(party)
                if issuer.authorized_parties.is_empty() && issuer.client_id.as_deref() == Some(party) =>
            {
                Ok(())
            }
            Some(_) => Err("the token's authorized party is not listed in authorizedParties"),
        }
    }

    fn text(&self, claim: &str) -> Option<&str> {
        self.all.0.get(claim)?.as_str()
    }

    /// Returns whether a claim has this value, or contains it: `groups` is a list, and `scope` is a
    /// list of words (RFC 8693 §4.2).
    fn has(&self, claim: &str, expected: &str) -> bool {
        let is = |value: &Value| match value {
            Value::String(text) => text == expected,
            Value::Bool(flag) => flag.to_string() == expected,
            Value::Number(number) => number.to_string() == expected,
            _ => false,
        };
        match self.all.0.get(claim) {
            Some(Value::Array(values)) => values.iter().any(is),
            Some(Value::String(words)) if ["scope", "scp"].contains(&claim) => {
                words.split(' ').any(|word| word == expected)
            }
            Some(value) => is(value),
            None => false,
        }
    }

    /// Returns the email address if the issuer verified it and its format is plausible.
    fn verified_email(&self) -> Option<String> {
        let verified = match self.known.email_verified.as_ref()? {
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
        self.known.email.as_ref().filter(|_| verified).filter(is_plausible).cloned()
    }
}

/// Converts a `NumericDate` of RFC 7519 §2: seconds, possibly with a fraction.
fn instant(seconds: f64) -> Option<Timestamp> {
    let duration = SignedDuration::try_from_secs_f64(seconds).ok()?;
    Timestamp::from_duration(duration).ok()
}

#[cfg(test)]
mod tests;
