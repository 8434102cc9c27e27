//! Launches: requests and answers. An answer refers to values and never contains one.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::copies::{self, Layout};
use domain::environment::{EnvironmentId, Target};
use domain::iam::{self, CopyLocation, Readable};
use domain::ids::{RunId, RunPrefix, SecretId, UserId, WorkspaceId};
use domain::name::SecretName;
use domain::nextflow;
use domain::owner::SecretOwner;
use domain::platform::Platform;
use domain::resolve::{SecretSelection, Selection};
use domain::run::{Run, State};
use domain::settings::Settings;
use domain::use_cases::launch::Launched;
use domain::use_cases::preview::{LaunchRequest, Preview};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::runs::lines;
use super::{Date, Owner, Version};
use crate::answer::Answer;
use crate::body::nullable;
use crate::problem::Problem;

/// The body of `POST /launches` and `POST /launches/preview`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, inline))]
#[expect(clippy::option_option, reason = "absent, null and a value mean different things")]
pub struct LaunchBody {
    #[cfg_attr(feature = "schema", schemars(with = "Platform"))]
    platform: String,
    /// The layout of the copies. Default: that of the deployment. Ignored for HPC schedulers.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Layout>"))]
    layout: Option<String>,
    /// The workspace secrets to use. If absent, all of them; if `[]`, none. Must not be null.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<SecretName>"))]
    workspace_secrets: Option<Option<Vec<String>>>,
    /// The user secrets of the caller to use. If absent, all of them; if `[]`, none. Must not be
    /// null.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<SecretName>"))]
    user_secrets: Option<Option<Vec<String>>>,
    /// The ID of the workspace's compute environment in which the run executes. Default: the
    /// account and region of the deployment. Must not be null. Only for `aws-batch`.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schemars(with = "EnvironmentId"))]
    compute_env_id: Option<Option<String>>,
    /// Names from these lists that may be missing.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<SecretName>>"))]
    optional: Option<Vec<String>>,
    /// Whether the answer's `environment` lets Nextflow report the run, with `TOWER_*`. Default:
    /// false. With these variables, Nextflow reports even without `-with-tower`, and version 26.04
    /// aborts the pipeline when reports fail.
    report: Option<bool>,
}

impl LaunchBody {
    /// Whether Nextflow reports the run.
    #[must_use]
    pub fn reports(&self) -> bool {
        self.report == Some(true)
    }
}

/// Checks the body of a launch or a preview.
pub fn request(body: LaunchBody, workspace: Option<WorkspaceId>) -> Result<LaunchRequest, Problem> {
    let names = |list: Vec<String>| -> domain::Result<BTreeSet<SecretName>> {
        list.iter().map(|text| SecretName::parse(text)).collect()
    };
    let selection = |field: &str, list: Option<Option<Vec<String>>>| match list {
        None => Ok(Selection::All),
        Some(Some(list)) => Ok(Selection::These(names(list)?)),
        // Null can come from an unset variable: it must not select all secrets.
        Some(None) => Err(Problem::bad_request(format!(
            "`{field}` must be a list of names and not null: omit it for all secrets, or send [] for none."
        ))),
    };
    let compute_env = match body.compute_env_id {
        None => None,
        Some(Some(id)) => Some(EnvironmentId::parse(&id)?),
        // Null can come from an unset variable: the run must not execute in another account.
        Some(None) => {
            return Err(Problem::bad_request(
                "`computeEnvId` must be the ID of a compute environment and not null: omit it for the account \
                 and region of the deployment.",
            ));
        }
    };
    Ok(LaunchRequest {
        workspace,
        compute_env,
        platform: body.platform.parse()?,
        layout: body.layout.map(|layout| layout.parse::<Layout>()).transpose()?,
        secrets: SecretSelection {
            workspace: selection("workspaceSecrets", body.workspace_secrets)?,
            user: selection("userSecrets", body.user_secrets)?,
            optional: body.optional.map(names).transpose()?.unwrap_or_default(),
        },
    })
}

