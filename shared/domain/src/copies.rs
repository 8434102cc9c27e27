//! The copies of a run in AWS Secrets Manager: names, tags, contents, and references in job
//! definitions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::context::Randomness;
use crate::ids::RunId;
use crate::name::SecretName;
use crate::nextflow_store;
use crate::owner::SecretOwner;
use crate::value::SecretValue;
use crate::{Error, Result};

pub use crate::layout::Layout;

/// A copy of a run. The run's row names it before it is created.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunCopy {
    /// Its name in AWS Secrets Manager.
    pub name: String,
    /// Its ARN, once it exists.
    #[serde(default)]
    pub arn: Option<String>,
    /// The names of the secrets in it.
    pub holds: Vec<SecretName>,
    /// Whether it is a fragment of Nextflow's store. The head job reads it, and no job definition
    /// refers to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub store: bool,
}

/// The maximum size of a secret in AWS Secrets Manager, in bytes
/// (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>).
pub const MAX_COPY_BYTES: usize = 65_536;

/// Plans the copies of a run from upper bounds of the value sizes, without the values.
///
/// `sizes` contains each name with an upper bound of its value's size as a JSON string, in bytes.
#[must_use]
pub fn plan(run: &RunId, layout: Layout, sizes: &[(SecretName, usize)]) -> Vec<RunCopy> {
    match layout {
        Layout::PerName => sizes
            .iter()
            .map(|(name, _)| RunCopy {
                name: format!("tower-{run}/{name}"),
                arn: None,
                holds: vec![name.clone()],
                store: false,
            })
            .collect(),
        Layout::Bundle => bundle(run, sizes).collect(),
        Layout::Plugin => bundle(run, sizes).chain(store(run, sizes)).collect(),
    }
}

fn bundle(run: &RunId, sizes: &[(SecretName, usize)]) -> impl Iterator<Item = RunCopy> {
    numbered(format!("tower-{run}"), shards(sizes, BUNDLE), false)
}

/// No other copy has a name of this form: after the run's id, a bundle has a dot and a number, and
/// a copy per name a slash.
fn store(run: &RunId, sizes: &[(SecretName, usize)]) -> impl Iterator<Item = RunCopy> {
    numbered(format!("tower-{run}.nextflow"), shards(sizes, STORE), true)
}

fn numbered(name: String, shards: Vec<Vec<SecretName>>, store: bool) -> impl Iterator<Item = RunCopy> {
    shards.into_iter().enumerate().map(move |(index, holds)| {
        let name = match index {
            0 => name.clone(),
            earlier => format!("{name}.{}", earlier + 1),
        };
        RunCopy { name, arn: None, holds, store }
    })
}

/// Returns the number of copies that [`plan`] makes.
#[must_use]
pub fn count(layout: Layout, sizes: &[(SecretName, usize)]) -> usize {
    match layout {
        Layout::PerName => sizes.len(),
        Layout::Bundle => shards(sizes, BUNDLE).len(),
        Layout::Plugin => shards(sizes, BUNDLE).len() + shards(sizes, STORE).len(),
    }
}

/// Returns the copies from which the head job makes Nextflow's store, in order.
pub fn of_store(layout: Layout, copies: &[RunCopy]) -> impl Iterator<Item = &RunCopy> {
    copies.iter().filter(move |copy| match layout {
        Layout::PerName => true,
        Layout::Bundle => false,
        Layout::Plugin => copy.store,
    })
}

/// The bytes of a shard in addition to names and values.
#[derive(Clone, Copy)]
struct Frame {
    /// Around all entries.
    shard: usize,
    /// Around each name and value.
    entry: usize,
}

/// `{` … `}`, with entries `"NAME":"value",`.
const BUNDLE: Frame = Frame { shard: 2, entry: 4 };

const STORE: Frame = Frame { shard: nextflow_store::AROUND_STORE, entry: nextflow_store::AROUND_ENTRY };

impl Frame {
    fn entry_bytes(self, name: &SecretName, json_bytes: usize) -> usize {
        name.as_str().len() + json_bytes + self.entry
    }
}

/// Packs secrets first fit, largest first. For these numbers and sizes it needs at most one shard
/// more than the minimum.
fn shards(sizes: &[(SecretName, usize)], frame: Frame) -> Vec<Vec<SecretName>> {
    let mut sizes = sizes.to_vec();
    sizes.sort_by(|(a, a_bytes), (b, b_bytes)| b_bytes.cmp(a_bytes).then_with(|| a.cmp(b)));
    let mut shards: Vec<(usize, Vec<SecretName>)> = Vec::new();
    for (name, bytes) in sizes {
        let bytes = frame.entry_bytes(&name, bytes);
        let fitting = shards.iter().position(|(used, _)| used + bytes <= MAX_COPY_BYTES - frame.shard);
        let index = fitting.unwrap_or_else(|| {
            shards.push((0, Vec::new()));
            shards.len() - 1
        });
        shards[index].0 += bytes;
        shards[index].1.push(name);
    }
    let mut shards: Vec<_> = shards.into_iter().map(|(_, names)| names).collect();
    for names in &mut shards {
        names.sort();
    }
    shards
}

