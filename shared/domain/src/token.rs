//! The three kinds of token. Only their SHA-256 is stored, never the token.
//!
//! Nextflow sends a token as Bearer only if it is base64 of `{json}.signature`, or a JWT. It sends
//! other tokens as Basic with the user `@token`. The service's tokens have that form, and both
//! schemes are accepted.

use aws_lc_rs::{constant_time, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::context::Randomness;
use crate::ids::{RunId, TokenId};

/// The secret half of a token. It is zeroed when dropped, never printed, and compared by its hash
/// only.
///
/// ```compile_fail,E0369
/// # use domain::token::TokenKey;
/// fn early_exit(one: TokenKey, other: TokenKey) -> bool { one == other }
/// ```
pub struct TokenKey(Zeroizing<String>);

/// The SHA-256 of a token's secret half, as rows store it. Comparisons take constant time.
#[derive(Clone, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenHash(String);

/// A token that a client presented, split into its parts.
pub enum PresentedToken {
    /// A personal access token.
    Access(TokenId, TokenKey),
    /// A run token, which can only report on its run.
    Run(RunId, TokenKey),
    /// Three base64url parts: a JSON Web Token, not verified.
    Jwt(Zeroizing<String>),
    /// Any other text, such as a claim token.
    Opaque(TokenKey),
}

impl TokenKey {
    /// Creates a key: 160 random bits as 40 hexadecimal characters, the form of Seqera Platform's
    /// tokens.
    pub fn make_random(randomness: &dyn Randomness) -> Self {
        let mut bytes = Zeroizing::new([0; 20]);
        randomness.fill(&mut *bytes);
        let mut text = Zeroizing::new(String::with_capacity(40));
        for byte in *bytes {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
        Self(text)
    }

    /// Creates a claim token: 256 random bits, URL-safe.
    pub fn make_claim(randomness: &dyn Randomness) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        randomness.fill(&mut *bytes);
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes)))
    }

    /// Returns the hash that rows store.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        let digest = digest::digest(&digest::SHA256, self.0.as_bytes());
        TokenHash(STANDARD_NO_PAD.encode(digest))
    }

    /// Returns the text, for the one answer that shows it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the personal access token with this key.
    #[must_use]
    pub fn access_token(&self, id: TokenId) -> Zeroizing<String> {
        let text = Zeroizing::new(format!("{{\"tid\": {id}}}.{}", *self.0));
        Zeroizing::new(STANDARD.encode(&*text))
    }

    /// Returns the run token with this key.
    #[must_use]
    pub fn run_token(&self, run: &RunId) -> Zeroizing<String> {
        let text = Zeroizing::new(format!("{{\"tid\":\"{run}\"}}.{}", *self.0));
        Zeroizing::new(STANDARD.encode(&*text))
    }
}

impl TokenHash {
    /// Whether this is the hash of the key, in constant time.
    #[must_use]
    pub fn matches(&self, key: &TokenKey) -> bool {
        *self == key.hash()
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(self.0.as_bytes(), other.0.as_bytes()).is_ok()
    }
}

impl PresentedToken {
    /// Parses the value of an `Authorization` header. Returns `None` if it is neither Bearer nor
    /// Basic `@token`.
    #[must_use]
    pub fn from_authorization(header: &str) -> Option<Self> {
        if header.len() > MAX_HEADER {
            return None;
        }
        let (scheme, rest) = header.trim().split_once(' ')?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self::parse(rest));
        }
        if scheme.eq_ignore_ascii_case("basic") {
            let decoded = Zeroizing::new(decode(rest)?);
            return decoded.strip_prefix("@token:").map(Self::parse);
        }
        None
    }

    fn parse(token: &str) -> Self {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Tid {
            Number(i64),
            Text(String),
        }
        #[derive(Deserialize)]
        struct Head {
            tid: Tid,
        }
        if token.split('.').count() == 3 {
            return Self::Jwt(Zeroizing::new(token.to_owned()));
        }
        let parsed = decode(token).map(Zeroizing::new).and_then(|text| {
            let (head, key) = text.rsplit_once('.')?;
            let head: Head = serde_json::from_str(head).ok()?;
            let key = TokenKey(Zeroizing::new(key.to_owned()));
            match head.tid {
                Tid::Number(number) => Some(Self::Access(TokenId::new(number)?, key)),
                Tid::Text(run) => Some(Self::Run(RunId::new(&run).ok()?, key)),
            }
        });
        parsed.unwrap_or_else(|| Self::Opaque(TokenKey(Zeroizing::new(token.to_owned()))))
    }
}

/// The service issues no longer tokens. API Gateway itself accepts 10,240 bytes of headers.
const MAX_HEADER: usize = 8_192;

fn decode(text: &str) -> Option<String> {
    let bytes = STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
