//! A run in another account and region, and attacks on the role there.

use std::io::Write;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::story::{Actors, Run};
use super::{Findings, Reporter, yes};
use crate::platform::Platform;
use crate::{ACCOUNT, Caller, Error, JobStatus, Result, Stack, Tools};

/// The other account.
pub(super) const OTHER_ACCOUNT: &str = "210987654321";
const OTHER_REGION: &str = "eu-west-1";
const ROLE: &str = "pipeline-secrets-genomics";
const LOOSE_ROLE: &str = "pipeline-secrets-loose";

/// Registers a compute environment and lets a run execute in it.
pub(super) async fn run<W: Write>(
    tools: &Tools,
    stack: &Stack,
    actors: &Actors,
    log: &mut Reporter<'_, W>,
    findings: &mut Findings,
) -> Result<()> {
    log.chapter("9. Olivia registers another account and region. Liam launches a run there.")?;
    let platform = Platform::elsewhere(stack, OTHER_ACCOUNT, OTHER_REGION).await;
    let scope = format!("workspaceId={}", actors.workspace);
    let credentials = create_credentials(&actors.owner, &scope, "genomics", ROLE).await?;
    let described = actors.owner.get(&format!("/credentials/{credentials}?{scope}")).await?;
    stack.deploy_environment(tools, (OTHER_ACCOUNT, OTHER_REGION), &described["setup"]["parameters"]).await?;
    log.step(
        "infra/compute-environment.yaml is deployed there, with the parameters that the service returned",
    )?;
    let registered =
        actors.owner.post(&format!("/compute-envs?{scope}"), &environment("ireland", &credentials)).await?;
    let id = registered["computeEnvId"].as_str().unwrap_or_default().to_owned();
    log.step(&format!("the role is proved: compute environment {id}"))?;

    attack(&platform, actors, &scope, log, findings).await?;

    let path = format!("/launches?{scope}");
    let launched = Run::launch_with(
        &actors.launcher,
        &path,
        stack,
        &json!({"platform": "aws-batch", "computeEnvId": id}),
    )
    .await?;
    let home = Platform::new(stack).await;
    findings.copies_elsewhere = platform.copies(&launched.id).await?;
    findings.copies_at_home_of_run_elsewhere = home.copies(&launched.id).await?;
    log.step(&format!(
        "run {}: {} copy in account {OTHER_ACCOUNT}, {} at home",
        launched.id, findings.copies_elsewhere, findings.copies_at_home_of_run_elsewhere
    ))?;
    let job = platform.start_head_job(&launched.id).await?;
    launched.record_head_job(&json!({"jobId": job, "jobQueue": "heads", "region": OTHER_REGION})).await?;

    let forged = platform.put_event(stack.output("EnvironmentBusArn")?, &job).await;
    let state = launched.receipt(&actors.launcher).await?["state"].clone();
    findings.forged_event_refused = forged.is_err() && state != "ending" && state != "ended";
    log.step(&format!("a forged end of the job is refused: {}", yes(findings.forged_event_refused)))?;

    platform.set_trust(ROLE, &trust_of(OTHER_ACCOUNT)).await?;
    stack.move_job_in((OTHER_ACCOUNT, OTHER_REGION), &job, JobStatus::Succeeded).await?;
    let ended = json!({"source": "aws.batch", "account": OTHER_ACCOUNT, "region": OTHER_REGION, "detail": {"jobId": job}});
    stack.invoke("cleanup-run", &ended).await?;
    let kept = platform.copies(&launched.id).await?;
    log.step(&format!("the role is withdrawn and the job ends: {kept} copy is still there"))?;
    platform.set_trust(ROLE, described["setupSnippet"].as_str().unwrap_or_default()).await?;
    stack.invoke("cleanup-run", &ended).await?;
    launched.wait_for_end(&actors.launcher, Duration::from_secs(150)).await?;
    findings.withdrawn_role_kept_the_run = kept == 1;
    findings.copies_after_run_elsewhere = platform.copies(&launched.id).await?;
    log.step("the role is restored: the run ends, and its copy is deleted")
}

/// Another workspace tries to use the role, and a role without an external id is registered.
async fn attack<W: Write>(
    platform: &Platform<'_>,
    actors: &Actors,
    scope: &str,
    log: &mut Reporter<'_, W>,
    findings: &mut Findings,
) -> Result<()> {
    let other = format!("workspaceId={}", actors.other_workspace);
    let credentials = create_credentials(&actors.other_owner, &other, "theirs", ROLE).await?;
    findings.foreign_role_refused =
        is_refused(&actors.other_owner, &other, &environment("theirs", &credentials)).await?;
    log.step(&format!(
        "another workspace cannot register this role: {}",
        yes(findings.foreign_role_refused)
    ))?;
    platform.create_role(LOOSE_ROLE, &trust_of(ACCOUNT), &json!([])).await?;
    let credentials = create_credentials(&actors.owner, scope, "loose", LOOSE_ROLE).await?;
    findings.loose_role_refused =
        is_refused(&actors.owner, scope, &environment("loose", &credentials)).await?;
    log.step(&format!(
        "a role that can be assumed without the external ID is refused: {}",
        yes(findings.loose_role_refused)
    ))
}

/// A trust policy for an account, without a condition.
fn trust_of(account: &str) -> String {
    let statement = json!({
        "Effect": "Allow", "Principal": {"AWS": account}, "Action": ["sts:AssumeRole", "sts:TagSession"],
    });
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

async fn create_credentials(caller: &Caller, scope: &str, name: &str, role: &str) -> Result<String> {
    let arn = format!("arn:aws:iam::{OTHER_ACCOUNT}:role/{role}");
    let body = json!({"credentials": {"name": name, "provider": "aws", "keys": {"mode": "role", "assumeRoleArn": arn}}});
    let created = caller.post(&format!("/credentials?{scope}&useExternalId=true"), &body).await?;
    let id = created["credentialsId"].as_str();
    id.map(str::to_owned).ok_or_else(|| Error::answer("POST /credentials", &"an id is missing"))
}

fn environment(name: &str, credentials: &str) -> Value {
    json!({"computeEnv": {
        "name": name, "platform": "aws-batch", "credentialsId": credentials,
        "config": {"region": OTHER_REGION, "workDir": "s3://work", "headQueue": "heads", "computeQueue": "tasks"},
    }})
}

async fn is_refused(caller: &Caller, scope: &str, environment: &Value) -> Result<bool> {
    let answer = caller.call(Method::POST, &format!("/compute-envs?{scope}"), Some(environment)).await?;
    Ok(answer.status.as_u16() == 400)
}
