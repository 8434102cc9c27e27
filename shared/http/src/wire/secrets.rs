//! Pipeline secrets, in Seqera Platform's shapes (`docs/openapi.json`). A description or expiry shows only where one was
//! set, so that a client that knows neither never meets them.

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
// No `Debug`: it holds a value.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct NewSecret {
    #[cfg_attr(feature = "schema", schemars(with = "SecretName"))]
    name: String,
    value: Plaintext,
    #[cfg_attr(feature = "schema", schemars(with = "Option<Description>"))]
    description: Option<String>,
    /// After this no launch takes it; it has to lie ahead.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Date>"))]
    expires: Option<String>,
}

/// The body of `PUT /pipeline-secrets/{secretId}`.
// No `Debug`: it holds a value.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[expect(clippy::option_option, reason = "absent, null and a value mean different things")]
pub struct SecretUpdate {
    value: Plaintext,
    /// Absent: as it is. Null: none.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Description>"))]
    description: Option<Option<String>>,
    /// Absent: as it is. Null: none.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Date>"))]
    expires: Option<Option<String>>,
}

/// The text of a value in a body, zeroed after use.
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
                "At most {} bytes of UTF-8, and {} written as a JSON string; NUL is refused. It reaches the run byte for \
                 byte.",
                SecretValue::MAX_BYTES,
                SecretValue::MAX_JSON_BYTES
            ),
        })
    }
}

/// Checks the body of a creation.
pub fn draft(body: NewSecret, settings: &Settings) -> Result<Draft, Problem> {
    Ok(Draft {
        name: SecretName::new(&body.name, settings)?,
        value: body.value.into_value()?,
        description: body.description.as_deref().map(Description::new).transpose()?,
        expires: body.expires.as_deref().map(|text| instant("expires", text)).transpose()?,
    })
}

/// Checks the body of an update: `null` takes a description or expiry away.
pub fn change(body: SecretUpdate) -> Result<Change, Problem> {
    let description = body.description.map(|note| note.as_deref().map(Description::new).transpose());
    let expires = body.expires.map(|at| at.as_deref().map(|text| instant("expires", text)).transpose());
    Ok(Change {
        value: body.value.into_value()?,
        description: description.transpose()?,
        expires: expires.transpose()?,
    })
}

/// A secret, without its value. Description and expiry are there where they were set.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PipelineSecret<'a> {
    id: SecretId,
    name: &'a SecretName,
    /// When a run was last given it.
    last_used: Option<Date>,
    date_created: Date,
    /// When its present value was written.
    last_updated: Date,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Description"))]
    description: Option<&'a str>,
    /// After this no launch takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Date"))]
    expires: Option<Date>,
}

impl<'a> From<&'a Secret> for PipelineSecret<'a> {
    fn from(secret: &'a Secret) -> Self {
        Self {
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

/// The answer to `GET /pipeline-secrets`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PipelineSecretList"))]
pub struct SecretList<'a> {
    pipeline_secrets: Vec<PipelineSecret<'a>>,
    total_size: usize,
}

impl<'a> SecretList<'a> {
    /// All of them: there is no paging.
    #[must_use]
    pub fn new(secrets: &'a [Secret]) -> Self {
        Self {
            pipeline_secrets: secrets.iter().map(PipelineSecret::from).collect(),
            total_size: secrets.len(),
        }
    }
}

/// The answer to `GET /pipeline-secrets/{secretId}`.
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

/// The answer to `POST /pipeline-secrets`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PipelineSecretCreated"))]
pub struct SecretCreated {
    /// The new secret's id.
    pub secret_id: SecretId,
}

/// The answer to `GET /pipeline-secrets/{secretId}/history`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PipelineSecretHistory"))]
pub struct History {
    versions: Vec<VersionEntry>,
    total_size: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PipelineSecretVersion"))]
struct VersionEntry {
    version: Version,
    /// The user.
    written_by: UserId,
    date_written: Date,
    /// Null of the present version.
    date_replaced: Option<Date>,
}

impl History {
    /// The current version first.
    #[must_use]
    pub fn new(secret: &Secret, replaced: &[OldVersion]) -> Self {
        let current = VersionEntry {
            version: Version(secret.version),
            written_by: secret.updated_by,
            date_written: secret.updated.into(),
            date_replaced: None,
        };
        let older = replaced.iter().map(|old| VersionEntry {
            version: Version(old.version),
            written_by: old.written_by,
            date_written: old.written.into(),
            date_replaced: Some(old.replaced.into()),
        });
        let versions: Vec<_> = std::iter::once(current).chain(older).collect();
        Self { total_size: versions.len(), versions }
    }
}

/// The entity tag of a version: it tells versions apart and nothing of the value.
#[must_use]
pub fn etag(secret: &Secret) -> String {
    format!("\"{}\"", secret.version)
}

#[cfg(test)]
mod tests;