/// The properties of the deployment that the answer to a launch contains.
pub struct Deployment<'a> {
    /// The public base URL of the API.
    pub endpoint: &'a str,
    /// The prefix of all run IDs.
    pub prefix: &'a RunPrefix,
    /// The KMS key of the copies, unless it is the AWS managed key of AWS Secrets Manager.
    pub copy_key: Option<&'a str>,
    /// Where copies are stored, except those of runs in environments.
    pub home: &'a CopyLocation,
    /// The deployment's settings.
    pub settings: &'a Settings,
}

impl Deployment<'_> {
    /// Where the copies of runs with this target are stored.
    fn location(&self, target: &Target) -> CopyLocation {
        target.environment().map_or_else(|| self.home.clone(), domain::environment::Environment::location)
    }

    /// The KMS key of these copies.
    fn key_of_copies<'t>(&'t self, target: &'t Target) -> Option<&'t str> {
        target.environment().map_or(self.copy_key, |environment| environment.copy_key.as_deref())
    }
}

/// The compute environment of a run.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "RunComputeEnv"))]
pub(super) struct ComputeEnv<'a> {
    id: &'a str,
    /// The AWS account, 12 digits.
    account_id: &'a str,
    region: &'a str,
}

impl<'a> ComputeEnv<'a> {
    pub(super) fn of(target: &'a Target) -> Option<Self> {
        let environment = target.environment()?;
        Some(Self {
            id: environment.id.as_str(),
            account_id: environment.role.account(),
            region: environment.region.as_str(),
        })
    }
}

/// A launched run with references to its secrets, never values. A repeated launch of a run that is
/// in progress returns no tokens.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Launched"))]
pub struct LaunchAnswer<'a> {
    workflow_id: &'a RunId,
    state: State,
    platform: Platform,
    layout: Option<Layout>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "ComputeEnv<'a>"))]
    compute_env: Option<ComputeEnv<'a>>,
    /// When the run ends automatically if nothing extends its lease.
    expires: Date,
    secrets: Vec<DeliveredSecret<'a>>,
    /// Authorizes the head job's reports. Returned only once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    run_token: Option<&'a str>,
    /// HPC only: authorizes the claim. Returned only once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    claim_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Environment<'a>"))]
    environment: Option<Environment<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Batch<'a>"))]
    batch: Option<Batch<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "ForNextflow"))]
    nextflow: Option<ForNextflow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Statements"))]
    iam: Option<Statements>,
}

/// Environment variables of the head job.
#[derive(Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "LaunchedEnvironment"))]
struct Environment<'a> {
    pipeline_secrets_endpoint: &'a str,
    pipeline_secrets_workflow_id: &'a RunId,
    /// The run token.
    pipeline_secrets_run_token: &'a str,
    /// HPC only: the claim token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pipeline_secrets_claim_token: Option<&'a str>,
    #[serde(flatten)]
    reporting: Option<Reporting<'a>>,
}

/// Only if the launch asks for reports: the variables with which Nextflow reports the run.
#[derive(Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(clippy::struct_field_names, reason = "Nextflow's names")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Reporting<'a> {
    tower_api_endpoint: &'a str,
    /// The run token.
    tower_access_token: &'a str,
    tower_workflow_id: &'a RunId,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    tower_workspace_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct DeliveredSecret<'a> {
    name: &'a SecretName,
    owner: Owner,
    secret_id: SecretId,
    version: Version,
    /// Whether this user secret overrides a workspace secret.
    overrides: bool,
    /// The ARN of the copy in AWS Secrets Manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    arn: Option<&'a str>,
    /// The value of `secrets[].valueFrom` in a job definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    value_from: Option<String>,
}

/// The value of `containerProperties.secrets` in a job definition.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "LaunchedBatch"))]
struct Batch<'a> {
    secrets: Vec<BatchSecret<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct BatchSecret<'a> {
    name: &'a str,
    value_from: String,
}

/// For open-source Nextflow: a configuration file for `-c`, and a script that the head job sources.
/// With the layout `per-name`, tasks read their secrets with the AWS CLI. With the layouts `plugin`
/// and `bundle`, the configuration needs the plugin `nf-pipeline-secrets`. With the layout
/// `bundle`, the head job has no `secrets.NAME`.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "LaunchedNextflow"))]
struct ForNextflow {
    config: String,
    prelude: String,
}

