//! Idempotency: a repeated request has one effect.

use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use jiff::{SignedDuration, Timestamp};

use crate::ids::{RunId, SecretId, UserId};
use crate::secret::Written;
use crate::{Error, Result};

/// A client's `Idempotency-Key`, bound to a request.
///
/// The table stores a SHA-256 of the key, and an HMAC of the request under the key. A plain digest
/// of the request would let a reader of the table guess a value.
#[derive(Clone)]
pub struct Idempotency {
    user: UserId,
    key_hash: String,
    fingerprint: Vec<u8>,
}

/// How long an idempotency record is valid.
const VALIDITY: SignedDuration = SignedDuration::from_hours(24);

/// The stored result of the first request with an idempotency key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdempotencyRecord {
    /// The HMAC of the first request.
    pub fingerprint: Vec<u8>,
    /// The result of the first request.
    pub result: IdempotentResult,
    /// When the record expires. The row may still exist after that.
    pub expires: Timestamp,
}

/// The result of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IdempotentResult {
    /// A secret.
    Secret(SecretId),
    /// Several secrets, from an import, in the order of its names.
    Secrets(Vec<SecretId>),
    /// Secrets that an import created or updated, in the order of its names.
    Upserted(Vec<Written>),
    /// A run.
    Run(RunId),
}

impl Idempotency {
    /// The minimum length of a key, in characters. Shorter keys of different requests could
    /// collide.
    pub const MIN_KEY: usize = 16;
    /// The maximum length of a key, in characters.
    pub const MAX_KEY: usize = 256;

    /// Binds a key to a caller and a request. The request is given as its parts, in a fixed order.
    /// Each part is hashed in place, without a copy of a value.
    pub fn new<'a>(user: UserId, key: &str, request: impl IntoIterator<Item = &'a [u8]>) -> Result<Self> {
        if !(Self::MIN_KEY..=Self::MAX_KEY).contains(&key.len()) || !key.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(Error::Invalid(format!(
                "Idempotency-Key must have {} to {} visible ASCII characters.",
                Self::MIN_KEY,
                Self::MAX_KEY
            )));
        }
        let mut fingerprint = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()));
        for part in request {
            // The length comes first, so that different lists of parts never have the same bytes.
            fingerprint.update(&(part.len() as u64).to_be_bytes());
            fingerprint.update(part);
        }
        Ok(Self {
            user,
            key_hash: STANDARD_NO_PAD.encode(digest::digest(&digest::SHA256, key.as_bytes())),
            fingerprint: fingerprint.sign().as_ref().to_vec(),
        })
    }

    /// Returns the user who sent the key.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.user
    }

    /// Returns the hash of the key, under which the record is stored.
    #[must_use]
    pub fn key_hash(&self) -> &str {
        &self.key_hash
    }

    /// Returns the record to store with the result of a request.
    #[must_use]
    pub fn record(&self, result: IdempotentResult, now: Timestamp) -> IdempotencyRecord {
        IdempotencyRecord { fingerprint: self.fingerprint.clone(), result, expires: now + VALIDITY }
    }

    /// Checks that the record is of this request. Returns [`Error::IdempotencyMismatch`] if it is
    /// of a different one.
    pub fn check(&self, record: &IdempotencyRecord) -> Result<()> {
        constant_time::verify_slices_are_equal(&self.fingerprint, &record.fingerprint)
            .map_err(|_| Error::IdempotencyMismatch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef";

    fn user() -> UserId {
        UserId::new(5).unwrap()
    }

    fn request(key: &str, parts: &[&str]) -> Result<Idempotency> {
        let parts: Vec<_> = parts.iter().map(|part| part.as_bytes()).collect();
        Idempotency::new(user(), key, parts)
    }

    fn fingerprint(key: &str, parts: &[&str]) -> Vec<u8> {
        request(key, parts).unwrap().fingerprint
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    #[test]
    fn the_stored_form_of_a_request_is_frozen() {
        // Records are kept for a day, so a new version of the service must recognize requests that
        // the previous version recorded. Computed with Python: the HMAC-SHA256, under the key, of
        // each part after its length in eight bytes; and the SHA-256 of the key in base64.
        let known = request(KEY, &["create-secret", "WS#42", "", "NCBI_API_KEY"]).unwrap();
        assert_eq!(
            hex(&known.fingerprint),
            "50114faf0d05577ca037c23d4c6a6aee1ee0381396825b23fdf72b80bdfb29b7"
        );
        assert_eq!(known.key_hash(), "n59REfeyengfHx3d5evC3St5a/xzZcnCi1SOVkF2kp8");
        assert_eq!(known.user(), user());
    }

    #[test]
    fn a_key_is_16_to_256_visible_ascii_characters() {
        for (case, key, valid) in [
            ("15 characters", "k".repeat(15), false),
            ("16 characters", "k".repeat(16), true),
            ("256 characters", "k".repeat(256), true),
            ("257 characters", "k".repeat(257), false),
            ("the first and last visible characters", "!~".repeat(8), true),
            ("a space", format!("{KEY} {KEY}"), false),
            ("a new line", format!("{KEY}\n"), false),
            ("DEL", format!("{KEY}\x7f"), false),
            ("beyond ASCII", "é".repeat(16), false),
            ("nothing", String::new(), false),
        ] {
            match request(&key, &["x"]) {
                Ok(_) => assert!(valid, "{case}"),
                Err(error) => assert!(!valid && matches!(error, Error::Invalid(_)), "{case}: {error:?}"),
            }
        }
    }

    #[test]
    fn another_key_or_another_division_into_parts_is_another_request() {
        let first = fingerprint(KEY, &["ab", "c"]);
        assert_eq!(fingerprint(KEY, &["ab", "c"]), first, "the same request");
        for (case, key, parts) in [
            ("another key", "0123456789abcdeF", &["ab", "c"][..]),
            ("another part", KEY, &["ab", "d"]),
            ("another division", KEY, &["a", "bc"]),
            ("another order", KEY, &["c", "ab"]),
            ("one part", KEY, &["abc"]),
            ("an empty part more", KEY, &["ab", "c", ""]),
            ("an empty part first", KEY, &["", "ab", "c"]),
            ("no part", KEY, &[]),
        ] {
            assert_ne!(fingerprint(key, parts), first, "{case}");
        }
    }

    #[test]
    fn only_the_same_request_passes_the_check_for_a_replay() {
        let same = fingerprint(KEY, &["ab", "c"]);
        for (case, stored, accepted) in [
            ("the same request", same.clone(), true),
            ("another request", fingerprint(KEY, &["ab", "d"]), false),
            ("a shorter fingerprint", same[..31].to_vec(), false),
            ("no fingerprint", Vec::new(), false),
        ] {
            let record = IdempotencyRecord {
                fingerprint: stored,
                result: IdempotentResult::Secret(SecretId::new(7).unwrap()),
                expires: Timestamp::UNIX_EPOCH,
            };
            match request(KEY, &["ab", "c"]).unwrap().check(&record) {
                Ok(()) => assert!(accepted, "{case}"),
                Err(error) => {
                    assert!(!accepted && matches!(error, Error::IdempotencyMismatch), "{case}: {error:?}");
                }
            }
        }
    }
}
