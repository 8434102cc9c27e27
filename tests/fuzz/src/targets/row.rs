use domain::environment::{CredentialsId, EnvironmentId};
use domain::identity::Actor;
use domain::ids::{RunId, SecretId, TokenId, UserId, WorkspaceId};
use domain::owner::Scope;
use domain::ports::{
    FindDueRuns, ListRuns, ListTargets, ReadAudit, ReadEnvironments, ReadIdentity, ReadMembership, ReadRuns, ReadSealedValues, ReadSecrets,
    ReadTokens, SaveRuns,
};
use domain::role::Permission;
use domain::run::{Event, JobLocation, Outcome, Run, RunResult, JobStatus, ReportedBy, next};
use domain::settings::Settings;
use domain::{Result, Timestamp};
use domain::use_cases::authorize;
use store_dynamodb::Store;

use crate::aws::{Aws, REGION, wait};

/// A row is read or rejected by every reader, and the service continues. A malicious row blocks
/// neither the sweep of other runs nor the authorizer.
pub fn run(data: &[u8]) {
    if serde_json::from_slice::<serde_json::Value>(data).is_ok_and(|row| row.is_object()) {
        let aws = Aws::holding(&super::text(data));
        wait(read_all(&aws.store())).expect("a row made a reader fail");
    }
}

const ID: &str = "0123456789abcdefghijkl";

async fn read_all(store: &Store) -> Result<()> {
    let settings = Settings::new("test");
    let now = Timestamp::now();
    let user = UserId::new(1).expect("an id");
    let (secret, workspace) = (SecretId::new(7).expect("an id"), WorkspaceId::new(42).expect("an id"));
    let actor = Actor::without_token(user);
    let scope: Scope = authorize(store, &settings, &actor, None, Permission::ReadSecrets).await?;
    let _ = (store.secrets(&scope).await, store.secret(&scope, secret).await);
    let _ = store.history(&scope, secret).await;
    let _ = store.sealed_values(&[(scope.owner(), secret)]).await;
    let _ = store.current_secrets(&[(scope.owner(), secret)]).await;
    let _ = store.audit(&scope, "2026-11", 10).await;
    let _ = store.runs(&scope, None, 10, None).await;
    let _ = (store.role(workspace, user).await, store.role_and_workspace(workspace, user).await);
    let _ = (store.user(user).await, store.tokens(user).await, store.memberships(user).await);
    let _ = store.participants(workspace).await;
    let (environment, credentials) = (EnvironmentId::parse(ID)?, CredentialsId::parse(ID)?);
    let _ = (store.environment(workspace, &environment).await, store.environments(workspace).await);
    let _ = (store.credentials(workspace, &credentials).await, store.all_credentials(workspace).await);
    let _ = store.targets().await;
    let _ = store.due_runs(now, 10).await;
    let _ = store.run_of_head_job(&JobLocation { account: None, region: REGION, job_id: "job" }).await;
    if let Ok(Some(token)) = store.token(TokenId::new(42).expect("an id")).await {
        let header = format!("Bearer {}", super::authorization::TOKEN);
        let jwts = super::authorization::no_jwts();
        let _ = domain::use_cases::authenticate::authenticate(store, &jwts, &header, &crate::aws::context(&settings)).await;
        assert!(token.user.number() > 0);
    }
    if let Ok(Some(run)) = store.run(&RunId::new("ab12ABCDEFGHIJ").expect("an id")).await {
        apply_events(store, &run, &settings, now).await;
    }
    Ok(())
}

/// Applies every event to the run, and saves the result.
async fn apply_events(store: &Store, run: &Run, settings: &Settings, now: Timestamp) {
    let outcome = Outcome { result: RunResult::Failed, exit_status: Some(1), reported_by: ReportedBy::Report, cancelled_by: None };
    let final_status = JobStatus::Final { succeeded: true, exit_status: Some(0) };
    for event in [
        Event::LaunchFailed,
        Event::Heartbeat,
        Event::Reported(outcome),
        Event::Cancelled { by: run.user, head_job: None, forced: true },
        Event::HeadJobObserved(final_status),
        Event::HeadJobObserved(JobStatus::NotFinal),
        Event::Inspected,
        Event::Restored,
        Event::CopiesDeleted,
        Event::Unreachable,
    ] {
        if let Some(lifecycle) = next(run, event, now, &settings.limits).lifecycle {
            let _ = store.save_lifecycle(run, &lifecycle, None).await;
        }
    }
}
