//! Envelope encryption of a value: a new KMS data key per version, AES-256-GCM, and key commitment.
//!
//! The bytes of format 1, big-endian (`docs/envelope.md` has the break-glass recipe):
//!
//! | bytes | field |
//! |---|---|
//! | 1 | format, 1 |
//! | 1 | delivery flags: bit 0, Nextflow's local store carries the value |
//! | 2 | *n*, length of the encrypted data key, 1 to 6,144 |
//! | *n* | the encrypted data key, as KMS gave it |
//! | 32 | commitment |
//! | 12 | nonce |
//! | rest | ciphertext of the value, NUL-padded to a multiple of 256 bytes, then the 16-byte tag |
//!
//! HKDF-SHA512 (no salt, info `pipeline-secrets/envelope/1`) expands the data key to 64 bytes: the
//! AES key and the commitment, so that a ciphertext opens under one data key only. The encryption
//! context is passed to KMS and, with format and flags, is part of the additional data.

use std::collections::BTreeMap;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{constant_time, hkdf};
use zeroize::Zeroizing;

use crate::context::Randomness;
use crate::ids::SecretId;
use crate::name::SecretName;
use crate::owner::SecretOwner;
use crate::value::{SecretValue, padded};
use crate::{Error, Result};

/// The encryption context of a value. A value that is moved to another deployment, scope, secret,
/// name or version does not open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EncryptionContext {
    /// The deployment's name. The key policy has a condition on it.
    pub deployment: String,
    /// The owner of the secret.
    pub owner: SecretOwner,
    /// The secret's id.
    pub secret: SecretId,
    /// The secret's name.
    pub name: SecretName,
    /// The secret's version.
    pub version: u64,
}

impl EncryptionContext {
    /// Returns the pairs for KMS. CloudTrail shows them in plaintext.
    #[must_use]
    pub fn pairs(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("deployment", self.deployment.clone()),
            ("name", self.name.to_string()),
            ("scope", self.owner.to_string()),
            ("secret", self.secret.to_string()),
            ("version", self.version.to_string()),
        ])
    }

    /// Returns the format, the flags, then each pair in key order, with key and value each preceded
    /// by its length in two bytes.
    fn additional_data(&self, flags: u8) -> Vec<u8> {
        let mut data = vec![FORMAT, flags];
        for (key, value) in self.pairs() {
            for part in [key.as_bytes(), value.as_bytes()] {
                // Every part is far shorter than 65,536 bytes: ids, names of at most 100 bytes, a
                // stack's name.
                data.extend_from_slice(&u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
                data.extend_from_slice(part);
            }
        }
        data
    }
}

/// A plaintext KMS data key. It is zeroed when dropped, and never printed.
pub struct PlainDataKey(Zeroizing<[u8; 32]>);

impl PlainDataKey {
    /// The length of a data key, in bytes.
    pub const LENGTH: usize = 32;

    /// Creates a key from 32 bytes. Returns `None` for any other length.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; Self::LENGTH]);
        if bytes.len() != key.len() {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(Self(key))
    }
}

/// A new data key: plaintext for one sealing, and encrypted for the envelope.
pub struct DataKey {
    /// The plaintext key.
    pub plain: PlainDataKey,
    /// The key as KMS encrypted it, 1 to 6,144 bytes.
    pub encrypted: Vec<u8>,
}

/// Seals a value under a data key. The key must not be used for anything else.
pub fn seal(
    value: &SecretValue,
    context: &EncryptionContext,
    data_key: &DataKey,
    randomness: &dyn Randomness,
) -> Result<Vec<u8>> {
    let flags = u8::from(value.properties().nextflow_store) * FLAG_NEXTFLOW_STORE;
    let encrypted = &data_key.encrypted;
    if encrypted.is_empty() || encrypted.len() > MAX_ENCRYPTED_KEY {
        return Err(Error::bug("KMS gave an encrypted data key of impossible length"));
    }
    let derived = derive(&data_key.plain)?;
    let mut nonce = [0; NONCE_LEN];
    randomness.fill(&mut nonce);

    let text = value.expose().as_bytes();
    let key_length = u16::try_from(encrypted.len()).map_err(|_| Error::bug("checked above"))?;
    let before = HEADER + encrypted.len() + COMMITMENT + NONCE_LEN;
    let length = before + padded(text.len());
    // The text is encrypted in place. The buffer is sized up front: if it grew, it would leave a
    // copy of the text in memory.
    let mut envelope = Zeroizing::new(Vec::with_capacity(length + TAG));
    envelope.extend_from_slice(&[FORMAT, flags]);
    envelope.extend_from_slice(&key_length.to_be_bytes());
    envelope.extend_from_slice(encrypted);
    envelope.extend_from_slice(derived.commitment());
    envelope.extend_from_slice(&nonce);
    envelope.extend_from_slice(text);
    envelope.resize(length, 0);
    let tag = derived
        .cipher()?
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(context.additional_data(flags)),
            &mut envelope[before..],
        )
        .map_err(|_| Error::bug("AES-GCM refused to seal"))?;
    envelope.extend_from_slice(tag.as_ref());
    // The buffer contains no plaintext, so it needs no zeroing.
    Ok(std::mem::take(&mut *envelope))
}

