//! Secret values, in a type that cannot be printed, copied or serialized by accident.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Error, Result};

/// A secret value: UTF-8 text that is zeroed when dropped.
///
/// It has no `Debug`, `Display`, `Clone` or `Serialize`, so code that formats or logs a value does
/// not compile:
///
/// ```compile_fail
/// let value = domain::value::SecretValue::new("v".to_owned().into()).unwrap();
/// println!("{value:?}");
/// ```
/// ```compile_fail
/// let value = domain::value::SecretValue::new("v".to_owned().into()).unwrap();
/// let copy = value.clone();
/// ```
/// ```compile_fail
/// let value = domain::value::SecretValue::new("v".to_owned().into()).unwrap();
/// serde_json::to_string(&value);
/// ```
pub struct SecretValue {
    text: Zeroizing<String>,
    /// Computed once, because it reads every byte.
    properties: OnceLock<ValueProperties>,
}

impl SecretValue {
    /// The maximum size of a value, in bytes.
    pub const MAX_BYTES: usize = 32_768;
    /// The maximum size of a value as a JSON string, quotes included, in bytes. A secret in AWS
    /// Secrets Manager has at most 65,536 bytes, and a bundle also needs room for the name.
    pub const MAX_JSON_BYTES: usize = 60_000;

    /// Validates a value from a client. Returns [`Error::Invalid`] if it is empty or contains NUL,
    /// and [`Error::TooLarge`] if it exceeds a limit.
    pub fn new(text: Zeroizing<String>) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::Invalid("Invalid secret value: it must not be empty.".into()));
        }
        if text.len() > Self::MAX_BYTES {
            return Err(Error::TooLarge(format!(
                "The secret value is too large. The maximum is {} bytes.",
                Self::MAX_BYTES
            )));
        }
        if text.contains('\0') {
            return Err(Error::Invalid(
                "Invalid secret value: it must not contain a NUL character, because environment variables cannot."
                    .into(),
            ));
        }
        let value = Self { text, properties: OnceLock::new() };
        if value.json_length() > Self::MAX_JSON_BYTES {
            return Err(Error::TooLarge(format!(
                "The secret value is too large. As a JSON string, it can have at most {} bytes.",
                Self::MAX_JSON_BYTES
            )));
        }
        Ok(value)
    }

    /// Wraps a value that was sealed, and therefore validated before. Returns `None` for text that
    /// can never be a value.
    pub(crate) fn opened(text: Zeroizing<String>) -> Option<Self> {
        let good = !text.is_empty() && text.len() <= Self::MAX_BYTES && !text.contains('\0');
        good.then(|| Self { text, properties: OnceLock::new() })
    }

    /// Returns the text itself, for sealing and delivery only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Returns the length of the value as a JSON string, quotes included, in bytes.
    #[must_use]
    pub fn json_length(&self) -> usize {
        2 + self.text.bytes().map(|byte| usize::from(JSON_WIDTHS[usize::from(byte)])).sum::<usize>()
    }

    /// Appends the value as a JSON string, quotes included.
    pub fn write_json(&self, out: &mut String) {
        write_json_string(&self.text, out);
    }

    /// Returns the [`ValueProperties`] of the value, computed on the first call.
    #[must_use]
    pub fn properties(&self) -> ValueProperties {
        *self.properties.get_or_init(|| ValueProperties {
            raw_bytes: padded(self.text.len()),
            json_bytes: padded(self.json_length()),
            nextflow_store: nextflow_store_preserves(&self.text),
            lost: false,
        })
    }
}

/// The properties of a value that launches decide on without opening it. Lengths are rounded up to
/// a multiple of [`ValueProperties::STEP`], so that a reader of the table learns only the size
/// class.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValueProperties {
    /// An upper bound of the size, in bytes.
    pub raw_bytes: usize,
    /// An upper bound of the size as a JSON string, in bytes.
    pub json_bytes: usize,
    /// Whether Nextflow's local secrets store passes the value to a task unchanged.
    #[serde(default)]
    pub nextflow_store: bool,
    /// Whether the value was lost when the table was restored from a backup. Launches refuse the
    /// secret until it is updated.
    #[serde(default)]
    pub lost: bool,
}

impl ValueProperties {
    /// The step to which lengths are rounded up, in bytes.
    pub const STEP: usize = 256;
}

/// Rounds a length up to the next [`ValueProperties::STEP`].
pub(crate) fn padded(length: usize) -> usize {
    length.next_multiple_of(ValueProperties::STEP)
}

/// Whether Nextflow's local secrets store passes a value to a task unchanged.
///
/// The store writes one line per secret, so a line break ends the value. The shell interprets
/// quotes, backticks and backslashes. `$` works in a plain task, but Apptainer and Singularity, the
/// usual containers on HPC, evaluate it in every environment variable.
#[must_use]
pub fn nextflow_store_preserves(value: &str) -> bool {
    // Bytes, not characters: no multi-byte character contains one of these bytes.
    !value.bytes().any(|byte| matches!(byte, b'\0' | b'\n' | b'"' | b'$' | b'\\' | b'`'))
}

