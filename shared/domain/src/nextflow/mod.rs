//! How open-source Nextflow handles secrets. This module knows which values its local store passes
//! to tasks, and generates the code with which tasks and head jobs on AWS Batch, where Nextflow
//! ignores the `secret` directive, read their copies.
//!
//! The rules were found by running Nextflow 24.10 and 25.04 with every character
//! (`tests/real-clients`). Nextflow turns its store into lines `export NAME="VALUE"` and escapes
//! only `$`. The wrapper of each task sources the lines that `grep -w 'NAME=.*'` finds for the
//! names in the task's directives.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::context::Randomness;
use crate::copies::Layout;
use crate::iam::CopyLocation;
use crate::name::SecretName;
use crate::run::Run;
use crate::value::SecretValue;

pub use crate::value::nextflow_store_preserves;

/// Finds the first secret whose value Nextflow would mistake for the assignment of another secret.
/// Nextflow's `grep -w 'NAME=.*'` also matches a line whose value contains `NAME=` at the start of
/// a word. Returns the secret with that value, and the name that the value contains.
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

/// The name of the random entry of a store. The prefix is reserved, so no secret has this name.
pub const SALT: &str = "PIPELINE_SECRETS_SALT";

/// Writes Nextflow's store: a JSON array of `{"name","value"}`.
///
/// The last entry is random. From version 25.04, Nextflow names a file by an unsalted hash of its
/// store, and this name is in every `.command.run`: without the entry, it would confirm a guessed
/// value to users who can read the work directory.
#[must_use]
pub fn store(values: &BTreeMap<SecretName, SecretValue>, randomness: &dyn Randomness) -> Zeroizing<String> {
    const AROUND: usize = r#"{"name":"","value":},"#.len();
    let length: usize =
        values.iter().map(|(name, value)| name.as_str().len() + value.json_length() + AROUND).sum();
    let salt = salt_entry(randomness);
    // Sized up front: a buffer that grows would leave copies of values in memory.
    let mut text = Zeroizing::new(String::with_capacity(length + salt.len() + 2));
    text.push('[');
    for (name, value) in values {
        text.push_str("{\"name\":\"");
        text.push_str(name.as_str());
        text.push_str("\",\"value\":");
        value.write_json(&mut text);
        text.push_str("},");
    }
    match values.is_empty() {
        true => text.push(']'),
        false => text.push_str(&(salt + "]")),
    }
    text
}

fn salt_entry(randomness: &dyn Randomness) -> String {
    let mut salt = [0; 16];
    randomness.fill(&mut salt);
    format!("{{\"name\":\"{SALT}\",\"value\":\"{:032x}\"}}", u128::from_be_bytes(salt))
}

/// Returns the Nextflow config for AWS Batch runs in which each task reads the `per-name` copies
/// that its `secret` directives name, with the AWS CLI that the task already has.
#[must_use]
pub fn tasks_config(run: &Run, home: &CopyLocation) -> String {
    include_str!("tasks.config").replace("@RUN@", run.id.as_str()).replace("@REGION@", &home.region)
}

/// Returns the Nextflow config for AWS Batch runs with the plugin `nf-pipeline-secrets`, which
/// names the copies in the job definitions of tasks.  `value_from` contains the reference of a job
/// definition to each secret.
#[must_use]
pub fn plugin_config<'a>(run: &Run, value_from: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let entries: Vec<_> =
        value_from.map(|(name, reference)| format!("\n    {name}: '{reference}'")).collect();
    let map = match entries.is_empty() {
        true => "[:]".to_owned(), // an empty map in Groovy
        false => format!("[{}\n]", entries.join(",")),
    };
    include_str!("plugin.config")
        .replace("@RUN@", run.id.as_str())
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
        .replace("@VALUE_FROM@", &map)
}

