//! Compute environments of AWS Batch whose queues exist ("manual").

use domain::environment::{CredentialsId, EnvironmentId, Region, StoredEnvironment};
use domain::secret::Description;
use domain::use_cases::environments::compute_envs::{
    EnvironmentDraft, EnvironmentUpdate, unknown_credentials,
};
use domain::use_cases::environments::environment_name;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::Date;
use super::{EnvironmentPlatform, Status, nested, only, refuse_content};
use crate::problem::Problem;

/// The maximum size of `config`, in bytes.
const MAX_CONFIG: usize = 16 * 1024;

/// The body of `POST /compute-envs`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct EnvironmentBody {
    #[cfg_attr(feature = "schema", schemars(with = "Draft"))]
    compute_env: Box<RawValue>,
    /// Labels are not supported: null or an empty list.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<i64>>", length(max = 0)))]
    label_ids: Option<Box<RawValue>>,
}

/// A compute environment as a client describes it. Other fields are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "ComputeEnvDraft"))]
struct Draft {
    #[cfg_attr(feature = "schema", schemars(length(min = 2, max = 99), regex(pattern = "^[A-Za-z0-9_-]+$")))]
    name: String,
    #[cfg_attr(feature = "schema", schemars(with = "Option<Description>"))]
    description: Option<String>,
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["aws-batch"])))]
    platform: String,
    /// Credentials of the workspace.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[0-9A-Za-z]{22}$")))]
    credentials_id: String,
    #[cfg_attr(feature = "schema", schemars(with = "Config"))]
    config: Option<Box<RawValue>>,
}

/// The configuration, which is returned as it was sent, up to 16 KiB. The service uses `region` and
/// `secretsKmsKeyId`. It submits no jobs, so it refuses `forge`, and scripts, variables and
/// configuration, which can hold secrets.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "AwsBatchConfig"))]
#[expect(clippy::struct_field_names, reason = "Seqera Platform's names")]
struct Config {
    #[cfg_attr(
        feature = "schema",
        schemars(length(min = 5, max = 32), regex(pattern = "^[a-z]{2}(-[a-z]+)+-[0-9]+$"))
    )]
    region: String,
    /// The KMS key of the runs' copies: an ARN or ID in the account and region of the environment.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 256)))]
    secrets_kms_key_id: Option<String>,
    #[cfg_attr(feature = "schema", schemars(skip))]
    forge: Option<Box<RawValue>>,
    #[cfg_attr(feature = "schema", schemars(skip))]
    environment: Option<Box<RawValue>>,
    #[cfg_attr(feature = "schema", schemars(skip))]
    pre_run_script: Option<Box<RawValue>>,
    #[cfg_attr(feature = "schema", schemars(skip))]
    post_run_script: Option<Box<RawValue>>,
    #[cfg_attr(feature = "schema", schemars(skip))]
    nextflow_config: Option<Box<RawValue>>,
}

/// Checks the body of `POST /compute-envs`.
pub fn environment_draft(body: &EnvironmentBody) -> Result<EnvironmentDraft, Problem> {
    refuse_content("labelIds", body.label_ids.as_deref(), "this service has no labels.")?;
    let draft: Draft = nested("computeEnv", Some(&*body.compute_env))?;
    only("computeEnv.platform", Some(&draft.platform), "aws-batch")?;
    let raw = draft.config.as_deref();
    if raw.is_some_and(|raw| raw.get().len() > MAX_CONFIG) {
        return Err(Problem::new(413, "`computeEnv.config` is too large: it may have at most 16 KiB."));
    }
    let config: Config = nested("computeEnv.config", raw)?;
    if raw.is_some_and(|raw| serde_json::from_str::<Map<String, Value>>(raw.get()).is_err()) {
        return Err(Problem::bad_request(
            "`computeEnv.config` cannot be read back: it is nested too deeply, or has a number that is too \
             large or an incomplete escape such as \\ud800.",
        ));
    }
    for (name, content, reason) in [
        (
            "forge",
            &config.forge,
            "this service creates no queues. Name existing ones: headQueue and computeQueue.",
        ),
        ("environment", &config.environment, NO_JOBS),
        ("preRunScript", &config.pre_run_script, NO_JOBS),
        ("postRunScript", &config.post_run_script, NO_JOBS),
        ("nextflowConfig", &config.nextflow_config, NO_JOBS),
    ] {
        refuse_content(&format!("computeEnv.config.{name}"), content.as_deref(), reason)?;
    }
    Ok(EnvironmentDraft {
        name: environment_name(&draft.name)?,
        description: draft.description.as_deref().map(Description::new).transpose()?,
        credentials: credentials_id(&draft.credentials_id)?,
        region: Region::parse(&config.region)?,
        copy_key: config.secrets_kms_key_id.filter(|key| !key.is_empty()),
        config: raw.map_or_else(String::new, |raw| raw.get().to_owned()),
    })
}

const NO_JOBS: &str = "this service submits no jobs, and the content could hold secrets. Omit it.";

