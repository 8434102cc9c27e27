//! Pipeline secrets as the table stores them. The sealed value is separate from the attributes that
//! lists and launches use.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{SecretId, UserId};
use crate::name::SecretName;
use crate::names::names;
use crate::owner::SecretOwner;
use crate::value::ValueProperties;
use crate::{Error, Result};

/// The maximum number of secrets in a scope.
pub const MAX_IN_SCOPE: u32 = 1_000;

/// A pipeline secret without its value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    /// Its id, which stays the same when the value changes.
    pub id: SecretId,
    /// The workspace or user that owns it.
    pub owner: SecretOwner,
    /// Its name, which cannot change.
    pub name: SecretName,
    /// 1 for a new secret, incremented with each update.
    pub version: u64,
    /// When it was created.
    #[serde(rename = "createdAt")]
    pub created: Timestamp,
    /// The user who created it.
    pub created_by: UserId,
    /// When this version was written.
    #[serde(rename = "updatedAt")]
    pub updated: Timestamp,
    /// The user who wrote this version.
    pub updated_by: UserId,
    /// When a run last received it.
    pub last_used: Option<Timestamp>,
    /// When it expires. Launches refuse an expired secret.
    pub expires: Option<Timestamp>,
    /// A note by its owner.
    pub description: Option<Description>,
    /// The properties of the value that launches use.
    #[serde(flatten)]
    pub properties: ValueProperties,
}

impl Secret {
    /// Whether the secret has expired.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// A note on a secret. The limit of 256 bytes keeps a list of 1,000 secrets small.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Description(String);

impl Description {
    /// The maximum size of a description, in bytes.
    pub const MAX_BYTES: usize = 256;

    /// Validates a description from a client. Characters that cannot be seen could make it look
    /// like another text, in a terminal or on a page.
    pub fn new(text: &str) -> Result<Self> {
        if text.contains(is_invisible_control) {
            return Err(Error::Invalid(
                "The description contains a control character, such as a line break or a character that changes the \
                 direction of text. Write it on one line, without them."
                    .to_owned(),
            ));
        }
        Self::of_length(text)
    }

    fn of_length(text: &str) -> Result<Self> {
        if text.len() > Self::MAX_BYTES {
            return Err(Error::Invalid(format!(
                "The description is too long. The maximum is {} bytes.",
                Self::MAX_BYTES
            )));
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the description as text.
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

/// Reads a stored description. It may be older than the rule about control characters.
impl TryFrom<String> for Description {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::of_length(&text)
    }
}

/// Control characters, line separators, and the controls of bidirectional text:
/// <https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>. Not the joiners, which
/// some scripts and emoji need.
pub(crate) fn is_invisible_control(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// The sealed value of one version of a secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedValue {
    /// The workspace or user that owns the secret.
    pub owner: SecretOwner,
    /// The secret's id.
    pub secret: SecretId,
    /// The version.
    pub version: u64,
    /// The envelope's bytes: see [`crate::envelope`].
    pub envelope: Vec<u8>,
}

/// A replaced version of a secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OldVersion {
    /// The version's number.
    pub version: u64,
    /// When it was written.
    pub written: Timestamp,
    /// The user who wrote it.
    pub written_by: UserId,
    /// When it was replaced.
    pub replaced: Timestamp,
}

/// A secret to write with its sealed value.
#[derive(Clone)]
pub struct SecretWrite {
    /// The secret at the version to write.
    pub secret: Secret,
    /// The sealed value of that version.
    pub sealed: SealedValue,
    /// The version that this write replaces. `None` for a new secret.
    pub replaced: Option<OldVersion>,
}

impl SecretWrite {
    /// Returns the result of this write.
    #[must_use]
    pub fn written(&self) -> Written {
        let outcome = match self.replaced {
            None => WriteOutcome::Created,
            Some(_) => WriteOutcome::Updated,
        };
        Written { id: self.secret.id, outcome }
    }
}

/// A secret that was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written {
    /// Its id.
    pub id: SecretId,
    /// Whether it is new.
    pub outcome: WriteOutcome,
}

names! {
    /// What a write did to a secret.
    "outcome" pub enum WriteOutcome {
        /// The secret was created.
        Created = "created",
        /// The secret existed and got a new version.
        Updated = "updated",
    }
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

    #[test]
    fn a_description_has_no_control_characters_but_a_stored_one_is_still_read() {
        for text in [
            "a\nb", "\t", "\u{7f}", "\u{85}", "\u{61c}", "\u{200e}", "\u{200f}", "\u{2028}", "\u{2029}",
            "\u{202a}", "\u{202e}", "\u{2066}", "\u{2069}",
        ] {
            let error = Description::new(text).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{text:?}");
            assert!(error.to_string().contains("control character"), "{text:?}");
            assert_eq!(Description::try_from(text.to_owned()).unwrap().as_str(), text, "{text:?}");
        }
        for text in [
            "",
            "Renew in May",
            "für das Labor",
            "\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
            "\u{202f}",
            "\u{2065}",
            "\u{206a}",
            "\u{200d}",
        ] {
            assert_eq!(Description::new(text).unwrap().as_str(), text);
        }
    }
}