/// IAM policy statements for a role that reads the copies.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "LaunchedIam"))]
struct Statements {
    /// For a role that the jobs of a workspace share: allows reading the copies of all runs of the
    /// workspace.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<serde_json::Map<String, Value>>"))]
    statements: Value,
    /// For a role that is created for this run: allows reading only the copies of this run.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<serde_json::Map<String, Value>>"))]
    run_statements: Value,
}

/// The format of the answer to a launch.
#[derive(Clone, Copy)]
pub enum Format {
    /// Lines that a shell reads: IDs, tokens, and for AWS Batch what the head job needs.
    Text,
    /// Everything.
    Json {
        /// Whether the environment lets Nextflow report the run.
        report: bool,
    },
}

/// Returns the answer to a launch.
#[must_use]
pub fn launched(launched: &Launched, deployment: &Deployment<'_>, format: Format) -> Answer {
    let run = &launched.run;
    let expires = Date::from(run.lifecycle.lease_until);
    let run_token = launched.tokens.as_ref().map(|tokens| tokens.run.as_str());
    let claim_token =
        launched.tokens.as_ref().and_then(|tokens| tokens.claim.as_ref()).map(|token| token.as_str());
    let secrets = delivered(run);
    let batch = (!run.platform.claims()).then(|| Batch {
        secrets: secrets
            .iter()
            .filter_map(|secret| {
                secret
                    .value_from
                    .clone()
                    .map(|value_from| BatchSecret { name: secret.name.as_str(), value_from })
            })
            .collect(),
    });
    let nextflow = batch.as_ref().and_then(|batch| for_nextflow(run, batch, deployment));
    let Format::Json { report } = format else {
        let mut pairs = vec![
            ("workflowId", Some(run.id.as_str())),
            ("state", Some(run.lifecycle.state.as_str())),
            ("expires", Some(expires.as_str())),
            ("runToken", run_token),
            ("claimToken", claim_token),
        ];
        let store: Vec<_> =
            copies::of_store(run.layout, &run.lifecycle.copies).map(|copy| copy.name.as_str()).collect();
        let store = store.join(" ");
        let region = deployment.location(&run.target).region;
        let config = nextflow.map(|files| STANDARD.encode(files.config)).unwrap_or_default();
        if !run.platform.claims() {
            pairs.extend([
                ("layout", Some(run.layout.as_str())),
                ("region", Some(&*region)),
                ("store", Some(&*store)),
                ("nextflowConfig", Some(&*config)),
            ]);
        }
        return Answer::text(200, lines(&pairs));
    };
    let answer = LaunchAnswer {
        workflow_id: &run.id,
        state: run.lifecycle.state,
        platform: run.platform,
        layout: (!run.platform.claims()).then_some(run.layout),
        compute_env: ComputeEnv::of(&run.target),
        expires,
        secrets,
        run_token,
        claim_token,
        environment: run_token.map(|token| Environment {
            pipeline_secrets_endpoint: deployment.endpoint,
            pipeline_secrets_workflow_id: &run.id,
            pipeline_secrets_run_token: token,
            pipeline_secrets_claim_token: claim_token,
            reporting: report.then(|| Reporting {
                tower_api_endpoint: deployment.endpoint,
                tower_access_token: token,
                tower_workflow_id: &run.id,
                tower_workspace_id: run.workspace.map(|id| id.to_string()),
            }),
        }),
        batch,
        nextflow,
        iam: statements(run, deployment),
    };
    Answer::json(200, &answer)
}

fn delivered(run: &Run) -> Vec<DeliveredSecret<'_>> {
    let secrets = run.lifecycle.secrets.iter().map(|pin| {
        let mut copies = run.lifecycle.copies.iter().filter(|copy| !copy.store);
        let copy = copies.find(|copy| copy.holds.contains(&pin.name));
        let arn = copy.and_then(|copy| copy.arn.as_deref());
        DeliveredSecret {
            name: &pin.name,
            owner: pin.owner.into(),
            secret_id: pin.id,
            version: Version(pin.version),
            overrides: pin.overrides.is_some(),
            arn,
            value_from: arn.map(|arn| copies::value_from(run.layout, arn, &pin.name)),
        }
    });
    secrets.collect()
}

