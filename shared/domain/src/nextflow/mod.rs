//! How open-source Nextflow handles secrets. This module knows which values its local store passes
//! to tasks, and generates the code with which tasks and head jobs on AWS Batch, where Nextflow
//! ignores the `secret` directive, read their copies.
//!
//! The rules were found by running Nextflow 24.10 and 25.04 with every character
//! (`tests/real-clients`). Nextflow turns its store into lines `export NAME="VALUE"` and escapes
//! only `$`. The wrapper of each task sources the lines that `grep -w 'NAME=.*'` finds for the
//! names in the task's directives.

use std::collections::BTreeMap;

use crate::copies::{self, Layout};
use crate::iam::CopyLocation;
use crate::name::SecretName;
use crate::run::Run;
use crate::value::SecretValue;

pub use crate::nextflow_store::{SALT, store};
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
