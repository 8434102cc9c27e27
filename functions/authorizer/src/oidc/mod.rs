//! JSON Web Tokens of the one OpenID Connect issuer that the deployment trusts.
//!
//! Signatures are checked by the `jsonwebtoken` crate, with an algorithm of our list, with a key that the issuer
//! publishes for just that algorithm; keys that a token brings or points to (`jwk`, `jku`, `x5c`, `x5u`) are never looked
//! at. What the token claims is checked here, against the time of the request.

pub mod claims;
mod fetch;
mod keys;

use async_trait::async_trait;
use domain::identity::VerifiedLogin;
use domain::ports::VerifyJwt;
use domain::{Error, Result, Timestamp};
use jsonwebtoken::{Algorithm, Validation};
use runtime::config::{Fault, Oidc, Section, Variables};

use claims::Claims;
use fetch::Source;
use keys::Keys;

/// Algorithms that are taken: signatures with a public key, of today's strength. No HMAC, whose key would be one that
/// the issuer publishes, and no `none`.
pub const ALGORITHMS: [Algorithm; 7] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The issuer, or none: then every JSON Web Token is refused.
pub struct Jwts(Option<Issuer>);

/// An issuer, the audience that its tokens must name, and its keys as last seen.
struct Issuer {
    name: String,
    audience: String,
    keys: Keys,
}

/// `OIDC_ISSUER` and `OIDC_AUDIENCE`. The issuer is reached over HTTPS; over plain HTTP on loopback alone.
impl Section for Jwts {
    fn read(variables: &mut Variables<'_>) -> Option<Self> {
        let Some(oidc) = Oidc::read(variables)?.0 else {
            return Some(Self(None));
        };
        match Self::of(&oidc.issuer, &oidc.audience) {
            Ok(jwts) => Some(jwts),
            Err(rule) => variables.fault(Fault { variable: "OIDC_ISSUER", rule, missing: false }),
        }
    }
}

impl Jwts {
    /// Takes this issuer's tokens for this audience. Nothing is fetched before the first token. An error names the rule
    /// that the issuer breaks.
    pub fn of(issuer: &str, audience: &str) -> std::result::Result<Self, &'static str> {
        let source = Source::of(issuer).ok_or("reached over https, or over http on loopback")?;
        let (name, audience) = (issuer.to_owned(), audience.to_owned());
        Ok(Self(Some(Issuer { name, audience, keys: Keys::new(source) })))
    }
}

#[async_trait(?Send)]
impl VerifyJwt for Jwts {
    async fn verify_jwt(&self, token: &str, now: Timestamp) -> Result<Option<VerifiedLogin>> {
        let Some(issuer) = &self.0 else {
            return Ok(refused("the deployment takes no JSON Web Tokens"));
        };
        issuer.verify(token, now).await
    }
}

impl Issuer {
    async fn verify(&self, token: &str, now: Timestamp) -> Result<Option<VerifiedLogin>> {
        // `alg: none` fails here: the crate knows no such algorithm.
        let Ok(header) = jsonwebtoken::decode_header(token) else {
            return Ok(refused("the token's header cannot be read"));
        };
        if !ALGORITHMS.contains(&header.alg) {
            return Ok(refused("the token's algorithm is not on the list"));
        }
        if header.crit.is_some() {
            return Ok(refused("the token asks for an extension")); // RFC 7515 §4.1.11
        }
        let Some(key) = self.keys.find(header.kid.as_deref(), header.alg, now).await? else {
            return Ok(refused("the issuer has no such key"));
        };
        let Ok(token) = jsonwebtoken::decode::<Claims>(token, &key, &signature_alone(header.alg)) else {
            return Ok(refused("the signature does not hold, or the claims cannot be read"));
        };
        match token.claims.check(&self.name, &self.audience, now) {
            Ok(vouched) => Ok(Some(vouched)),
            Err(why) => Ok(refused(why)),
        }
    }
}

/// The crate checks claims against its own clock and passes over some that are missing; [`Claims::check`] does not.
fn signature_alone(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

fn refused(why: &'static str) -> Option<VerifiedLogin> {
    tracing::info!(reason = why, "refused a JSON Web Token");
    None
}

/// The issuer could not be asked. Its answers are not in the log: they could be anything.
fn unavailable(why: &'static str) -> Error {
    Error::unavailable("OpenID Connect issuer", why)
}