/// Whether the run has copies, without which a job needs no config and no permission.
fn has_copies(run: &Run) -> bool {
    run.lifecycle.copies.iter().any(|copy| copy.arn.is_some())
}

fn for_nextflow(run: &Run, batch: &Batch<'_>, deployment: &Deployment<'_>) -> Option<ForNextflow> {
    let references = batch.secrets.iter().map(|secret| (secret.name, secret.value_from.as_str()));
    let location = deployment.location(&run.target);
    has_copies(run).then(|| ForNextflow {
        config: match run.layout {
            Layout::PerName => nextflow::tasks_config(run, &location),
            Layout::Bundle | Layout::Plugin => nextflow::plugin_config(run, references),
        },
        prelude: nextflow::head_job_prelude(run, &location, deployment.endpoint),
    })
}

fn statements(run: &Run, deployment: &Deployment<'_>) -> Option<Statements> {
    has_copies(run).then(|| Statements {
        statements: read(deployment, &run.target, Readable::OfScope(deployment.prefix), run.scope()),
        run_statements: read(deployment, &run.target, Readable::OfRun(&run.id), run.scope()),
    })
}

/// Returns the statements that allow reading these copies of a workspace or user.
fn read(deployment: &Deployment<'_>, target: &Target, readable: Readable<'_>, scope: SecretOwner) -> Value {
    let (location, key) = (deployment.location(target), deployment.key_of_copies(target));
    iam::read_copies(&location, readable, &deployment.settings.deployment, scope, key)
}

/// The response to `POST /launches/preview`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Preview"))]
pub struct PreviewAnswer<'a> {
    platform: Platform,
    layout: Option<Layout>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "ComputeEnv<'a>"))]
    compute_env: Option<ComputeEnv<'a>>,
    /// The number of copies in AWS Secrets Manager that the launch would create.
    copies: usize,
    secrets: Vec<PreviewSecret<'a>>,
    /// Warnings for the user who launches the run.
    warnings: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    iam: Option<ScopeStatements>,
}

/// The policy statements for the roles that read copies, as in the response to a launch.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PreviewStatements"))]
struct ScopeStatements {
    /// Allows reading the copies of every run of the workspace, or of the user without a workspace.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<serde_json::Map<String, Value>>"))]
    statements: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct PreviewSecret<'a> {
    name: &'a SecretName,
    owner: Owner,
    secret_id: SecretId,
    version: Version,
    /// The ID of the workspace secret that this user secret overrides.
    overrides: Option<SecretId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Date"))]
    expires: Option<Date>,
}

/// Returns the answer to a preview by this user.
#[must_use]
pub fn previewed(
    request: &LaunchRequest,
    user: UserId,
    preview: &Preview,
    deployment: &Deployment<'_>,
) -> Answer {
    let scope = request.workspace.map_or(SecretOwner::User(user), SecretOwner::Workspace);
    let answer = PreviewAnswer {
        platform: request.platform,
        layout: (!request.platform.claims()).then_some(preview.layout),
        compute_env: ComputeEnv::of(&preview.target),
        copies: preview.copies,
        secrets: preview
            .resolved
            .secrets
            .iter()
            .map(|resolved| PreviewSecret {
                name: &resolved.secret.name,
                owner: resolved.secret.owner.into(),
                secret_id: resolved.secret.id,
                version: Version(resolved.secret.version),
                overrides: resolved.overrides.as_ref().map(|secret| secret.id),
                expires: resolved.secret.expires.map(Date::from),
            })
            .collect(),
        warnings: &preview.warnings,
        iam: (!request.platform.claims()).then(|| ScopeStatements {
            statements: read(deployment, &preview.target, Readable::OfScope(deployment.prefix), scope),
        }),
    };
    Answer::json(200, &answer)
}

#[cfg(test)]
mod tests;
