//! The issuer's keys, as last seen.
//!
//! They are believed for an hour; a key that is not among them is looked for at once, for issuers rotate keys, but never
//! more often than twice a minute: anybody can send a token that names a key which does not exist. Where the issuer does
//! not answer, the keys that it had are believed for a day.

use std::cell::RefCell;
use std::rc::Rc;

use domain::{Result, Timestamp};
use jiff::SignedDuration;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

use super::fetch::Source;
use super::unavailable;

/// How long keys are believed without asking again.
const FRESH: SignedDuration = SignedDuration::from_hours(1);
/// How long keys are believed while the issuer does not answer.
const BELIEVED: SignedDuration = SignedDuration::from_hours(24);
/// The time from one attempt to fetch to the next, at least.
const INTERVAL: SignedDuration = SignedDuration::from_secs(30);

/// The keys of one issuer.
pub(super) struct Keys {
    source: Source,
    seen: RefCell<Seen>,
}

#[derive(Default)]
struct Seen {
    keys: Option<Rc<Vec<Jwk>>>,
    fetched: Timestamp,
    tried: Option<Timestamp>,
}

impl Keys {
    pub(super) fn new(source: Source) -> Self {
        Self { source, seen: RefCell::default() }
    }

    /// The key of this id for this algorithm; where the token names none, the one that there is. `None` where the issuer
    /// has no such key; an error where that is not known.
    pub(super) async fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Result<Option<DecodingKey>> {
        let fresh = self.held(FRESH, now);
        if let Some(key) = fresh.and_then(|keys| choose(&keys, id, algorithm)) {
            return Ok(Some(key));
        }
        Ok(choose(&self.refreshed(now).await?, id, algorithm))
    }

    /// The keys that are held, where they are no older than this.
    fn held(&self, age: SignedDuration, now: Timestamp) -> Option<Rc<Vec<Jwk>>> {
        let seen = self.seen.borrow();
        seen.keys.clone().filter(|_| now < seen.fetched + age)
    }

    /// The keys as they are now, or as they were where it is too early to ask again or nobody answers.
    async fn refreshed(&self, now: Timestamp) -> Result<Rc<Vec<Jwk>>> {
        let held = self.held(BELIEVED, now);
        if self.seen.borrow().tried.is_some_and(|tried| now < tried + INTERVAL) {
            return held.ok_or_else(|| unavailable("it did not answer a moment ago"));
        }
        self.seen.borrow_mut().tried = Some(now);
        match (self.source.keys().await, held) {
            (Ok(keys), _) => {
                let keys = Rc::new(keys);
                let mut seen = self.seen.borrow_mut();
                seen.keys = Some(Rc::clone(&keys));
                seen.fetched = now;
                Ok(keys)
            }
            (Err(error), Some(held)) => {
                domain::log::error(&error).warn("the issuer's keys could not be fetched again");
                Ok(held)
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

/// Whether the issuer publishes the key for signatures by this algorithm: by its kind, its curve, and what it says of its
/// own use. A key that says nothing of its use may sign.
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
    let meant = common.key_algorithm.is_none_or(|meant| meant.to_string() == format!("{algorithm:?}"));
    kind && signs && verifies && meant
}
