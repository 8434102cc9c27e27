//! Credentials in role mode.

use std::collections::BTreeMap;

use domain::environment::{CredentialsId, ExternalId, RoleArn, Service, StoredCredentials, setup};
use domain::secret::Description;
use domain::use_cases::environments::credentials::CredentialsDraft;
use domain::use_cases::environments::environment_name;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::Date;
use super::{Provider, nested, only, refuse_content};
use crate::problem::Problem;

/// The body of `POST /credentials` and `PUT /credentials/{credentialsId}`.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct CredentialsBody {
    #[cfg_attr(feature = "schema", schemars(with = "Draft"))]
    credentials: Box<RawValue>,
}

/// Credentials as a client describes them. Other fields are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "CredentialsDraft"))]
struct Draft {
    #[cfg_attr(feature = "schema", schemars(length(min = 2, max = 99), regex(pattern = "^[A-Za-z0-9_-]+$")))]
    name: String,
    #[cfg_attr(feature = "schema", schemars(with = "Option<Description>"))]
    description: Option<String>,
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["aws"])))]
    provider: String,
    #[cfg_attr(feature = "schema", schemars(with = "Keys"))]
    keys: Option<Box<RawValue>>,
}

/// The role. Access keys are refused: this service stores no keys of AWS accounts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "CredentialsKeysDraft"))]
struct Keys {
    /// `role`, which is also the default.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["role", null])))]
    mode: Option<String>,
    /// The ARN of the role, whose name begins with `pipeline-secrets-`. The role can be created
    /// later.
    #[cfg_attr(feature = "schema", schemars(with = "String", regex(pattern = ROLE_PATTERN)))]
    assume_role_arn: Option<String>,
    #[cfg_attr(feature = "schema", schemars(skip))]
    external_id: Option<String>,
    #[cfg_attr(feature = "schema", schemars(skip))]
    access_key: Option<Box<RawValue>>,
    #[cfg_attr(feature = "schema", schemars(skip))]
    secret_key: Option<Box<RawValue>>,
}

#[cfg(feature = "schema")]
const ROLE_PATTERN: &str =
    r"^arn:aws(-cn|-us-gov)?:iam::[0-9]{12}:role/pipeline-secrets-[A-Za-z0-9_+=,.@-]{1,47}$";

/// Checks the body of `POST /credentials` and `PUT /credentials/{credentialsId}`.
pub fn credentials_draft(body: &CredentialsBody) -> Result<CredentialsDraft, Problem> {
    let draft: Draft = nested("credentials", Some(&*body.credentials))?;
    only("credentials.provider", Some(&draft.provider), "aws")?;
    let keys: Keys = nested("credentials.keys", draft.keys.as_deref())?;
    for (name, key) in [("accessKey", &keys.access_key), ("secretKey", &keys.secret_key)] {
        refuse_content(&format!("credentials.keys.{name}"), key.as_deref(), NO_KEYS)?;
    }
    if keys.mode.as_deref().is_some_and(|mode| mode != "role") {
        return Err(Problem::bad_request(format!("`credentials.keys.mode` must be \"role\": {NO_KEYS}")));
    }
    let role = keys.assume_role_arn.as_deref().ok_or_else(|| {
        Problem::bad_request(
            "`credentials.keys.assumeRoleArn` is missing: name the role that the service will assume.",
        )
    })?;
    Ok(CredentialsDraft {
        name: environment_name(&draft.name)?,
        description: draft.description.as_deref().map(Description::new).transpose()?,
        role: RoleArn::parse(role)?,
        external_id: keys.external_id,
    })
}

const NO_KEYS: &str = "this service stores no access keys of AWS accounts. Use a role: \
    {\"mode\": \"role\", \"assumeRoleArn\": \"arn:aws:iam::…:role/pipeline-secrets-…\"}.";

/// The response to `POST /credentials`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CredentialsCreated {
    /// The ID of the new credentials.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub credentials_id: CredentialsId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Credentials<'a> {
    id: &'a str,
    name: &'a str,
    description: Option<&'a str>,
    provider: Provider,
    keys: RoleKeys<'a>,
    date_created: Date,
    last_updated: Date,
    last_used: (),
}

/// The role, and the external ID that its trust policy must demand.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct RoleKeys<'a> {
    /// Clients distinguish the providers' keys by it.
    discriminator: Provider,
    mode: Mode,
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    assume_role_arn: &'a RoleArn,
    /// Made by the service for this workspace. It is not a secret.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    external_id: &'a ExternalId,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
enum Mode {
    Role,
}

impl<'a> From<&'a StoredCredentials> for Credentials<'a> {
    fn from(stored: &'a StoredCredentials) -> Self {
        Self {
            id: stored.id.as_str(),
            name: &stored.name,
            description: stored.description.as_deref(),
            provider: Provider::Aws,
            keys: RoleKeys {
                discriminator: Provider::Aws,
                mode: Mode::Role,
                assume_role_arn: &stored.role,
                external_id: &stored.external_id,
            },
            date_created: stored.created.into(),
            last_updated: stored.updated.into(),
            last_used: (),
        }
    }
}

/// The response to `GET /credentials`.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CredentialsList<'a> {
    credentials: Vec<Credentials<'a>>,
}

impl<'a> CredentialsList<'a> {
    /// Creates the answer. `platform` is the query's `platformId`.
    #[must_use]
    pub fn new(all: &'a [StoredCredentials], platform: Option<&str>) -> Self {
        let matches = platform.is_none_or(|platform| platform == "aws-batch");
        Self { credentials: all.iter().filter(|_| matches).map(Credentials::from).collect() }
    }
}

/// The response to `GET /credentials/{credentialsId}`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CredentialsAnswer<'a> {
    credentials: Credentials<'a>,
    /// The trust policy of the role, as JSON text.
    setup_snippet: String,
    setup: SetupAnswer,
}

/// What creates the role.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "CredentialsSetup"))]
struct SetupAnswer {
    /// The parameters of `infra/compute-environment.yaml`.
    parameters: BTreeMap<&'static str, String>,
}

impl<'a> CredentialsAnswer<'a> {
    /// Creates the answer.
    #[must_use]
    pub fn new(stored: &'a StoredCredentials, service: &Service) -> Self {
        let setup = setup(stored, service);
        Self {
            credentials: stored.into(),
            setup_snippet: format!("{:#}", setup.trust_policy),
            setup: SetupAnswer { parameters: setup.parameters.into_iter().collect() },
        }
    }
}
