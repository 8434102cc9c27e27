//! The format of Nextflow's local secrets store, whole or in fragments.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::context::Randomness;
use crate::name::SecretName;
use crate::value::SecretValue;

/// The bytes of an entry of a store in addition to its name and its value as JSON.
pub(crate) const AROUND_ENTRY: usize = r#"{"name":"","value":},"#.len();

/// The bytes of a store in addition to its entries: brackets and the random entry.
pub(crate) const AROUND_STORE: usize = r#"[{"name":"","value":""}]"#.len() + SALT.len() + SALT_DIGITS;

const SALT_DIGITS: usize = 32;

/// The name of the random entry of a store. The prefix is reserved, so no secret has this name.
pub const SALT: &str = "PIPELINE_SECRETS_SALT";

/// Writes Nextflow's store: a JSON array of `{"name","value"}`.
///
/// The last entry is random. From version 25.04, Nextflow names a file by an unsalted hash of its
/// store, and this name is in every `.command.run`: without the entry, it would confirm a guessed
/// value to users who can read the work directory.
#[must_use]
pub fn store(values: &BTreeMap<SecretName, SecretValue>, randomness: &dyn Randomness) -> Zeroizing<String> {
    if values.is_empty() {
        return Zeroizing::new("[]".to_owned());
    }
    let entries: Vec<_> = values.iter().collect();
    store_fragment(&entries, true, true, randomness)
}

/// Writes a fragment of Nextflow's store. The fragments in order, with or without line breaks
/// between them, are a store like that of [`store`].
pub(crate) fn store_fragment(
    entries: &[(&SecretName, &SecretValue)],
    first: bool,
    last: bool,
    randomness: &dyn Randomness,
) -> Zeroizing<String> {
    let entry_bytes = |(name, value): &(&SecretName, &SecretValue)| {
        name.as_str().len() + value.json_length() + AROUND_ENTRY
    };
    let length: usize = entries.iter().map(entry_bytes).sum();
    // Sized up front: a buffer that grows would leave copies of values in memory.
    let mut text = Zeroizing::new(String::with_capacity(length + AROUND_STORE));
    if first {
        text.push('[');
    }
    for (name, value) in entries {
        text.push_str("{\"name\":\"");
        text.push_str(name.as_str());
        text.push_str("\",\"value\":");
        value.write_json(&mut text);
        text.push_str("},");
    }
    if last {
        text.push_str(&salt_entry(randomness));
        text.push(']');
    }
    text
}

fn salt_entry(randomness: &dyn Randomness) -> String {
    let mut salt = [0; 16];
    randomness.fill(&mut salt);
    format!("{{\"name\":\"{SALT}\",\"value\":\"{:0SALT_DIGITS$x}\"}}", u128::from_be_bytes(salt))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use crate::testing::{Repeating, values};

    #[test]
    fn the_store_is_the_json_that_nextflow_reads() {
        for (pairs, expected) in [
            (&[][..], "[]"),
            (
                &[("AA", "1\" 2")],
                r#"[{"name":"AA","value":"1\" 2"},{"name":"PIPELINE_SECRETS_SALT","value":"@"}]"#,
            ),
            (
                &[("AA", "1"), ("BB", "é"), ("CC", "\n")],
                concat!(
                    r#"[{"name":"AA","value":"1"},{"name":"BB","value":"é"},{"name":"CC","value":"\n"},"#,
                    r#"{"name":"PIPELINE_SECRETS_SALT","value":"@"}]"#
                ),
            ),
        ] {
            let store = store(&values(pairs), &Repeating(1));
            assert_eq!(*store, expected.replace('@', &"01".repeat(16)));
            // A buffer that grew would have left a copy of the values behind and would have a
            // different capacity.
            assert_eq!(store.capacity(), store.len(), "{expected}");
        }
    }

    #[test]
    fn two_stores_of_the_same_values_differ() {
        let values = values(&[("AA", "1")]);
        assert_ne!(store(&values, &Repeating(1)), store(&values, &Repeating(2)));
        assert!(SecretName::parse(SALT).unwrap().is_reserved(&Settings::new("test")));
    }

    #[test]
    fn a_fragment_leaves_no_copy_of_its_values() {
        let values = values(&[("AA", "1"), ("BB", "2")]);
        let entries: Vec<_> = values.iter().collect();
        for (first, last) in [(true, true), (true, false), (false, true), (false, false)] {
            let fragment = store_fragment(&entries, first, last, &Repeating(1));
            let around = usize::from(first) + usize::from(last) * (AROUND_STORE - 1);
            let entries = 2 * ("AA".len() + "\"1\"".len() + AROUND_ENTRY);
            assert_eq!(fragment.len(), entries + around, "{first} {last}");
            assert_eq!(fragment.capacity(), entries + AROUND_STORE, "{first} {last}: the buffer never grows");
        }
    }
}
