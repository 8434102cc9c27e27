//! What open-source Nextflow makes of secrets: what its local store carries to a task, and what makes its tasks and head
//! job on AWS Batch, where it ignores the `secret` directive, read their copies themselves.
//!
//! The rules were found by running Nextflow 24.10 and 25.04 with every character (`tests/real-clients`). Nextflow turns
//! its store into lines `export NAME="VALUE"`, escapes only `$`, and each task's wrapper sources the lines that
//! `grep -w 'NAME=.*'` finds for the names that its directives ask for.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::iam::CopyHome;
use crate::name::SecretName;
use crate::run::Run;
use crate::value::SecretValue;

/// Whether Nextflow's local store brings a value to a task unchanged.
///
/// A new line breaks the line apart, and quotes, backticks and backslashes are read by the shell. `$` survives a plain
/// task, but Apptainer and Singularity, the usual containers on HPC, evaluate it in every variable they are given.
#[must_use]
pub fn store_carries(value: &str) -> bool {
    // Bytes, not characters: no byte of a longer character is one of these.
    !value.bytes().any(|byte| matches!(byte, b'\0' | b'\n' | b'"' | b'$' | b'\\' | b'`'))
}

/// The first secret whose value would hand a task a further secret: Nextflow's `grep -w 'NAME=.*'` also finds a line
/// whose value holds `NAME=` at the start of a word. Gives the secret with that value and the name that it holds.
#[must_use]
pub fn store_collision(values: &BTreeMap<SecretName, SecretValue>) -> Option<(&SecretName, &SecretName)> {
    values.iter().find_map(|(holder, value)| {
        values
            .keys()
            .find(|name| *name != holder && holds_assignment(value.expose(), name.as_str()))
            .map(|name| (holder, name))
    })
}

fn holds_assignment(value: &str, name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    value.match_indices(name).any(|(at, _)| {
        let before = value.as_bytes()[..at].last().copied();
        value[at + name.len()..].starts_with('=') && !before.is_some_and(word)
    })
}

/// Nextflow's store: a JSON array of `{"name","value"}`.
#[must_use]
pub fn store(values: &BTreeMap<SecretName, SecretValue>) -> Zeroizing<String> {
    const AROUND: usize = r#"{"name":"","value":},"#.len();
    let length: usize =
        values.iter().map(|(name, value)| name.as_str().len() + value.json_length() + AROUND).sum();
    // Sized beforehand, so that growing leaves no copy of a value behind.
    let mut text = Zeroizing::new(String::with_capacity(length + 2));
    text.push('[');
    for (index, (name, value)) in values.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str("{\"name\":\"");
        text.push_str(name.as_str());
        text.push_str("\",\"value\":");
        value.write_json(&mut text);
        text.push('}');
    }
    text.push(']');
    text
}

/// The Nextflow config with which each task of an AWS Batch run reads the `per-name` copies that its `secret` directives
/// name, with the AWS CLI that it already has.
#[must_use]
pub fn tasks_config(run: &Run, home: &CopyHome) -> String {
    include_str!("tasks.config").replace("@RUN@", run.id.as_str()).replace("@REGION@", &home.region)
}

/// The lines of bash with which the head job of an AWS Batch run records itself and writes Nextflow's store from the
/// `per-name` copies.
#[must_use]
pub fn head_job_prelude(run: &Run, home: &CopyHome, endpoint: &str) -> String {
    let names: Vec<_> = run.life.secrets.iter().map(|pin| pin.name.as_str()).collect();
    include_str!("prelude.sh")
        .replace("@RUN@", run.id.as_str())
        .replace("@REGION@", &home.region)
        .replace("@ENDPOINT@", endpoint)
        .replace("@NAMES@", &names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<SecretName, SecretValue> {
        pairs
            .iter()
            .map(|(name, value)| {
                let value = SecretValue::new((*value).to_owned().into()).unwrap();
                (SecretName::parse(name).unwrap(), value)
            })
            .collect()
    }

    #[test]
    fn values_that_a_shell_would_read_are_not_carried() {
        for value in ["a\nb", "a\"b", "a\\b", "a`b", "a$b", "\";touch x;\""] {
            assert!(!store_carries(value), "{value:?}");
        }
        for value in ["a b", " x ", "\t\r", "'!#=*?~{}[]();&|<>%^:,", "é€😀", "QUJD="] {
            assert!(store_carries(value), "{value:?}");
        }
    }

    #[test]
    fn a_value_that_looks_like_another_secrets_entry_is_found() {
        let found = |pairs| store_collision(&values(pairs)).map(|(holder, name)| format!("{holder} {name}"));
        assert_eq!(found(&[("AA", "x BB=1"), ("BB", "v")]), Some("AA BB".into()));
        assert_eq!(found(&[("AA", "BB=1"), ("BB", "v")]), Some("AA BB".into()));
        assert_eq!(found(&[("AA", "xBB=1"), ("BB", "v")]), None);
        assert_eq!(found(&[("AA", "AA=1"), ("BB", "BB")]), None);
    }

    #[test]
    fn the_store_is_the_json_that_nextflow_reads() {
        let store = store(&values(&[("AA", "1\" 2"), ("BB", "é")]));
        let parsed: serde_json::Value = serde_json::from_str(&store).unwrap();
        assert_eq!(
            parsed,
            serde_json::json!([{"name": "AA", "value": "1\" 2"}, {"name": "BB", "value": "é"}])
        );
        assert!(store.capacity() >= store.len());
    }
}
