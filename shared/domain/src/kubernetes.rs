//! What the head job of a run on Kubernetes claims: the data of a Secret for its tasks, and
//! Nextflow's store for itself.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::context::Randomness;
use crate::name::SecretName;
use crate::nextflow_store;
use crate::value::SecretValue;

/// The maximum size of the values of a Kubernetes Secret together, in bytes.
/// <https://kubernetes.io/docs/concepts/configuration/secret/#restriction-data-size>
pub const MAX_SECRET_BYTES: usize = 1024 * 1024;

/// The secrets of a run on Kubernetes, in the form in which a shell script passes them on unparsed.
pub struct KubernetesSecrets {
    /// Nextflow's store, for the head job.
    pub store: Zeroizing<String>,
    /// The field `data` of the Secret, a JSON object of base64, for tasks.
    pub data: Zeroizing<String>,
}

impl KubernetesSecrets {
    /// Writes both. The store has every name, because Nextflow refuses a task whose secret it does
    /// not have.
    #[must_use]
    pub fn new(values: &BTreeMap<SecretName, SecretValue>, randomness: &dyn Randomness) -> Self {
        Self { store: nextflow_store::store(values, randomness), data: secret_data(values) }
    }
}

/// Whether the values are too large for one Secret.
pub(crate) fn exceeds_secret(values: &BTreeMap<SecretName, SecretValue>) -> bool {
    values.values().map(|value| value.expose().len()).sum::<usize>() > MAX_SECRET_BYTES
}

fn secret_data(values: &BTreeMap<SecretName, SecretValue>) -> Zeroizing<String> {
    let entry = |(name, value): (&SecretName, &SecretValue)| {
        name.as_str().len() + value.expose().len().div_ceil(3) * 4 + r#""":"","#.len()
    };
    // Sized up front: a buffer that grows would leave copies of values in memory.
    let length = values.iter().map(entry).sum::<usize>() + "{}".len() - usize::from(!values.is_empty());
    let mut data = Zeroizing::new(String::with_capacity(length));
    data.push('{');
    for (index, (name, value)) in values.iter().enumerate() {
        data.push_str(if index == 0 { "\"" } else { ",\"" });
        data.push_str(name.as_str());
        data.push_str("\":\"");
        STANDARD.encode_string(value.expose(), &mut data);
        data.push('"');
    }
    data.push('}');
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Repeating, values};

    #[test]
    fn the_secret_and_the_store_have_every_value() {
        for (pairs, store, data) in [
            (&[][..], "[]", "{}"),
            (&[("AA", "1")], r#"[{"name":"AA","value":"1"},@]"#, r#"{"AA":"MQ=="}"#),
            (
                &[("AA", "two\nlines")],
                r#"[{"name":"AA","value":"two\nlines"},@]"#,
                r#"{"AA":"dHdvCmxpbmVz"}"#,
            ),
            (
                &[("AA", "`id`"), ("BB", "é x"), ("CC", "\"$\\\u{1}")],
                r#"[{"name":"AA","value":"`id`"},{"name":"BB","value":"é x"},{"name":"CC","value":"\"$\\\u0001"},@]"#,
                r#"{"AA":"YGlkYA==","BB":"w6kgeA==","CC":"IiRcAQ=="}"#,
            ),
        ] {
            let secrets = KubernetesSecrets::new(&values(pairs), &Repeating(1));
            let salt = format!(r#"{{"name":"PIPELINE_SECRETS_SALT","value":"{}"}}"#, "01".repeat(16));
            assert_eq!(*secrets.store, store.replace('@', &salt));
            assert_eq!(*secrets.data, data);
            assert_eq!(secrets.data.capacity(), secrets.data.len(), "{data}: the buffer never grows");
        }
    }

    #[test]
    fn the_sizes_of_all_values_count_against_the_limit_of_a_secret() {
        let most = "x".repeat(SecretValue::MAX_BYTES);
        for (count, extra, exceeds) in [(32, "", false), (31, &*most, false), (32, "y", true)] {
            let names: Vec<_> = (0..count).map(|number| format!("S{number}")).collect();
            let mut pairs: Vec<_> = names.iter().map(|name| (name.as_str(), most.as_str())).collect();
            if !extra.is_empty() {
                pairs.push(("EXTRA", extra));
            }
            assert_eq!(exceeds_secret(&values(&pairs)), exceeds, "{count} {}", extra.len());
        }
    }
}