/// Returns the text of the copy with this index: the value itself, the JSON object of a bundle, or
/// a fragment of Nextflow's store. Values in a bundle are always JSON strings, because the ECS
/// agent mangles numbers.
///
/// Returns [`Error::Conflict`] if a value was updated during the launch and no longer fits.
pub fn body(
    layout: Layout,
    copies: &[RunCopy],
    index: usize,
    values: &BTreeMap<SecretName, SecretValue>,
    randomness: &dyn Randomness,
) -> Result<Zeroizing<String>> {
    let copy = copies.get(index).ok_or(Error::bug("a copy that is not planned"))?;
    let mut entries = Vec::with_capacity(copy.holds.len());
    for name in &copy.holds {
        let value = values.get(name).ok_or(Error::bug("a planned secret has no value"))?;
        entries.push((name, value));
    }
    if layout == Layout::PerName {
        let (_, value) = entries.first().ok_or(Error::bug("a copy without secrets"))?;
        return Ok(Zeroizing::new(value.expose().to_owned()));
    }
    let frame = if copy.store { STORE } else { BUNDLE };
    let entry_bytes = |(name, value): &Entry<'_>| frame.entry_bytes(name, value.json_length());
    let length = frame.shard + entries.iter().map(entry_bytes).sum::<usize>();
    if length > MAX_COPY_BYTES {
        return Err(Error::Conflict("A secret changed during the launch. Launch again.".into()));
    }
    if !copy.store {
        return Ok(object(&entries, length));
    }
    let first = !copies[..index].iter().any(|copy| copy.store);
    let last = !copies[index + 1..].iter().any(|copy| copy.store);
    Ok(nextflow_store::store_fragment(&entries, first, last, randomness))
}

type Entry<'a> = (&'a SecretName, &'a SecretValue);

fn object(entries: &[Entry<'_>], length: usize) -> Zeroizing<String> {
    // Sized up front: a buffer that grows would leave copies of values in memory.
    let mut text = Zeroizing::new(String::with_capacity(length));
    for (index, (name, value)) in entries.iter().enumerate() {
        text.push(if index == 0 { '{' } else { ',' });
        text.push('"');
        text.push_str(name.as_str());
        text.push_str("\":");
        value.write_json(&mut text);
    }
    text.push('}');
    text
}

/// Returns the reference of a job definition to one secret of a copy
/// (`containerProperties.secrets[].valueFrom`).
#[must_use]
pub fn value_from(layout: Layout, arn: &str, name: &SecretName) -> String {
    match layout {
        Layout::PerName => arn.to_owned(),
        Layout::Bundle | Layout::Plugin => format!("{arn}:{name}::"),
    }
}

/// The tags of a copy. IAM policies and the sweep depend on them.
///
/// The tag keys have a prefix, so that they do not collide with an organization's tag policies.
/// Keys and values use the characters that every AWS service accepts: letters, digits, spaces and
/// `+ - = . _ : / @`.
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_TagResource.html>
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyTags {
    /// The deployment's name.
    pub deployment: String,
    /// The workspace, or the user for a launch without a workspace.
    pub scope: SecretOwner,
    /// The run's id.
    pub run: String,
    /// The latest end: the launch time plus the longest run. After it, the sweep deletes a copy of
    /// an unknown run.
    pub not_after: Timestamp,
}

impl CopyTags {
    /// The tag key of the deployment.
    pub const DEPLOYMENT: &str = "pipeline-secrets:deployment";
    /// The tag key of the scope.
    pub const SCOPE: &str = "pipeline-secrets:scope";
    /// The tag key of the run.
    pub const RUN: &str = "pipeline-secrets:run";
    /// The tag key of the latest end.
    pub const NOT_AFTER: &str = "pipeline-secrets:not-after";

    /// Returns the tags as they are written.
    #[must_use]
    pub fn encode(&self) -> [(&'static str, String); 4] {
        // Whole seconds, rounded down, so that the tag is never later than the run's own latest
        // end.
        let not_after = Timestamp::from_second(self.not_after.as_second()).unwrap_or(self.not_after);
        [
            (Self::DEPLOYMENT, self.deployment.clone()),
            (Self::SCOPE, scope_tag(self.scope)),
            (Self::RUN, self.run.clone()),
            (Self::NOT_AFTER, not_after.to_string()),
        ]
    }
}

/// Returns the tag value of a scope: `workspace/42` or `user/7`.
#[must_use]
pub fn scope_tag(scope: SecretOwner) -> String {
    match scope {
        SecretOwner::Workspace(id) => format!("workspace/{id}"),
        SecretOwner::User(id) => format!("user/{id}"),
    }
}

/// The tags of any secret in the account. A missing or malformed tag is `None`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FoundTags {
    /// The deployment's name.
    pub deployment: Option<String>,
    /// The workspace or the user.
    pub scope: Option<SecretOwner>,
    /// The run's id.
    pub run: Option<String>,
    /// When a copy of an unknown run may be deleted.
    pub not_after: Option<Timestamp>,
}

impl FoundTags {
    /// Parses tags. Keys are compared exactly, as IAM does.
    #[must_use]
    pub fn decode<'a>(tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut found = Self::default();
        for (key, value) in tags {
            match key {
                CopyTags::DEPLOYMENT => found.deployment = Some(value.to_owned()),
                CopyTags::SCOPE => found.scope = parse_scope(value),
                CopyTags::RUN => found.run = Some(value.to_owned()),
                CopyTags::NOT_AFTER => found.not_after = value.parse().ok(),
                _ => {}
            }
        }
        found
    }
}

fn parse_scope(value: &str) -> Option<SecretOwner> {
    match value.split_once('/')? {
        ("workspace", id) => id.parse().ok().map(SecretOwner::Workspace),
        ("user", id) => id.parse().ok().map(SecretOwner::User),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
