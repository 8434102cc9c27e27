//! A pipeline secret as the table holds it: what lists and launches decide on, and apart from it the sealed value.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{SecretId, UserId};
use crate::name::SecretName;
use crate::owner::SecretOwner;
use crate::value::ValueProperties;
use crate::{Error, Result};

/// Secrets in a scope, at most.
pub const MAX_IN_SCOPE: u32 = 1_000;

/// A pipeline secret without its value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    /// Its id, which outlasts every change of the value.
    pub id: SecretId,
    /// Whose it is.
    pub owner: SecretOwner,
    /// Its name; there is no rename.
    pub name: SecretName,
    /// 1 when created, one more with each new value.
    pub version: u64,
    /// When it was created.
    #[serde(rename = "createdAt")]
    pub created: Timestamp,
    /// Who created it.
    pub created_by: UserId,
    /// When this version was written.
    #[serde(rename = "updatedAt")]
    pub updated: Timestamp,
    /// Who wrote this version.
    pub updated_by: UserId,
    /// When a run was last given it.
    pub last_used: Option<Timestamp>,
    /// After this no launch takes it.
    pub expires: Option<Timestamp>,
    /// What its owner says of it.
    pub description: Option<Description>,
    /// What launches must know of the value.
    #[serde(flatten)]
    pub properties: ValueProperties,
}

impl Secret {
    /// Whether no launch may take it any more.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// A note on a secret: at most 256 bytes, so that a list of 1,000 stays small.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Description(String);

impl Description {
    /// Bytes in the longest description.
    pub const MAX_BYTES: usize = 256;

    /// Takes a description from a client.
    pub fn new(text: &str) -> Result<Self> {
        if text.len() > Self::MAX_BYTES {
            return Err(Error::Invalid(format!(
                "The description is too long. The maximum is {} bytes.",
                Self::MAX_BYTES
            )));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Description> for String {
    fn from(description: Description) -> Self {
        description.0
    }
}

impl TryFrom<String> for Description {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::new(&text)
    }
}

/// The sealed value of one version of a secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedValue {
    /// Whose.
    pub owner: SecretOwner,
    /// Of which secret.
    pub secret: SecretId,
    /// Of which version.
    pub version: u64,
    /// The envelope's bytes: see [`crate::envelope`].
    pub envelope: Vec<u8>,
}

/// A version that a later one replaced.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OldVersion {
    /// Its number.
    pub version: u64,
    /// When it was written.
    pub written: Timestamp,
    /// Who wrote it.
    pub written_by: UserId,
    /// When it was replaced.
    pub replaced: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn secret(expires: Option<Timestamp>) -> Secret {
        Secret {
            id: SecretId::new(7).unwrap(),
            owner: "WS#42".parse().unwrap(),
            name: SecretName::parse("NCBI_API_KEY").unwrap(),
            version: 1,
            created: at(0),
            created_by: UserId::new(1).unwrap(),
            updated: at(0),
            updated_by: UserId::new(1).unwrap(),
            last_used: None,
            expires,
            description: None,
            properties: ValueProperties {
                raw_bytes: 256,
                json_bytes: 256,
                nextflow_store: true,
                lost: false,
            },
        }
    }

    #[test]
    fn a_secret_is_expired_from_its_expiry_on_and_never_without_one() {
        for (expires, now, expired) in [
            (None, 1_000, false),
            (Some(1_000), 999, false),
            (Some(1_000), 1_000, true),
            (Some(1_000), 1_001, true),
        ] {
            let secret = secret(expires.map(at));
            assert_eq!(secret.is_expired(at(now)), expired, "expires at {expires:?}, now {now}");
        }
    }

    #[test]
    fn a_description_has_at_most_256_bytes() {
        for (case, text, fits) in [
            ("nothing", String::new(), true),
            ("256 bytes", "x".repeat(256), true),
            ("257 bytes", "x".repeat(257), false),
            ("128 characters of two bytes", "é".repeat(128), true),
            ("129 characters of two bytes", "é".repeat(129), false),
        ] {
            match Description::new(&text) {
                Ok(description) => assert!(fits && description.as_str() == text, "{case}"),
                Err(Error::Invalid(message)) => assert!(!fits && message.contains("256 bytes"), "{case}"),
                Err(error) => panic!("{case}: {error:?}"),
            }
        }
    }
}