/// A parsed envelope. Its lengths are checked, but nothing is authenticated yet.
pub struct Envelope<'a> {
    flags: u8,
    encrypted_key: &'a [u8],
    commitment: &'a [u8],
    nonce: [u8; NONCE_LEN],
    ciphertext: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Parses an envelope. Returns [`Error::EnvelopeRefused`] if it is malformed.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        Self::split(bytes).ok_or(Error::EnvelopeRefused)
    }

    fn split(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() > MAX_ENVELOPE {
            return None;
        }
        let (&[format, flags, high, low], rest) = bytes.split_first_chunk::<HEADER>()?;
        let key_length = usize::from(u16::from_be_bytes([high, low]));
        if format != FORMAT
            || flags & !FLAG_NEXTFLOW_STORE != 0
            || !(1..=MAX_ENCRYPTED_KEY).contains(&key_length)
        {
            return None;
        }
        let (encrypted_key, rest) = rest.split_at_checked(key_length)?;
        let (commitment, rest) = rest.split_at_checked(COMMITMENT)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>()?;
        let padded_length = ciphertext.len().checked_sub(TAG)?;
        if padded_length == 0 || padded_length != padded(padded_length) {
            return None;
        }
        Some(Self { flags, encrypted_key, commitment, nonce: *nonce, ciphertext })
    }

    /// Returns the encrypted data key, for KMS to decrypt under the same encryption context.
    #[must_use]
    pub fn encrypted_key(&self) -> &'a [u8] {
        self.encrypted_key
    }

    /// Opens the value. Every failure is [`Error::EnvelopeRefused`], without details.
    pub fn open(&self, context: &EncryptionContext, key: &PlainDataKey) -> Result<SecretValue> {
        let derived = derive(key)?;
        constant_time::verify_slices_are_equal(derived.commitment(), self.commitment)
            .map_err(|_| Error::EnvelopeRefused)?;
        let mut body = Zeroizing::new(self.ciphertext.to_vec());
        let length = derived
            .cipher()?
            .open_in_place(
                Nonce::assume_unique_for_key(self.nonce),
                Aad::from(context.additional_data(self.flags)),
                &mut body,
            )
            .map_err(|_| Error::EnvelopeRefused)?
            .len();
        // A value never contains NUL, so the padding is unambiguous.
        let text = &body[..length];
        let end = text.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        body.truncate(end);
        // The buffer becomes the value, so the bytes after its end are zeroed with it.
        let text = String::from_utf8(std::mem::take(&mut *body)).map_err(|refused| {
            drop(Zeroizing::new(refused.into_bytes()));
            Error::EnvelopeRefused
        })?;
        SecretValue::opened(Zeroizing::new(text)).ok_or(Error::EnvelopeRefused)
    }
}

/// The AES key and the commitment, derived from a data key.
struct Derived(Zeroizing<[u8; 64]>);

impl Derived {
    fn cipher(&self) -> Result<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, &self.0[..32])
            .map(LessSafeKey::new)
            .map_err(|_| Error::bug("AES-256-GCM refused a key of 32 bytes"))
    }

    fn commitment(&self) -> &[u8] {
        &self.0[32..]
    }
}

fn derive(key: &PlainDataKey) -> Result<Derived> {
    struct Length;
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            64
        }
    }
    let mut out = Zeroizing::new([0; 64]);
    hkdf::Salt::new(hkdf::HKDF_SHA512, &[])
        .extract(&*key.0)
        .expand(&[INFO], Length)
        .and_then(|okm| okm.fill(&mut *out))
        .map_err(|_| Error::bug("HKDF refused to expand to 64 bytes"))?;
    Ok(Derived(out))
}

const FORMAT: u8 = 1;
const INFO: &[u8] = b"pipeline-secrets/envelope/1";
const FLAG_NEXTFLOW_STORE: u8 = 1;
const HEADER: usize = 4;
const COMMITMENT: usize = 32;
const TAG: usize = 16;
/// From the KMS API reference: "Length Constraints: Minimum length of 1. Maximum length of 6144",
/// `CiphertextBlob` of
/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html>.
const MAX_ENCRYPTED_KEY: usize = 6_144;
const MAX_ENVELOPE: usize =
    HEADER + MAX_ENCRYPTED_KEY + COMMITMENT + NONCE_LEN + SecretValue::MAX_BYTES + TAG;

#[cfg(test)]
mod tests;