/// The number of bytes that each byte of text takes inside a JSON string (RFC 8259 §7, with the
/// short escapes). A table, because the release profile compiles a `match` to four branches per
/// byte.
const JSON_WIDTHS: [u8; 256] = {
    let mut widths = [1; 256];
    let mut byte = 0;
    while byte < 0x20 {
        widths[byte] = 6;
        byte += 1;
    }
    let short = *b"\"\\\n\r\t\x08\x0c";
    let mut index = 0;
    while index < short.len() {
        widths[short[index] as usize] = 2;
        index += 1;
    }
    widths
};

/// Appends text as a JSON string to a buffer that the caller has sized. A buffer that grows would
/// leave a copy of the text in memory.
fn write_json_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control @ '\0'..='\u{1f}' => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let code = control as usize;
                out.push_str("\\u00");
                out.push(char::from(HEX[code >> 4]));
                out.push(char::from(HEX[code & 15]));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str) -> Result<SecretValue> {
        SecretValue::new(text.to_owned().into())
    }

    #[test]
    fn values_at_the_limits_are_accepted_and_one_byte_more_is_not() {
        assert!(value("x").is_ok());
        assert!(value(&"x".repeat(SecretValue::MAX_BYTES)).is_ok());
        assert!(matches!(value(&"x".repeat(SecretValue::MAX_BYTES + 1)), Err(Error::TooLarge(_))));
        // Each control character takes six bytes in JSON.
        assert!(value(&"\u{1}".repeat(9_999)).is_ok());
        assert!(matches!(value(&"\u{1}".repeat(10_000)), Err(Error::TooLarge(_))));
    }

    #[test]
    fn empty_values_and_nul_are_refused() {
        assert!(matches!(value(""), Err(Error::Invalid(_))));
        assert!(matches!(value("a\0b"), Err(Error::Invalid(_))));
    }

    #[test]
    fn each_ascii_character_takes_the_shortest_json_form() {
        for byte in 1..=0x7f {
            let text = char::from(byte).to_string();
            let expected = serde_json::to_string(&text).unwrap();
            let value = value(&text).unwrap();
            let mut json = String::new();
            value.write_json(&mut json);
            assert_eq!(json, expected, "{byte:#04x}");
            assert_eq!(value.json_length(), expected.len(), "{byte:#04x}");
        }
    }

    #[test]
    fn the_json_form_is_appended_and_the_text_is_exposed_unchanged() {
        let value = value("a\n\"é€😀").unwrap();
        let mut json = "before ".to_owned();
        value.write_json(&mut json);
        assert_eq!(json, r#"before "a\n\"é€😀""#);
        assert_eq!(value.expose(), "a\n\"é€😀");
    }

    #[test]
    fn a_sealed_value_opens_within_the_byte_limit_only() {
        for (case, text, opens) in [
            ("nothing", String::new(), false),
            ("one byte", "x".into(), true),
            ("the largest value", "x".repeat(SecretValue::MAX_BYTES), true),
            ("one byte more", "x".repeat(SecretValue::MAX_BYTES + 1), false),
            ("NUL inside", "a\0b".into(), false),
            ("NUL alone", "\0".into(), false),
            // The limit on the JSON form applies to new values only.
            ("a long JSON form", "\u{1}".repeat(10_000), true),
        ] {
            let value = SecretValue::opened(text.clone().into());
            assert_eq!(value.as_ref().map(SecretValue::expose), opens.then_some(&*text), "{case}");
        }
    }

    #[test]
    fn the_properties_of_a_value_are_its_size_classes_and_whether_nextflow_carries_it() {
        for (case, text, raw_bytes, json_bytes, nextflow_store) in [
            ("one byte", "x".to_owned(), 256, 256, true),
            ("254 bytes, 256 in JSON", "x".repeat(254), 256, 256, true),
            ("255 bytes, 257 in JSON", "x".repeat(255), 256, 512, true),
            ("256 bytes", "x".repeat(256), 256, 512, true),
            ("257 bytes", "x".repeat(257), 512, 512, true),
            ("a new line", "a\nb".to_owned(), 256, 256, false),
            ("128 quotes, 258 in JSON", "\"".repeat(128), 256, 512, false),
        ] {
            let value = value(&text).unwrap();
            let expected = ValueProperties { raw_bytes, json_bytes, nextflow_store, lost: false };
            assert_eq!(value.properties(), expected, "{case}");
            assert_eq!(value.properties(), expected, "{case}, asked again");
        }
    }

    proptest! {
        #[test]
        fn the_json_form_parses_back_and_has_the_computed_length(text in "[^\0]{1,200}") {
            let value = value(&text).unwrap();
            let mut json = String::new();
            value.write_json(&mut json);
            prop_assert_eq!(json.len(), value.json_length());
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
