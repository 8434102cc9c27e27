//! Pipeline secrets, in Seqera Platform's shapes (contract §1). A description or expiry shows only where one was set,
//! so that a client that knows neither never meets them.

use domain::Timestamp;
use domain::ids::SecretId;
use domain::name::SecretName;
use domain::secret::{OldVersion, Secret};
use domain::settings::Settings;
use domain::use_cases::change_secret::Change;
use domain::use_cases::create_secrets::Draft;
use serde::Serialize;

use super::date;
use crate::fields::Fields;
use crate::problem::Problem;

/// A pipeline secret.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PipelineSecret<'a> {
    id: i64,
    name: &'a str,
    last_used: Option<String>,
    date_created: String,
    last_updated: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

impl<'a> From<&'a Secret> for PipelineSecret<'a> {
    fn from(secret: &'a Secret) -> Self {
        Self {
            id: secret.id.number(),
            name: secret.name.as_str(),
            last_used: secret.last_used.map(date),
            date_created: date(secret.created),
            last_updated: date(secret.updated),
            description: secret.description.as_ref().map(domain::secret::Description::as_str),
            expires: secret.expires.map(date),
        }
    }
}

/// `GET /pipeline-secrets`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
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

/// `GET /pipeline-secrets/{secretId}`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretAnswer<'a> {
    pipeline_secret: PipelineSecret<'a>,
}

impl<'a> From<&'a Secret> for SecretAnswer<'a> {
    fn from(secret: &'a Secret) -> Self {
        Self { pipeline_secret: secret.into() }
    }
}

/// `POST /pipeline-secrets`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretCreated {
    /// The new secret's id.
    pub secret_id: SecretId,
}

/// `GET /pipeline-secrets/{secretId}/history`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    versions: Vec<Version>,
    total_size: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    #[serde(rename = "version")]
    number: u64,
    written_by: i64,
    date_written: String,
    date_replaced: Option<String>,
}

impl History {
    /// The current version first.
    #[must_use]
    pub fn new(secret: &Secret, replaced: &[OldVersion]) -> Self {
        let current = Version {
            number: secret.version,
            written_by: secret.updated_by.number(),
            date_written: date(secret.updated),
            date_replaced: None,
        };
        let older = replaced.iter().map(|old| Version {
            number: old.version,
            written_by: old.written_by.number(),
            date_written: date(old.written),
            date_replaced: Some(date(old.replaced)),
        });
        let versions: Vec<_> = std::iter::once(current).chain(older).collect();
        Self { total_size: versions.len(), versions }
    }
}

/// Reads the body of a creation.
pub fn draft(fields: &Fields<'_>, settings: &Settings) -> Result<Draft, Problem> {
    Ok(Draft {
        name: SecretName::new(&fields.required_text("name")?, settings)?,
        value: fields.secret_value()?,
        description: fields.description()?,
        expires: fields.instant("expires")?,
    })
}

/// Reads the body of an update: `null` takes a description or expiry away.
pub fn change(fields: &Fields<'_>) -> Result<Change, Problem> {
    let description = match fields.is_null("description")? {
        true => Some(None),
        false => fields.description()?.map(Some),
    };
    let expires: Option<Option<Timestamp>> = match fields.is_null("expires")? {
        true => Some(None),
        false => fields.instant("expires")?.map(Some),
    };
    Ok(Change { value: fields.secret_value()?, description, expires })
}

/// The entity tag of a version: it tells versions apart and nothing of the value.
#[must_use]
pub fn etag(secret: &Secret) -> String {
    format!("\"{}\"", secret.version)
}

#[cfg(test)]
mod tests;
