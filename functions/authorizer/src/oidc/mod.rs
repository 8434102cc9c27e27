//! JSON Web Tokens of the OpenID Connect issuers that the deployment trusts.
//!
//! The `jsonwebtoken` crate checks signatures with an algorithm from [`ALGORITHMS`] and a key that
//! the issuer publishes for this algorithm. Keys that a token contains or points to (`jwk`, `jku`,
//! `x5c`, `x5u`) are ignored. The claims are checked here, against the time of the request.

pub mod claims;
mod fetch;
mod keys;

use async_trait::async_trait;
use domain::identity::VerifiedLogin;
use domain::issuer::{Issuer, Issuers};
use domain::ports::VerifyJwt;
use domain::{Result, Timestamp};
use jsonwebtoken::{Algorithm, Validation};
use runtime::config::{Fault, Section, Variables};
use serde::Deserialize;

use claims::Claims;
use keys::Keys;
use oidc_discovery::Source;

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

/// The trusted issuers. Without one, every JSON Web Token is refused.
pub struct Jwts(Vec<Trusted>);

/// An issuer and its cached keys.
struct Trusted {
    issuer: Issuer,
    keys: Keys,
}

/// Reads `OIDC_ISSUERS`.
impl Section for Jwts {
    fn read(variables: &mut Variables<'_>) -> Option<Self> {
        let issuers = Issuers::read(variables)?;
        Self::new(&issuers).or_else(|| {
            let rule = "issuers with URLs that can be fetched".into();
            variables.fault(Fault { variable: "OIDC_ISSUERS", rule, missing: false })
        })
    }
}

impl Jwts {
    /// Accepts tokens of these issuers. Fetches nothing before the first token. Returns `None` if
    /// an issuer is not a valid URL.
    #[must_use]
    pub fn new(issuers: &Issuers) -> Option<Self> {
        let trusted = issuers.all().iter().map(|issuer| {
            let keys = Keys::new(Source::of(&issuer.issuer)?);
            Some(Trusted { issuer: issuer.clone(), keys })
        });
        trusted.collect::<Option<_>>().map(Self)
    }

    /// Returns the issuer that the token names. Nothing of the token is verified yet, so that this
    /// decides only with which keys it is verified.
    fn issuer_of(&self, token: &str) -> Option<&Trusted> {
        #[derive(Deserialize)]
        struct Unverified {
            iss: String,
        }
        let named: Unverified = jsonwebtoken::dangerous::insecure_decode_claims(token).ok()?;
        self.0.iter().find(|trusted| trusted.issuer.issuer == named.iss)
    }
}

#[async_trait(?Send)]
impl VerifyJwt for Jwts {
    async fn verify_jwt(&self, token: &str, now: Timestamp) -> Result<Option<VerifiedLogin>> {
        match self.issuer_of(token) {
            Some(trusted) => trusted.verify(token, now).await,
            None => Ok(refused("the token is malformed, or the deployment does not have its issuer")),
        }
    }
}

impl Trusted {
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
        match token.claims.check(&self.issuer, header.typ.as_deref(), now) {
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
