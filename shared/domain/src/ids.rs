//! Identifiers. Numeric ids are int64 below 2^53 on the wire, so JavaScript clients represent them
//! exactly. A run's id is the 14 characters that Nextflow's clients call `workflowId`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::context::Randomness;
use crate::{Error, Result};

/// The largest numeric id plus 1: every JSON parser reads smaller whole numbers exactly (RFC 8259,
/// section 6).
pub const ID_BOUND: i64 = 1 << 53;

macro_rules! numeric_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(try_from = "i64", into = "i64")]
        pub struct $name(i64);

        impl $name {
            /// Creates an id from a number from outside. Returns `None` if it is out of range.
            #[must_use]
            pub fn new(number: i64) -> Option<Self> {
                (1..ID_BOUND).contains(&number).then_some(Self(number))
            }

            /// Creates a random id. Two ids can collide, so writers must put it only if absent.
            pub fn make_random(randomness: &dyn Randomness) -> Self {
                let mut bytes = [0; 8];
                randomness.fill(&mut bytes);
                let number = i64::from_be_bytes(bytes) & (ID_BOUND - 1);
                Self(number.max(1))
            }

            /// Returns the number.
            #[must_use]
            pub fn number(self) -> i64 {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = Error;

            fn try_from(number: i64) -> Result<Self> {
                Self::new(number).ok_or(Error::NotFound)
            }
        }

        impl From<$name> for i64 {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// Parses plain decimal digits only.
            fn from_str(text: &str) -> Result<Self> {
                let plain = !text.is_empty() && text.len() <= 16 && text.bytes().all(|b| b.is_ascii_digit());
                plain
                    .then(|| text.parse().ok())
                    .flatten()
                    .and_then(Self::new)
                    .ok_or(Error::NotFound)
            }
        }
    };
}

numeric_id! {
    /// A pipeline secret.
    SecretId
}
numeric_id! {
    /// A person or a machine account.
    UserId
}
numeric_id! {
    /// A workspace.
    WorkspaceId
}
numeric_id! {
    /// An organization, which holds workspaces.
    OrgId
}
numeric_id! {
    /// A personal access token.
    TokenId
}

impl WorkspaceId {
    /// An id that no workspace has, for reads whose only purpose is equal timing.
    pub(crate) const ABSENT: Self = Self(0);
}

/// The id of a run: one execution of a pipeline, `workflowId` on the wire.
///
/// 14 characters of `[0-9A-Za-z]`. The first four are the deployment's [`RunPrefix`], so that IAM
/// policies can restrict access to a deployment's copies by name. The other ten are random (59
/// bits).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

/// The first four characters of every [`RunId`] of a deployment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunPrefix(String);

impl RunPrefix {
    /// Parses the four characters. The error names the rule.
    pub fn new(text: &str) -> Result<Self> {
        if text.len() == 4 && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::Invalid("a run prefix must be four characters from 0-9, A-Z and a-z".into()))
        }
    }

    /// Returns the prefix as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RunId {
    /// The length of a run id, in characters.
    pub const LENGTH: usize = 14;

    /// Parses an id from outside: 14 letters and digits. Otherwise returns [`Error::NotFound`].
    pub fn new(text: &str) -> Result<Self> {
        if text.len() == Self::LENGTH && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::NotFound)
        }
    }

    /// Creates a random id with the deployment's prefix.
    pub fn make_random(prefix: &RunPrefix, randomness: &dyn Randomness) -> Self {
        Self(base62(prefix.0.clone(), Self::LENGTH, randomness))
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

impl TryFrom<String> for RunId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::new(&text)
    }
}

/// Extends the text to this length with random letters and digits.
pub(crate) fn base62(mut text: String, length: usize, randomness: &dyn Randomness) -> String {
    const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    while text.len() < length {
        let mut byte = [0];
        randomness.fill(&mut byte);
        // 248 = 4 × 62. Larger bytes would make the first characters more likely.
        if byte[0] < 248 {
            text.push(char::from(BASE62[usize::from(byte[0]) % 62]));
        }
    }
    text
}

#[cfg(test)]
mod tests;
