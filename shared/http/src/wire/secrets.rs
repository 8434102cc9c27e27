//! Pipeline secrets, in Seqera Platform's format (`docs/openapi.json`). `description` and `expires`
//! are present only if they were set, because Seqera Platform's clients do not know them.

use std::collections::BTreeMap;

use domain::ids::{SecretId, UserId};
use domain::name::SecretName;
use domain::secret::{Description, OldVersion, Secret};
use domain::settings::Settings;
use domain::use_cases::change_secret::Change;
use domain::use_cases::create_secrets::Draft;
use domain::value::SecretValue;
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use super::{Date, Version, instant};
use crate::body::nullable;
use crate::problem::Problem;

/// The body of `POST /pipeline-secrets`.
// No `Debug`: it contains a value.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct NewSecret {
    #[cfg_attr(feature = "schema", schemars(with = "SecretName"))]
    name: String,
    value: Plaintext,
    #[cfg_attr(feature = "schema", schemars(with = "Option<Description>"))]
    description: Option<String>,
    /// After this time, a launch that selects the secret is refused. Must be in the future.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Date>"))]
    expires: Option<String>,
}

/// The body of `PUT /pipeline-secrets/{secretId}`.
// No `Debug`: it contains a value.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[expect(clippy::option_option, reason = "absent, null and a value mean different things")]
pub struct SecretUpdate {
    value: Plaintext,
    /// The new description. If absent, it does not change; if null, it is removed.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Description>"))]
    description: Option<Option<String>>,
    /// The new expiry. If absent, it does not change; if null, it is removed.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Date>"))]
    expires: Option<Option<String>>,
}

/// The text of a value in a body. Zeroed after use.
pub(crate) struct Plaintext(Zeroizing<String>);

impl Plaintext {
    pub(crate) fn into_value(self) -> domain::Result<SecretValue> {
        SecretValue::new(self.0)
    }
}

impl<'de> Deserialize<'de> for Plaintext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Plaintext {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretValue".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "minLength": 1,
            "maxLength": SecretValue::MAX_BYTES,
            "pattern": "^[^\\u0000]+$",
            "description": format!(
                "At most {} bytes of UTF-8, and at most {} bytes when written as a JSON string. Must not contain NUL. \
                 The run receives it byte for byte.",
                SecretValue::MAX_BYTES,
                SecretValue::MAX_JSON_BYTES
            ),
        })
    }
}

/// Checks the body of `POST /pipeline-secrets`.
pub fn draft(body: NewSecret, settings: &Settings) -> Result<Draft, Problem> {
    Ok(Draft {
        name: SecretName::new(&body.name, settings)?,
        value: body.value.into_value()?,
        description: body.description.as_deref().map(Description::new).transpose()?,
        expires: body.expires.as_deref().map(|text| instant("expires", text)).transpose()?,
    })
}

/// Checks the body of `PUT /pipeline-secrets/{secretId}`: `null` removes a description or expiry.
pub fn change(body: SecretUpdate) -> Result<Change, Problem> {
    let description = body.description.map(|note| note.as_deref().map(Description::new).transpose());
    let expires = body.expires.map(|at| at.as_deref().map(|text| instant("expires", text)).transpose());
    Ok(Change {
        value: body.value.into_value()?,
        description: description.transpose()?,
        expires: expires.transpose()?,
    })
}

/// A secret without its value. `description` and `expires` are present only if they were set.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PipelineSecret<'a> {
    id: SecretId,
    name: &'a SecretName,
    /// When a run last received the secret.
    last_used: Option<Date>,
    date_created: Date,
    /// When the current value was written.
    last_updated: Date,
    /// A note. An old one may contain characters that a new one must not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "&str", length(max = Description::MAX_BYTES)))]
    description: Option<&'a str>,
    /// After this time, a launch that selects the secret is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Date"))]
    expires: Option<Date>,
    /// Who wrote the current version. Only in a list that was requested with `authors=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Author"))]
    author: Option<Author<'a>>,
}

/// A user who wrote a version.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Author<'a> {
    id: UserId,
    /// Null if the user no longer exists.
    user_name: Option<&'a str>,
}

/// The names of users, for an answer in which they were requested.
pub type UserNames = BTreeMap<UserId, String>;

fn author(names: Option<&UserNames>, id: UserId) -> Option<Author<'_>> {
    names.map(|names| Author { id, user_name: names.get(&id).map(String::as_str) })
}

impl<'a> From<&'a Secret> for PipelineSecret<'a> {
    fn from(secret: &'a Secret) -> Self {
        Self {
            author: None,
            id: secret.id,
            name: &secret.name,
            last_used: secret.last_used.map(Date::from),
            date_created: secret.created.into(),
            last_updated: secret.updated.into(),
            description: secret.description.as_ref().map(Description::as_str),
            expires: secret.expires.map(Date::from),
        }
    }
}

/// The response to `GET /pipeline-secrets`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PipelineSecretList"))]
pub struct SecretList<'a> {
    pipeline_secrets: Vec<PipelineSecret<'a>>,
    total_size: usize,
}

impl<'a> SecretList<'a> {
    /// Creates the answer with all secrets: there is no paging.
    #[must_use]
    pub fn new(secrets: &'a [Secret], names: Option<&'a UserNames>) -> Self {
        let with_author = |secret: &'a Secret| PipelineSecret {
            author: author(names, secret.updated_by),
            ..PipelineSecret::from(secret)
        };
        Self { pipeline_secrets: secrets.iter().map(with_author).collect(), total_size: secrets.len() }
    }
}

/// The response to `GET /pipeline-secrets/{secretId}`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PipelineSecretAnswer"))]
pub struct SecretAnswer<'a> {
    pipeline_secret: PipelineSecret<'a>,
}

impl<'a> From<&'a Secret> for SecretAnswer<'a> {
    fn from(secret: &'a Secret) -> Self {
        Self { pipeline_secret: secret.into() }
    }
}

/// The response to `POST /pipeline-secrets`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PipelineSecretCreated"))]
pub struct SecretCreated {
    /// The ID of the new secret.
    pub secret_id: SecretId,
}

/// The response to `GET /pipeline-secrets/{secretId}/history`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PipelineSecretHistory"))]
pub struct History<'a> {
    versions: Vec<VersionEntry<'a>>,
    total_size: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PipelineSecretVersion"))]
struct VersionEntry<'a> {
    version: Version,
    /// The user who wrote this version.
    written_by: UserId,
    /// The same user with the name. Only if it was requested with `authors=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Author"))]
    author: Option<Author<'a>>,
    date_written: Date,
    /// When the next version was written. Null for the current version.
    date_replaced: Option<Date>,
}

impl<'a> History<'a> {
    /// Creates the answer with the current version first.
    #[must_use]
    pub fn new(secret: &Secret, replaced: &[OldVersion], names: Option<&'a UserNames>) -> Self {
        let current = VersionEntry {
            version: Version(secret.version),
            written_by: secret.updated_by,
            author: author(names, secret.updated_by),
            date_written: secret.updated.into(),
            date_replaced: None,
        };
        let older = replaced.iter().map(|old| VersionEntry {
            version: Version(old.version),
            written_by: old.written_by,
            author: author(names, old.written_by),
            date_written: old.written.into(),
            date_replaced: Some(old.replaced.into()),
        });
        let versions: Vec<_> = std::iter::once(current).chain(older).collect();
        Self { total_size: versions.len(), versions }
    }
}

/// Returns the entity tag of a version. It reveals nothing about the value.
#[must_use]
pub fn etag(secret: &Secret) -> String {
    format!("\"{}\"", secret.version)
}

#[cfg(test)]
mod tests;