/// Returns the bash code with which the head job of an AWS Batch run records itself and, if the run
/// has `per-name` copies, writes Nextflow's store from them.
#[must_use]
pub fn head_job_prelude(run: &Run, home: &CopyLocation, endpoint: &str) -> String {
    let names: Vec<_> = match run.layout {
        Layout::PerName => run.lifecycle.secrets.iter().map(|pin| pin.name.as_str()).collect(),
        Layout::Bundle => Vec::new(),
    };
    include_str!("prelude.sh")
        .replace("@RUN@", run.id.as_str())
        .replace("@REGION@", &home.region)
        .replace("@ENDPOINT@", endpoint)
        .replace("@NAMES@", &names.join(" "))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::ids::{RunId, UserId};
    use crate::platform::Platform;
    use crate::settings::Settings;

    /// Repeats one byte.
    struct Bytes(u8);

    impl Randomness for Bytes {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    fn home() -> CopyLocation {
        CopyLocation::of_arn("arn:aws:dynamodb:eu-west-1:123456789012:table/t").unwrap()
    }

    fn run(names: &[&str]) -> Run {
        let secrets: Vec<_> = names
            .iter()
            .map(|name| serde_json::json!({"name": name, "owner": "WS#42", "id": 7, "version": 1}))
            .collect();
        let lifecycle = serde_json::json!({
            "revision": 1,
            "state": "pending",
            "leaseUntil": "2026-01-01T00:00:00Z",
            "secrets": secrets,
            "runToken": "hash",
        });
        Run {
            id: RunId::new("ab12ABCDEFGHIJ").unwrap(),
            workspace: "42".parse().ok(),
            user: UserId::new(5).unwrap(),
            platform: Platform::AwsBatch,
            layout: Layout::PerName,
            created: Timestamp::UNIX_EPOCH,
            not_after: Timestamp::UNIX_EPOCH,
            lifecycle: serde_json::from_value(lifecycle).unwrap(),
        }
    }

    /// Whether a text still contains a placeholder such as `@RUN@`.
    fn placeholder_in(text: &str) -> bool {
        let placeholder = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_uppercase());
        text.split('@').skip(1).any(placeholder)
    }

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
            assert!(!nextflow_store_preserves(value), "{value:?}");
        }
        for value in ["a b", " x ", "\t\r", "'!#=*?~{}[]();&|<>%^:,", "é€😀", "QUJD="] {
            assert!(nextflow_store_preserves(value), "{value:?}");
        }
    }

    #[test]
    fn a_value_that_looks_like_another_secrets_entry_is_found() {
        for (first, second, found) in [
            ("x BB=1", "v", Some("AA BB")),
            ("BB=1", "v", Some("AA BB")),
            ("x-BB=1", "v", Some("AA BB")),
            ("=BB=", "v", Some("AA BB")),
            ("éBB=1", "v", Some("AA BB")),
            ("BB and BB=1", "v", Some("AA BB")),
            ("xBB=1 BB=1", "v", Some("AA BB")),
            ("v", "AA=1", Some("BB AA")),
            ("BB=1", "AA=1", Some("AA BB")),
            ("xBB=1", "v", None),
            ("9BB=1", "v", None),
            ("_BB=1", "v", None),
            ("BB =1", "v", None),
            ("BB", "v", None),
            ("BBB=1", "v", None),
            ("bb=1", "v", None),
            ("CC=1", "v", None),
            ("AA=1", "BB=1", None),
            ("v", "v", None),
        ] {
            let values = values(&[("AA", first), ("BB", second)]);
            let collision = store_collision(&values).map(|(holder, name)| format!("{holder} {name}"));
            assert_eq!(collision.as_deref(), found, "AA is {first:?}, BB is {second:?}");
        }
    }

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
            let store = store(&values(pairs), &Bytes(1));
            assert_eq!(*store, expected.replace('@', &"01".repeat(16)));
            // A buffer that grew would have left a copy of the values behind and would have a
            // different capacity.
            let unused = if pairs.is_empty() { salt_entry(&Bytes(1)).len() } else { 0 };
            assert_eq!(store.capacity(), store.len() + unused, "{expected}");
        }
    }

    #[test]
    fn two_stores_of_the_same_values_differ() {
        let values = values(&[("AA", "1")]);
        assert_ne!(store(&values, &Bytes(1)), store(&values, &Bytes(2)));
        assert!(SecretName::parse(SALT).unwrap().is_reserved(&Settings::new("test")));
    }

    #[test]
    fn the_config_for_tasks_reads_this_runs_copies_in_its_region() {
        let config = tasks_config(&run(&["AA"]), &home());
        assert!(
            config.contains(r#"--region eu-west-1 --secret-id \"tower-ab12ABCDEFGHIJ/\$1\""#),
            "{config}"
        );
        assert!(!placeholder_in(&config), "{config}");
    }

    #[test]
    fn the_config_for_the_plugin_lists_the_references_of_the_run() {
        for (references, list) in [
            (&[][..], "valueFrom = [:]"),
            (&["arn:1:AA::"], "valueFrom = [\n    AA: 'arn:1:AA::'\n]"),
            (&["arn:1:AA::", "arn:2:BB::"], "valueFrom = [\n    AA: 'arn:1:AA::',\n    BB: 'arn:2:BB::'\n]"),
        ] {
            let config =
                plugin_config(&run(&["AA"]), ["AA", "BB"].into_iter().zip(references.iter().copied()));
            assert!(config.contains(list), "{config}");
            assert!(config.contains("workflowId = 'ab12ABCDEFGHIJ'"), "{config}");
            let version = env!("CARGO_PKG_VERSION");
            assert!(config.contains(&format!("id 'nf-pipeline-secrets@{version}'")), "{config}");
            assert!(!placeholder_in(&config), "{config}");
        }
    }

    #[test]
    fn the_prelude_of_a_bundle_reads_no_copy() {
        let bundle = Run { layout: Layout::Bundle, ..run(&["AA"]) };
        let prelude = head_job_prelude(&bundle, &home(), "https://secrets.example");
        assert!(prelude.contains("for name in ; do"), "{prelude}");
    }

    #[test]
    fn the_prelude_of_the_head_job_records_the_run_and_reads_the_copy_of_each_name() {
        for (names, list) in [(&[][..], ""), (&["AA"], "AA"), (&["AA", "BB_2"], "AA BB_2")] {
            let prelude = head_job_prelude(&run(names), &home(), "https://secrets.example");
            for part in [
                "'https://secrets.example/runs/ab12ABCDEFGHIJ/head-job'",
                r#"\"region\":\"eu-west-1\""#,
                r#"--region eu-west-1 --secret-id "tower-ab12ABCDEFGHIJ/$name""#,
                &format!("for name in {list}; do"),
            ] {
                assert!(prelude.contains(part), "{names:?}: {part}");
            }
            assert!(!placeholder_in(&prelude), "{names:?}: {prelude}");
        }
    }

    #[test]
    fn a_placeholder_is_recognized() {
        for (text, left) in [("a @RUN@ b", true), ("a@b", false), ("@@", false)] {
            assert_eq!(placeholder_in(text), left, "{text}");
        }
    }
}
