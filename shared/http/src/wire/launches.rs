//! Launches: requests and answers. An answer refers to values, it never holds one.

use domain::copies::{self, Layout};
use domain::iam::{self, CopyHome};
use domain::ids::{RunPrefix, WorkspaceId};
use domain::nextflow;
use domain::resolve::{Request as SecretsRequest, Selection};
use domain::run::Run;
use domain::settings::Settings;
use domain::use_cases::launch::Launched;
use domain::use_cases::preview::{LaunchRequest, Preview};
use serde::Serialize;
use serde_json::Value;

use super::date;
use super::runs::lines;
use crate::answer::Answer;
use crate::fields::Fields;
use crate::problem::Problem;

/// Reads the body of a launch or a preview.
pub fn request(fields: &Fields<'_>, workspace: Option<WorkspaceId>) -> Result<LaunchRequest, Problem> {
    let selection = |name| -> Result<Selection, Problem> {
        Ok(fields.names(name)?.map_or(Selection::All, Selection::These))
    };
    let layout = fields.text("layout")?;
    Ok(LaunchRequest {
        workspace,
        platform: fields.required_text("platform")?.parse()?,
        layout: layout.map(|layout| layout.parse::<Layout>()).transpose()?,
        secrets: SecretsRequest {
            workspace: selection("workspaceSecrets")?,
            user: selection("userSecrets")?,
            optional: fields.names("optional")?.unwrap_or_default(),
        },
    })
}

/// What a launch's answer says of the deployment.
pub struct Deployment<'a> {
    /// The public base URL of the API.
    pub endpoint: &'a str,
    /// How run ids begin.
    pub prefix: &'a RunPrefix,
    /// The key of the copies, where it is not the account's own of AWS Secrets Manager.
    pub copy_key: Option<&'a str>,
    /// The deployment's choices.
    pub settings: &'a Settings,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LaunchAnswer<'a> {
    workflow_id: &'a str,
    state: &'a str,
    platform: &'a str,
    layout: Option<&'a str>,
    /// When the run ends by itself unless it is heard of before.
    expires: String,
    secrets: Vec<DeliveredSecret<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<Environment<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<Batch<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nextflow: Option<ForNextflow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iam: Option<Statements>,
}

/// What the head job's environment takes, so that Nextflow reports this run.
#[derive(Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(clippy::struct_field_names, reason = "Nextflow's names")]
struct Environment<'a> {
    tower_api_endpoint: &'a str,
    tower_access_token: &'a str,
    tower_workflow_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tower_workspace_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeliveredSecret<'a> {
    name: &'a str,
    owner: &'static str,
    secret_id: i64,
    version: u64,
    overrides: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_from: Option<String>,
}

/// `containerProperties.secrets` of a job definition.
#[derive(Serialize)]
struct Batch<'a> {
    secrets: Vec<BatchSecret<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchSecret<'a> {
    name: &'a str,
    value_from: String,
}

/// What makes open-source Nextflow on AWS Batch read the `per-name` copies.
#[derive(Serialize)]
struct ForNextflow {
    /// For the tasks: `nextflow run -c`.
    config: String,
    /// For the head job: sourced by its script.
    prelude: String,
}

#[derive(Serialize)]
struct Statements {
    statements: Value,
}

