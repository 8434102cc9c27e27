//! Compute environments and their credentials, in Seqera Platform's format. Of a body, only what
//! the service uses is read. What can hold a secret is refused, because the service submits no jobs
//! and stores no keys of AWS accounts.
//!
//! `deleted` is absent from every answer: Terraform takes any value of it, even `false`, for a
//! deleted resource.

mod compute_envs;
mod credentials;
#[cfg(test)]
mod tests;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

pub use self::compute_envs::{
    EnvironmentAnswer, EnvironmentBody, EnvironmentCreated, EnvironmentList, EnvironmentUpdateBody,
    environment_draft, environment_update,
};
pub use self::credentials::{
    CredentialsAnswer, CredentialsBody, CredentialsCreated, CredentialsList, credentials_draft,
};
use crate::body;
use crate::operation::UnknownNames;
use crate::problem::Problem;

/// The one provider of credentials.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline, description = ""))]
enum Provider {
    Aws,
}

/// The one platform of environments.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline, description = ""))]
enum EnvironmentPlatform {
    AwsBatch,
}

/// Whether the last check succeeded.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
enum Status {
    Available,
    Invalid,
}

impl Status {
    fn of(failure: Option<&str>) -> Self {
        match failure {
            None => Self::Available,
            Some(_) => Self::Invalid,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Available => "AVAILABLE",
            Self::Invalid => "INVALID",
        }
    }
}

/// The response to `POST …/validate`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Validated"))]
pub struct Validated<'a> {
    status: Status,
    /// What is wrong and what to do. Null if nothing is.
    message: Option<&'a str>,
    /// Always false: if the check cannot be made, the response is 503.
    transient_error: bool,
}

impl<'a> Validated<'a> {
    /// Creates the answer from what is wrong, if anything is.
    #[must_use]
    pub fn new(failure: Option<&'a str>) -> Self {
        Self { status: Status::of(failure), message: failure, transient_error: false }
    }
}

/// Reads an object within a body. An error names the object.
fn nested<T: DeserializeOwned>(name: &str, raw: Option<&RawValue>) -> Result<T, Problem> {
    let raw = raw.ok_or_else(|| Problem::bad_request(format!("`{name}` is missing.")))?;
    if !raw.get().starts_with('{') {
        return Err(Problem::bad_request(format!("`{name}` must be a JSON object.")));
    }
    let within = |problem: Problem| Problem::bad_request(format!("In `{name}`: {}", problem.message()));
    let read = body::parse::<T>(raw.get()).map_err(within)?;
    body::check_fields::<T>(raw.get(), UnknownNames::SimilarRefused).map_err(within)?;
    Ok(read)
}

/// Refuses a field that can hold a secret, unless it is null or empty.
fn refuse_content(name: &str, raw: Option<&RawValue>, reason: &str) -> Result<(), Problem> {
    match raw.map(|raw| raw.get().split_ascii_whitespace().collect::<String>()).as_deref() {
        None | Some("null" | "\"\"" | "[]" | "{}") => Ok(()),
        Some(_) => Err(Problem::bad_request(format!("`{name}` is not accepted: {reason}"))),
    }
}

/// Refuses another value of a field that has only one.
fn only(name: &str, value: Option<&str>, allowed: &str) -> Result<(), Problem> {
    match value {
        Some(value) if value == allowed => Ok(()),
        _ => Err(Problem::bad_request(format!(
            "`{name}` must be \"{allowed}\": this service supports no other."
        ))),
    }
}