/// A malformed id gets the answer of an unknown one.
fn credentials_id(text: &str) -> Result<CredentialsId, Problem> {
    CredentialsId::parse(text).map_err(|_| unknown_credentials().into())
}

/// The body of `PUT /compute-envs/{computeEnvId}`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct EnvironmentUpdateBody {
    /// If absent or null, it does not change.
    #[cfg_attr(feature = "schema", schemars(length(min = 2, max = 99), regex(pattern = "^[A-Za-z0-9_-]+$")))]
    name: Option<String>,
    /// If absent or null, it does not change.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Description>"))]
    description: Option<String>,
    /// Other credentials, whose role is in the same account. If absent or null, they do not change.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[0-9A-Za-z]{22}$")))]
    credentials_id: Option<String>,
    #[cfg_attr(feature = "schema", schemars(skip))]
    config: Option<Box<RawValue>>,
    #[cfg_attr(feature = "schema", schemars(skip))]
    compute_env: Option<Box<RawValue>>,
}

/// Checks the body of `PUT /compute-envs/{computeEnvId}`.
pub fn environment_update(body: &EnvironmentUpdateBody) -> Result<EnvironmentUpdate, Problem> {
    refuse_content(
        "config",
        body.config.as_deref(),
        "it cannot be changed. Create another compute environment.",
    )?;
    let reason = "name, description and credentialsId are fields of the body itself.";
    refuse_content("computeEnv", body.compute_env.as_deref(), reason)?;
    Ok(EnvironmentUpdate {
        name: body.name.as_deref().map(environment_name).transpose()?,
        description: body.description.as_deref().map(Description::new).transpose()?,
        credentials: body.credentials_id.as_deref().map(credentials_id).transpose()?,
    })
}

/// The response to `POST /compute-envs`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "ComputeEnvCreated"))]
pub struct EnvironmentCreated {
    /// The ID of the new compute environment.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub compute_env_id: EnvironmentId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "ComputeEnvEntry"))]
struct Entry<'a> {
    id: &'a str,
    name: &'a str,
    platform: EnvironmentPlatform,
    status: Status,
    /// What the last check found, if it failed.
    message: Option<&'a str>,
    credentials_id: &'a str,
    region: &'a str,
    last_used: (),
    primary: (),
    visibility: (),
    workspace_name: (),
}

/// The response to `GET /compute-envs`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "ComputeEnvList"))]
pub struct EnvironmentList<'a> {
    compute_envs: Vec<Entry<'a>>,
}

impl<'a> EnvironmentList<'a> {
    /// Creates the answer with the environments of this status, or with all.
    #[must_use]
    pub fn new(all: &'a [StoredEnvironment], status: Option<&str>) -> Self {
        let entries = all.iter().map(|stored| Entry {
            id: stored.environment.id.as_str(),
            name: &stored.name,
            platform: EnvironmentPlatform::AwsBatch,
            status: Status::of(stored.failure.as_deref()),
            message: stored.failure.as_deref(),
            credentials_id: stored.credentials.as_str(),
            region: stored.environment.region.as_str(),
            last_used: (),
            primary: (),
            visibility: (),
            workspace_name: (),
        });
        let wanted = |entry: &Entry<'_>| status.is_none_or(|status| status == entry.status.as_str());
        Self { compute_envs: entries.filter(wanted).collect() }
    }
}

/// The response to `GET /compute-envs/{computeEnvId}`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "ComputeEnvAnswer"))]
pub struct EnvironmentAnswer<'a> {
    compute_env: Described<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "ComputeEnv"))]
struct Described<'a> {
    id: &'a str,
    name: &'a str,
    description: Option<&'a str>,
    platform: EnvironmentPlatform,
    /// The configuration as it was sent, with `discriminator`.
    config: Value,
    credentials_id: &'a str,
    status: Status,
    /// What the last check found, if it failed.
    message: Option<&'a str>,
    date_created: Date,
    last_updated: Date,
    last_used: (),
    primary: (),
    labels: [(); 0],
}

impl<'a> EnvironmentAnswer<'a> {
    /// Creates the answer.
    #[must_use]
    pub fn new(stored: &'a StoredEnvironment) -> Self {
        // The row has what `environment_draft` accepted: an object that can be read.
        let mut config: Map<String, Value> = serde_json::from_str(&stored.config).unwrap_or_default();
        config.insert("discriminator".into(), "aws-batch".into());
        Self {
            compute_env: Described {
                id: stored.environment.id.as_str(),
                name: &stored.name,
                description: stored.description.as_deref(),
                platform: EnvironmentPlatform::AwsBatch,
                config: Value::Object(config),
                credentials_id: stored.credentials.as_str(),
                status: Status::of(stored.failure.as_deref()),
                message: stored.failure.as_deref(),
                date_created: stored.created.into(),
                last_updated: stored.updated.into(),
                last_used: (),
                primary: (),
                labels: [],
            },
        }
    }
}
