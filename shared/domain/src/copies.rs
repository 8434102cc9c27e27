//! The copies of a run in AWS Secrets Manager: their names, their tags, what each holds, and how a job refers to them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::ids::RunId;
use crate::name::SecretName;
use crate::owner::SecretOwner;
use crate::value::SecretValue;
use crate::{Error, Result};

pub use crate::layout::Layout;

/// One copy of a run: named in the run's row before it is made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunCopy {
    /// Its name in AWS Secrets Manager.
    pub name: String,
    /// Its ARN, once it is made.
    #[serde(default)]
    pub arn: Option<String>,
    /// The secrets in it.
    pub holds: Vec<SecretName>,
}

/// Bytes in a secret of AWS Secrets Manager
/// (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>).
pub const MAX_COPY_BYTES: usize = 65_536;

/// Plans a run's copies from what each secret needs at most: no value is known yet, and none is needed.
///
/// `sizes` holds each name with the bytes of its value as a JSON string.
#[must_use]
pub fn plan(run: &RunId, layout: Layout, sizes: &[(SecretName, usize)]) -> Vec<RunCopy> {
    match layout {
        Layout::PerName => sizes
            .iter()
            .map(|(name, _)| RunCopy {
                name: format!("tower-{run}/{name}"),
                arn: None,
                holds: vec![name.clone()],
            })
            .collect(),
        Layout::Bundle => shards(sizes)
            .into_iter()
            .enumerate()
            .map(|(index, holds)| {
                let suffix = match index {
                    0 => String::new(),
                    earlier => format!(".{}", earlier + 1),
                };
                RunCopy { name: format!("tower-{run}{suffix}"), arn: None, holds }
            })
            .collect(),
    }
}

/// How many copies [`plan`] makes.
#[must_use]
pub fn count(layout: Layout, sizes: &[(SecretName, usize)]) -> usize {
    match layout {
        Layout::PerName => sizes.len(),
        Layout::Bundle => shards(sizes).len(),
    }
}

/// First fit, largest first: within one shard of the least that any order needs, for such few and such sizes.
fn shards(sizes: &[(SecretName, usize)]) -> Vec<Vec<SecretName>> {
    let mut sizes = sizes.to_vec();
    sizes.sort_by(|(a, a_bytes), (b, b_bytes)| b_bytes.cmp(a_bytes).then_with(|| a.cmp(b)));
    let mut shards: Vec<(usize, Vec<SecretName>)> = Vec::new();
    for (name, bytes) in sizes {
        let bytes = entry_bytes(&name, bytes);
        let fitting = shards.iter().position(|(used, _)| used + bytes <= MAX_COPY_BYTES - BRACES);
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

const BRACES: usize = 2;

/// `"NAME":"value",`
fn entry_bytes(name: &SecretName, json_bytes: usize) -> usize {
    name.as_str().len() + json_bytes + 4
}

/// The text of a copy: the value itself, or the JSON object of a bundle. Values are JSON strings always: the ECS agent
/// mangles numbers.
///
/// [`Error::Conflict`] where a value grew past the plan because it was rotated during the launch.
pub fn body(
    layout: Layout,
    copy: &RunCopy,
    values: &BTreeMap<SecretName, SecretValue>,
) -> Result<Zeroizing<String>> {
    let value = |name: &SecretName| values.get(name).ok_or(Error::bug("a planned secret has no value"));
    if layout == Layout::PerName {
        let name = copy.holds.first().ok_or(Error::bug("a copy without secrets"))?;
        return Ok(Zeroizing::new(value(name)?.expose().to_owned()));
    }
    let mut length = BRACES;
    for name in &copy.holds {
        length += entry_bytes(name, value(name)?.json_length());
    }
    if length > MAX_COPY_BYTES {
        return Err(Error::Conflict("A secret changed during the launch. Launch again.".into()));
    }
    // Sized beforehand, so that growing leaves no copy of a value behind.
    let mut text = Zeroizing::new(String::with_capacity(length));
    for (index, name) in copy.holds.iter().enumerate() {
        text.push(if index == 0 { '{' } else { ',' });
        text.push('"');
        text.push_str(name.as_str());
        text.push_str("\":");
        value(name)?.write_json(&mut text);
    }
    text.push('}');
    Ok(text)
}

/// How a job definition refers to one secret of a copy (`containerProperties.secrets[].valueFrom`).
#[must_use]
pub fn value_from(layout: Layout, arn: &str, name: &SecretName) -> String {
    match layout {
        Layout::PerName => arn.to_owned(),
        Layout::Bundle => format!("{arn}:{name}::"),
    }
}

/// The tags of a copy. IAM policies and the sweep decide by them.
///
/// The keys have a prefix of their own, so that they do not collide with an organization's tag policies. Keys and values
/// use the characters that every AWS service accepts: letters, digits, spaces and `+ - = . _ : / @`.
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_TagResource.html>
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyTags {
    /// The deployment's name.
    pub deployment: String,
    /// The workspace, or the user for a launch without a workspace.
    pub scope: SecretOwner,
    /// The run.
    pub run: String,
    /// Launch plus the longest run: past it a copy of an unknown run is removed.
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

    /// Keys and values, as they are written.
    #[must_use]
    pub fn encode(&self) -> [(&'static str, String); 4] {
        // Whole seconds; the fraction is cut off, so that a copy never outlives its run's own date.
        let not_after = Timestamp::from_second(self.not_after.as_second()).unwrap_or(self.not_after);
        [
            (Self::DEPLOYMENT, self.deployment.clone()),
            (Self::SCOPE, scope_tag(self.scope)),
            (Self::RUN, self.run.clone()),
            (Self::NOT_AFTER, not_after.to_string()),
        ]
    }
}

/// The tag value of a scope: `workspace/42` or `user/7`.
#[must_use]
pub fn scope_tag(scope: SecretOwner) -> String {
    match scope {
        SecretOwner::Workspace(id) => format!("workspace/{id}"),
        SecretOwner::User(id) => format!("user/{id}"),
    }
}

/// What the tags of any secret say, ours or not. A tag that is missing or malformed is `None`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FoundTags {
    /// The deployment's name.
    pub deployment: Option<String>,
    /// The workspace or the user.
    pub scope: Option<SecretOwner>,
    /// The run.
    pub run: Option<String>,
    /// When a copy of an unknown run may be removed.
    pub not_after: Option<Timestamp>,
}

impl FoundTags {
    /// Reads keys and values. Keys are compared exactly, as IAM compares them.
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
