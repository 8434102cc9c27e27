//! The cached keys of the issuer.
//!
//! Keys are cached for an hour. If a token names a key that is not cached, the keys are fetched
//! again, because issuers rotate keys, but at most twice a minute, because anyone can send a token
//! with an unknown key ID. If the issuer does not answer, the cached keys are used for up to a day.

use std::cell::RefCell;
use std::rc::Rc;

use domain::{Result, Timestamp};
use jiff::SignedDuration;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use oidc_discovery::{Source, unavailable};

use super::fetch;

/// How long keys are used before they are fetched again.
const FRESH: SignedDuration = SignedDuration::from_hours(1);
/// How long keys are used while the issuer does not answer.
const STALE: SignedDuration = SignedDuration::from_hours(24);
/// Minimum time between two attempts to fetch.
const INTERVAL: SignedDuration = SignedDuration::from_secs(30);

/// The keys of one issuer.
pub(super) struct Keys {
    source: Source,
    cache: RefCell<Cache>,
}

#[derive(Default)]
struct Cache {
    keys: Option<Rc<Vec<Jwk>>>,
    fetched: Timestamp,
    tried: Option<Timestamp>,
}

impl Keys {
    pub(super) fn new(source: Source) -> Self {
        Self { source, cache: RefCell::default() }
    }

    /// Returns the key with this ID for this algorithm or, without an ID, the only key for it.
    /// Returns `None` if the issuer has no such key, and an error if the issuer does not answer.
    pub(super) async fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Result<Option<DecodingKey>> {
        let fresh = self.cached(FRESH, now);
        if let Some(key) = fresh.and_then(|keys| choose(&keys, id, algorithm)) {
            return Ok(Some(key));
        }
        Ok(choose(&self.refreshed(now).await?, id, algorithm))
    }

    /// Returns the cached keys if they are at most this old.
    fn cached(&self, age: SignedDuration, now: Timestamp) -> Option<Rc<Vec<Jwk>>> {
        let cache = self.cache.borrow();
        cache.keys.clone().filter(|_| now < cache.fetched + age)
    }

    /// Fetches the keys. Returns the cached keys if it is too early to fetch or the issuer does not
    /// answer.
    async fn refreshed(&self, now: Timestamp) -> Result<Rc<Vec<Jwk>>> {
        let cached = self.cached(STALE, now);
        if self.cache.borrow().tried.is_some_and(|tried| now < tried + INTERVAL) {
            return cached.ok_or_else(|| unavailable("the last fetch failed less than 30 seconds ago"));
        }
        self.cache.borrow_mut().tried = Some(now);
        match (fetch::keys(&self.source).await, cached) {
            (Ok(keys), _) => {
                let keys = Rc::new(keys);
                let mut cache = self.cache.borrow_mut();
                cache.keys = Some(Rc::clone(&keys));
                cache.fetched = now;
                Ok(keys)
            }
            (Err(error), Some(cached)) => {
                domain::log::error(&error)
                    .warn("the issuer's keys could not be fetched; the cached keys are used");
                Ok(cached)
            }
            (Err(error), None) => Err(error),
        }
    }
}

fn choose(keys: &[Jwk], id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
    let mut fitting = keys.iter().filter(|key| fits(key, algorithm));
    let key = match id {
        Some(id) => fitting.find(|key| key.common.key_id.as_deref() == Some(id))?,
        None => fitting.next().filter(|_| fitting.next().is_none())?,
    };
    DecodingKey::from_jwk(key).ok()
}

/// Returns whether a key is published for signatures with this algorithm, by its kind, its curve
/// and its declared use. A key without a declared use can verify signatures.
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let common = &key.common;
    let kind = match (&key.algorithm, algorithm) {
        (
            AlgorithmParameters::RSA(_),
            Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 | Algorithm::PS256,
        ) => true,
        (AlgorithmParameters::EllipticCurve(curve), Algorithm::ES256) => curve.curve == EllipticCurve::P256,
        (AlgorithmParameters::EllipticCurve(curve), Algorithm::ES384) => curve.curve == EllipticCurve::P384,
        (AlgorithmParameters::OctetKeyPair(pair), Algorithm::EdDSA) => pair.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    let signs = common.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature);
    let verifies =
        common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    let is_for_algorithm =
        common.key_algorithm.is_none_or(|declared| declared.to_string() == format!("{algorithm:?}"));
    kind && signs && verifies && is_for_algorithm
}
