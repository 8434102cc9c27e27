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
use crate::copies::{self, Layout};
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

/// Returns the bash code with which the head job of an AWS Batch run records itself and writes
/// Nextflow's store: from `per-name` copies, from the fragments of the layout `plugin`, or an empty
/// one.
#[must_use]
pub fn head_job_prelude(run: &Run, home: &CopyLocation, endpoint: &str) -> String {
    let names: Vec<_> = match run.layout {
        Layout::PerName => run.lifecycle.secrets.iter().map(|pin| pin.name.as_str()).collect(),
        Layout::Bundle | Layout::Plugin => Vec::new(),
    };
    let fragments: Vec<_> = match run.layout {
        Layout::Plugin => {
            copies::of_store(run.layout, &run.lifecycle.copies).map(|copy| copy.name.as_str()).collect()
        }
        Layout::Bundle | Layout::PerName => Vec::new(),
    };
    include_str!("prelude.sh")
        .replace("@RUN@", run.id.as_str())
        .replace("@REGION@", &home.region)
        .replace("@ENDPOINT@", endpoint)
        .replace("@FRAGMENTS@", &fragments.join(" "))
        .replace("@NAMES@", &names.join(" "))
}

#[cfg(test)]
mod tests;
