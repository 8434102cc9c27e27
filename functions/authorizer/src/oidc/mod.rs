//! JSON Web Tokens of the OpenID Connect issuer that the deployment trusts.
//!
//! The `jsonwebtoken` crate checks signatures with an algorithm from [`ALGORITHMS`] and a key that
//! the issuer publishes for this algorithm. Keys that a token contains or points to (`jwk`, `jku`,
//! `x5c`, `x5u`) are ignored. The claims are checked here, against the time of the request.

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

/// The accepted algorithms: public-key signatures of current strength. HMAC is not accepted,
/// because its key would be a published key, and `none` is not accepted either.
pub const ALGORITHMS: [Algorithm; 7] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The trusted issuer. Without one, every JSON Web Token is refused.
pub struct Jwts(Option<Issuer>);

/// An issuer, the audience that its tokens must have, and its cached keys.
struct Issuer {
    name: String,
    audience: String,
    keys: Keys,
}

/// Reads `OIDC_ISSUER` and `OIDC_AUDIENCE`. The issuer's URL must use HTTPS, or HTTP on loopback.
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
    /// Accepts this issuer's tokens for this audience. Fetches nothing before the first token. An
    /// error names the rule that the issuer violates.
    pub fn of(issuer: &str, audience: &str) -> std::result::Result<Self, &'static str> {
        let source = Source::of(issuer).ok_or("an https URL, or an http URL on loopback")?;
        let (name, audience) = (issuer.to_owned(), audience.to_owned());
        Ok(Self(Some(Issuer { name, audience, keys: Keys::new(source) })))
    }
}

#[async_trait(?Send)]
impl VerifyJwt for Jwts {
    async fn verify_jwt(&self, token: &str, now: Timestamp) -> Result<Option<VerifiedLogin>> {
        let Some(issuer) = &self.0 else {
            return Ok(refused("the deployment has no OpenID Connect issuer"));
        };
        issuer.verify(token, now).await
    }
}

impl Issuer {
    async fn verify(&self, token: &str, now: Timestamp) -> Result<Option<VerifiedLogin>> {
        // `alg: none` fails here: the crate does not support it.
        let Ok(header) = jsonwebtoken::decode_header(token) else {
            return Ok(refused("the token's header cannot be read"));
        };
        if !ALGORITHMS.contains(&header.alg) {
            return Ok(refused("the token's algorithm is not accepted"));
        }
        if header.crit.is_some() {
            return Ok(refused("the token requires an extension")); // RFC 7515 §4.1.11
        }
        let Some(key) = self.keys.find(header.kid.as_deref(), header.alg, now).await? else {
            return Ok(refused("the issuer has no key with the token's key ID and algorithm"));
        };
        let Ok(token) = jsonwebtoken::decode::<Claims>(token, &key, &signature_only(header.alg)) else {
            return Ok(refused("the signature is not valid, or the claims cannot be read"));
        };
        match token.claims.check(&self.name, &self.audience, now) {
            Ok(verified) => Ok(Some(verified)),
            Err(why) => Ok(refused(why)),
        }
    }
}

/// Disables the crate's checks of claims, which use its own clock and accept some missing claims.
/// [`Claims::check`] checks them.
fn signature_only(algorithm: Algorithm) -> Validation {
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

/// Reports that the issuer is not available. Its answers are not logged, because they can contain
/// anything.
fn unavailable(why: &'static str) -> Error {
    Error::unavailable("OpenID Connect issuer", why)
}