/// The answer to a launch: JSON, or the lines that a shell reads.
#[must_use]
pub fn launched(launched: &Launched, deployment: &Deployment<'_>, as_text: bool) -> Answer {
    let run = &launched.run;
    let expires = date(run.life.lease_until);
    let run_token = launched.tokens.as_ref().map(|tokens| tokens.run.as_str());
    let claim_token =
        launched.tokens.as_ref().and_then(|tokens| tokens.claim.as_ref()).map(|token| token.as_str());
    if as_text {
        let text = lines(&[
            ("workflowId", Some(run.id.as_str())),
            ("state", Some(run.life.state.as_str())),
            ("expires", Some(&expires)),
            ("runToken", run_token),
            ("claimToken", claim_token),
        ]);
        return Answer::text(200, text);
    }
    let secrets = delivered(run);
    let batch = (!run.platform.claims()).then(|| Batch {
        secrets: secrets
            .iter()
            .filter_map(|secret| {
                secret.value_from.clone().map(|value_from| BatchSecret { name: secret.name, value_from })
            })
            .collect(),
    });
    let answer = LaunchAnswer {
        workflow_id: run.id.as_str(),
        state: run.life.state.as_str(),
        platform: run.platform.as_str(),
        layout: (!run.platform.claims()).then(|| run.layout.as_str()),
        expires,
        secrets,
        run_token,
        claim_token,
        environment: run_token.map(|token| Environment {
            tower_api_endpoint: deployment.endpoint,
            tower_access_token: token,
            tower_workflow_id: run.id.as_str(),
            tower_workspace_id: run.workspace.map(|id| id.to_string()),
        }),
        batch,
        nextflow: for_nextflow(run, deployment),
        iam: statements(run, deployment),
    };
    Answer::json(200, &answer)
}

fn delivered(run: &Run) -> Vec<DeliveredSecret<'_>> {
    let secrets = run.life.secrets.iter().map(|pin| {
        let copy = run.life.copies.iter().find(|copy| copy.holds.contains(&pin.name));
        let arn = copy.and_then(|copy| copy.arn.as_deref());
        DeliveredSecret {
            name: pin.name.as_str(),
            owner: pin.owner.kind(),
            secret_id: pin.id.number(),
            version: pin.version,
            overrides: pin.overrides.is_some(),
            arn,
            value_from: arn.map(|arn| copies::value_from(run.layout, arn, &pin.name)),
        }
    });
    secrets.collect()
}

/// Where the run's copies stand; `None` where it has none.
fn home(run: &Run) -> Option<CopyHome> {
    CopyHome::of_arn(run.life.copies.iter().find_map(|copy| copy.arn.as_deref())?)
}

fn for_nextflow(run: &Run, deployment: &Deployment<'_>) -> Option<ForNextflow> {
    let home = home(run).filter(|_| run.layout == Layout::PerName)?;
    Some(ForNextflow {
        config: nextflow::tasks_config(run, &home),
        prelude: nextflow::head_job_prelude(run, &home, deployment.endpoint),
    })
}

fn statements(run: &Run, deployment: &Deployment<'_>) -> Option<Statements> {
    let home = home(run)?;
    let name = &deployment.settings.deployment;
    let statements = iam::read_copies(&home, deployment.prefix, name, run.scope(), deployment.copy_key);
    Some(Statements { statements })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PreviewAnswer<'a> {
    platform: &'a str,
    layout: Option<&'a str>,
    copies: usize,
    secrets: Vec<PreviewSecret<'a>>,
    warnings: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PreviewSecret<'a> {
    name: &'a str,
    owner: &'static str,
    secret_id: i64,
    version: u64,
    /// The workspace's secret that the user's own one takes the place of.
    overrides: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

/// The answer to a preview.
#[must_use]
pub fn previewed(request: &LaunchRequest, preview: &Preview) -> Answer {
    let answer = PreviewAnswer {
        platform: request.platform.as_str(),
        layout: (!request.platform.claims()).then(|| preview.layout.as_str()),
        copies: preview.copies,
        secrets: preview
            .resolved
            .secrets
            .iter()
            .map(|winner| PreviewSecret {
                name: winner.secret.name.as_str(),
                owner: winner.secret.owner.kind(),
                secret_id: winner.secret.id.number(),
                version: winner.secret.version,
                overrides: winner.overrides.as_ref().map(|secret| secret.id.number()),
                expires: winner.secret.expires.map(date),
            })
            .collect(),
        warnings: &preview.warnings,
    };
    Answer::json(200, &answer)
}

#[cfg(test)]
mod tests;
