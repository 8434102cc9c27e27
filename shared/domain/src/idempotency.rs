//! The same request twice has one effect.

use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use crate::ids::{RunId, SecretId, UserId};
use crate::{Error, Result};

/// A client's `Idempotency-Key`, and the request that it came with.
///
/// Of the key only a SHA-256 is stored, of the request only an HMAC under the key itself: a plain digest would let a
/// reader of the table guess a value.
#[derive(Clone)]
pub struct Idempotency {
    user: UserId,
    key_hash: String,
    fingerprint: Vec<u8>,
}

/// How long a key is remembered.
pub const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// What a remembered key stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remembered {
    /// The HMAC of the first request.
    pub fingerprint: Vec<u8>,
    /// What the first request made.
    pub made: Made,
    /// After this the key is forgotten, though the row may still stand.
    pub expires: Timestamp,
}

/// What a request made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Made {
    /// A secret.
    Secret(SecretId),
    /// Several, by an import, in the order of its names.
    Secrets(Vec<SecretId>),
    /// A run.
    Run(RunId),
}

impl Idempotency {
    /// Characters in the shortest key: below it keys of different requests might meet by chance.
    pub const MIN_KEY: usize = 16;
    /// Characters in the longest key.
    pub const MAX_KEY: usize = 256;

    /// Binds a key to a caller and a request, given as its parts in a fixed order.
    pub fn new(user: UserId, key: &str, request: &[&[u8]]) -> Result<Self> {
        if !(Self::MIN_KEY..=Self::MAX_KEY).contains(&key.len()) || !key.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(Error::Invalid(format!(
                "Idempotency-Key takes {} to {} visible ASCII characters.",
                Self::MIN_KEY,
                Self::MAX_KEY
            )));
        }
        let mut message = Zeroizing::new(Vec::with_capacity(request.iter().map(|part| part.len() + 8).sum()));
        for part in request {
            message.extend_from_slice(&(part.len() as u64).to_be_bytes());
            message.extend_from_slice(part);
        }
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), &message);
        Ok(Self {
            user,
            key_hash: STANDARD_NO_PAD.encode(digest::digest(&digest::SHA256, key.as_bytes())),
            fingerprint: tag.as_ref().to_vec(),
        })
    }

    /// Whose key it is.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.user
    }

    /// The hash under which it is stored.
    #[must_use]
    pub fn key_hash(&self) -> &str {
        &self.key_hash
    }

    /// The HMAC that is stored.
    #[must_use]
    pub fn fingerprint(&self) -> &[u8] {
        &self.fingerprint
    }

    /// Whether the remembered request is this one; [`Error::IdempotencyMismatch`] where it is another.
    pub fn check(&self, remembered: &Remembered) -> Result<()> {
        constant_time::verify_slices_are_equal(&self.fingerprint, &remembered.fingerprint)
            .map_err(|_| Error::IdempotencyMismatch)
    }
}
