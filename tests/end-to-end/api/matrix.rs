//! The permission matrix: every operation with every kind of caller. A new operation does not
//! compile until it has a request here. The expected status is derived from the table of
//! operations.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use domain::role::{Permission, Role};
use domain::settings::Settings;
use domain::token_scope::TokenScope;
use end_to_end::{Answer, ApiRequest, Caller, World};
use http_api::Operation;
use http_api::operation::{Credential, Needs};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::trial::{harness, trial};

/// A kind of caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum CallerKind {
    /// A participant of the workspace.
    Member(Role),
    /// The owner, with a token of this scope.
    Scoped(TokenScope),
    /// The owner, with a full token of this workspace.
    OfWorkspace,
    /// A participant of another workspace only.
    Stranger,
    /// No credentials.
    Anonymous,
    /// A malformed token.
    Malformed,
    /// The run token of the requested run.
    RunToken,
    /// The run token of another run.
    OtherRunToken,
    /// A claim token: that of the requested run, if it has one.
    ClaimToken,
}

const CALLERS: [CallerKind; 15] = [
    CallerKind::Member(Role::Owner),
    CallerKind::Member(Role::Admin),
    CallerKind::Member(Role::Maintain),
    CallerKind::Member(Role::Launch),
    CallerKind::Member(Role::Connect),
    CallerKind::Member(Role::View),
    CallerKind::Scoped(TokenScope::Read),
    CallerKind::Scoped(TokenScope::Launch),
    CallerKind::OfWorkspace,
    CallerKind::Stranger,
    CallerKind::Anonymous,
    CallerKind::Malformed,
    CallerKind::RunToken,
    CallerKind::OtherRunToken,
    CallerKind::ClaimToken,
];

/// One test for each operation, and one that the matrix covers every role.
pub(crate) fn trials() -> Vec<Trial> {
    let operations = Operation::ALL.iter().map(|operation| {
        trial(format!("matrix::{}", operation.id()), move || calls_by_every_caller(*operation))
    });
    let whole = trial("matrix::the_matrix_covers_every_role", the_matrix_covers_every_role);
    operations.chain([whole]).collect()
}

async fn the_matrix_covers_every_role() {
    let roles: BTreeSet<_> = CALLERS
        .iter()
        .filter_map(|kind| match kind {
            CallerKind::Member(role) => Some(*role),
            _ => None,
        })
        .collect();
    assert_eq!(roles, Role::ALL.into_iter().collect());
}

/// First the callers without permission, all on one target, which must not change. Then each caller
/// with permission, on a separate target.
async fn calls_by_every_caller(operation: Operation) {
    let fixture = Fixture::make(operation).await;
    // The owner can leave the workspace, or delete it, only once.
    let once = [Operation::LeaveWorkspace, Operation::DeleteWorkspace].contains(&operation);
    let callers = CALLERS.into_iter().filter(|kind| !once || *kind != CallerKind::OfWorkspace);
    let (allowed, denied): (Vec<CallerKind>, Vec<CallerKind>) =
        callers.partition(|kind| expected(operation, *kind) / 100 == 2);
    let target = fixture.target(operation, CallerKind::Member(Role::Owner)).await;
    let before = fixture.rows().await;
    for kind in denied {
        let answer = fixture.caller(kind).send(target.clone()).await;
        let message = answer.problem(expected(operation, kind));
        matches_the_api_description(operation, &answer);
        match expected(operation, kind) {
            403 => {
                assert!(!message.contains("exist"), "{kind:?}: {message}");
                // Clients tell a refused token from a role by the body.
                let is_known =
                    matches!(kind, CallerKind::Member(_) | CallerKind::Scoped(_) | CallerKind::OfWorkspace);
                let refused = operation.credential() == Credential::User && !is_known;
                assert_eq!(message == "Forbidden", refused, "{kind:?}: {message}");
            }
            404 => assert_eq!(message, NOT_FOUND, "{kind:?}"),
            _ => {}
        }
    }
    assert_eq!(fixture.rows().await, before, "a rejected call of {} changed something", operation.id());
    for kind in allowed {
        let target = fixture.target(operation, kind).await;
        let answer = fixture.caller(kind).send(target).await;
        check(operation, kind, &answer);
    }
}

/// Checks that the status, fields and types match the API's description.
fn matches_the_api_description(operation: Operation, answer: &Answer) {
    let body =
        if answer.body.is_empty() { Value::Null } else { serde_json::from_str(&answer.body).expect("JSON") };
    assert_eq!(openapi::conforms(operation, answer.status, &body), Ok(()), "{answer:?}");
}

fn check(operation: Operation, kind: CallerKind, answer: &Answer) {
    matches_the_api_description(operation, answer);
    match expected(operation, kind) {
        204 => answer.no_content(),
        status => {
            assert_eq!(answer.status, status, "{} as {kind:?}: {answer:?}", operation.id());
            let _ = answer.json();
        }
    }
}

const NOT_FOUND: &str = "Not found: the resource does not exist, or you do not have access to it.";

/// The status that the table of operations implies.
#[expect(clippy::match_same_arms, reason = "one arm per rule, credential by credential")]
fn expected(operation: Operation, kind: CallerKind) -> u16 {
    let success = match operation {
        Operation::ValidatePipelineSecretName
        | Operation::UpdatePipelineSecret
        | Operation::DeletePipelineSecret
        | Operation::CancelRun
        | Operation::DeleteToken
        | Operation::UpdateWorkspacePlatforms
        | Operation::UpdateParticipantRole
        | Operation::DeleteParticipant
        | Operation::DeleteWorkspace
        | Operation::LeaveWorkspace
        | Operation::UpdateCredentials
        | Operation::DeleteCredentials
        | Operation::UpdateComputeEnv
        | Operation::DeleteComputeEnv => 204,
        // The deployment of the tests allows no other account.
        Operation::CreateCredentials
        | Operation::ValidateCredentials
        | Operation::CreateComputeEnv
        | Operation::ValidateComputeEnv => 422,
        _ => 200,
    };
    match (operation.credential(), kind) {
        (Credential::None, _) => success,
        (_, CallerKind::Anonymous) => 401,
        (
            Credential::User,
            CallerKind::Malformed | CallerKind::RunToken | CallerKind::OtherRunToken | CallerKind::ClaimToken,
        ) => 403,
        (Credential::User, CallerKind::Scoped(scope)) if !operation.scopes().contains(&scope) => 403,
        (Credential::User, CallerKind::Scoped(_) | CallerKind::OfWorkspace) => success,
        (Credential::User, CallerKind::Member(role)) => match needed(operation) {
            Some(permission) if !permission.roles(&Settings::new("test")).contains(&role) => 403,
            _ => success,
        },
        (Credential::User, CallerKind::Stranger) => match needed(operation) {
            Some(_) => 404,
            // Only participants of its workspaces can see an organization.
            None if operation.path().starts_with("/orgs/{orgId}") => 404,
            None => success,
        },
        (Credential::Run, CallerKind::RunToken) => success,
        // Nextflow's messages never fail. The answer is for the token's run.
        (Credential::Run, CallerKind::OtherRunToken) if operation.is_trace() => success,
        (Credential::Run, CallerKind::OtherRunToken) => 404,
        (Credential::Run, _) => 403,
        (Credential::Claim, CallerKind::ClaimToken) => success,
        (Credential::Claim, _) => 404,
    }
}

fn needed(operation: Operation) -> Option<Permission> {
    match (operation, operation.needs()) {
        // Every member may call it to leave; here another member is removed.
        (Operation::DeleteParticipant, _) => Some(Permission::AdministerWorkspace),
        (_, Needs::Own) => None,
        (_, Needs::InWorkspace(permission) | Needs::OfPath(permission)) => Some(permission),
    }
}

/// A world with two runs: the requested one, and another one with a claim token.
struct Fixture {
    world: World,
    secret: i64,
    run: Value,
    other: Value,
    /// The keys of the owner's limited tokens.
    limited: Vec<(CallerKind, String)>,
    targets: AtomicU32,
}

impl Fixture {
    async fn make(operation: Operation) -> Self {
        let world = World::make(harness().await).await;
        let secret = world.secret("SHARED", "kept").await;
        let claims = operation.credential() == Credential::Claim;
        let run = launch(&world, if claims { "slurm" } else { "aws-batch" }).await;
        let other = launch(&world, "slurm").await;
        let mut limited = Vec::new();
        for (kind, limits) in [
            (CallerKind::Scoped(TokenScope::Read), json!({"name": "read", "scope": "read"})),
            (CallerKind::Scoped(TokenScope::Launch), json!({"name": "launch", "scope": "launch"})),
            (CallerKind::OfWorkspace, json!({"name": "here", "workspaceId": world.workspace})),
        ] {
            let created = world.caller("owner").post("/tokens", &limits).await.json();
            let key = text(&created["accessKey"]).to_owned();
            world.harness.record_token(&key);
            let _ = Caller::bearer(&world.harness, &key).get("/user-info").await.json();
            limited.push((kind, key));
        }
        for kind in CALLERS {
            // Record each token's first use before the calls whose changes are checked.
            if matches!(kind, CallerKind::Member(_) | CallerKind::Stranger) {
                let _ = caller(&world, kind).get("/user-info").await.json();
            }
        }
        Self { world, secret, run, other, limited, targets: AtomicU32::new(0) }
    }

    fn caller(&self, kind: CallerKind) -> Caller {
        let with = |token: &Value| Caller::bearer(&self.world.harness, token.as_str().expect("a token"));
        match kind {
            CallerKind::RunToken => with(&self.run["runToken"]),
            CallerKind::OtherRunToken => with(&self.other["runToken"]),
            CallerKind::ClaimToken if self.run["claimToken"].is_string() => with(&self.run["claimToken"]),
            CallerKind::ClaimToken => with(&self.other["claimToken"]),
            _ => match self.limited.iter().find(|(limited, _)| *limited == kind) {
                Some((_, key)) => Caller::bearer(&self.world.harness, key),
                None => caller(&self.world, kind),
            },
        }
    }

    async fn rows(&self) -> Vec<String> {
        let mut rows = self.world.rows().await;
        for run in [&self.run, &self.other] {
            rows.extend(self.world.harness.rows(&format!("RUN#{}", text(&run["workflowId"]))).await);
        }
        rows
    }

    /// A request that succeeds for a caller with permission.
    async fn target(&self, operation: Operation, kind: CallerKind) -> ApiRequest {
        let world = &self.world;
        let run = text(&self.run["workflowId"]);
        // Different for every target.
        let new_name = format!("N{}", self.targets.fetch_add(1, Ordering::Relaxed));
        let request = |path: String| ApiRequest::new(operation.method(), path);
        let secret = || world.inside(&format!("/pipeline-secrets/{}", self.secret));
        let launch = json!({"platform": "aws-batch", "userSecrets": [], "workspaceSecrets": ["SHARED"]});
        match operation {
            Operation::ListPipelineSecrets => request(world.inside("/pipeline-secrets")),
            Operation::CreatePipelineSecret => request(world.inside("/pipeline-secrets"))
                .json(&json!({"name": format!("NEW_{new_name}"), "value": "v"})),
            Operation::ValidatePipelineSecretName => {
                request(world.inside("/pipeline-secrets/validate?name=FREE"))
            }
            Operation::ImportPipelineSecrets => request(world.inside("/pipeline-secrets/import"))
                .json(&json!({format!("NEW_{new_name}"): "v"})),
            Operation::DescribePipelineSecret => request(secret()),
            Operation::UpdatePipelineSecret => request(secret()).json(&json!({"value": "v"})),
            Operation::DeletePipelineSecret => {
                let id = world.secret(&format!("DELETED_{new_name}"), "v").await;
                request(world.inside(&format!("/pipeline-secrets/{id}")))
            }
            Operation::ListPipelineSecretHistory => {
                request(world.inside(&format!("/pipeline-secrets/{}/history", self.secret)))
            }
            Operation::LaunchRun => request(world.inside("/launches")).json(&launch),
            Operation::PreviewLaunch => request(world.inside("/launches/preview")).json(&launch),
            Operation::ListRuns => request(world.inside("/runs")),
            Operation::DescribeRun => request(world.inside(&format!("/runs/{run}"))),
            Operation::CancelRun => {
                // Not launched by the caller with the role launch, who could cancel it.
                let run = launch_as(world, "owner", "slurm").await;
                request(world.inside(&format!("/workflow/{}/cancel", text(&run["workflowId"]))))
            }
            Operation::ListAuditEvents => request(world.inside("/audit-events")),
            Operation::ClaimRun => request(format!("/runs/{run}/claim")).allowing_values(),
            Operation::RecordHeadJob => {
                request(format!("/runs/{run}/head-job")).json(&world.harness.head_job(run).await)
            }
            Operation::RenewLease => request(format!("/runs/{run}/heartbeat")),
            Operation::EndRun => request(format!("/runs/{run}/end")).json(&json!({"success": true})),
            Operation::TraceCreate => request("/trace/create".to_owned()).json(&json!({"sessionId": "s"})),
            Operation::TraceBegin => request(format!("/trace/{run}/begin")).json(&json!({"workflow": {}})),
            Operation::TraceProgress => request(format!("/trace/{run}/progress")).json(&json!({"tasks": []})),
            Operation::TraceHeartbeat => request(format!("/trace/{run}/heartbeat")).json(&json!({})),
            Operation::TraceComplete => {
                request(format!("/trace/{run}/complete")).json(&json!({"workflow": {"success": true}}))
            }
            Operation::DescribeService => request("/service-info".to_owned()),
            Operation::DescribeUser => request("/user-info".to_owned()),
            Operation::ListUserWorkspaces => request(format!("/user/{}/workspaces", self.user(kind))),
            Operation::ListTokens => request("/tokens".to_owned()),
            Operation::CreateToken => request("/tokens".to_owned()).json(&json!({"name": new_name})),
            Operation::DeleteToken => {
                let body = json!({"name": format!("deleted {new_name}")});
                let created = self.caller(kind).post("/tokens", &body).await.json();
                request(format!("/tokens/{}", created["token"]["id"]))
            }
            Operation::ListOrganizations => request("/orgs".to_owned()),
            Operation::DescribeOrganization => request(format!("/orgs/{}", world.org)),
            Operation::ListOrganizationMembers => request(format!("/orgs/{}/members", world.org)),
            Operation::ListWorkspaces => request(format!("/orgs/{}/workspaces", world.org)),
            Operation::DescribeWorkspace | Operation::DeleteWorkspace => request(world.below("")),
            Operation::UpdateWorkspacePlatforms => {
                request(world.below("/platforms")).json(&json!({"platforms": ["aws-batch", "slurm"]}))
            }
            Operation::ListParticipants => request(world.below("/participants")),
            Operation::AddParticipant => {
                let guest = world.guest().await.id;
                request(world.below("/participants/add")).json(&json!({"memberId": guest}))
            }
            Operation::UpdateParticipantRole => {
                let path = world.below(&format!("/participants/{}/role", self.participant("view").await));
                request(path).json(&json!({"role": "connect"}))
            }
            Operation::DeleteParticipant => {
                request(world.below(&format!("/participants/{}", self.participant("view").await)))
            }
            Operation::LeaveWorkspace => {
                // The last owner cannot leave.
                if kind == CallerKind::Member(Role::Owner) {
                    self.participant("owner").await;
                }
                request(world.below("/participants"))
            }
            _ => self.environment_target(operation, &new_name).await,
        }
    }

    /// A request about credentials or a compute environment.
    async fn environment_target(&self, operation: Operation, new_name: &str) -> ApiRequest {
        let world = &self.world;
        let id =
            if operation.path().contains('{') { self.environment(new_name).await } else { String::new() };
        let path = operation.path().replace("{credentialsId}", &id).replace("{computeEnvId}", &id);
        let request = ApiRequest::new(operation.method(), world.inside(&path));
        let credentials = json!({"credentials": {"name": new_name, "provider": "aws",
            "keys": {"mode": "role", "assumeRoleArn": "arn:aws:iam::210987654321:role/pipeline-secrets-lab"}}});
        match operation {
            Operation::CreateCredentials | Operation::UpdateCredentials => request.json(&credentials),
            Operation::CreateComputeEnv => request.json(&json!({"computeEnv": {"name": new_name,
                "platform": "aws-batch", "credentialsId": "0".repeat(22), "config": {"region": "eu-west-1"}}})),
            Operation::UpdateComputeEnv => request.json(&json!({"name": new_name})),
            _ => request,
        }
    }

    /// Writes the rows of credentials and of an environment with the same id. Only a role that was
    /// proved can be registered through the API. The environment has other credentials, so that
    /// both can be deleted.
    async fn environment(&self, name: &str) -> String {
        let id = format!("{name:0<22}");
        let pk = format!("ENVS#{}", self.world.workspace);
        let both = json!({
            "pk": {"S": pk},
            "id": {"S": id},
            "workspace": {"N": self.world.workspace.to_string()},
            "name": {"S": format!("row-{name}")},
            "role": {"S": "arn:aws:iam::210987654321:role/pipeline-secrets-lab"},
            "externalId": {"S": "x".repeat(32)},
            "createdAt": {"S": "2026-11-23T10:20:30Z"},
            "createdBy": {"N": self.world.person("owner").id.to_string()},
            "updatedAt": {"S": "2026-11-23T10:20:30Z"},
        });
        let with = |sk: String, more: Value| {
            let mut row = both.clone();
            row["sk"] = json!({ "S": sk });
            row.as_object_mut().expect("a row").extend(more.as_object().expect("attributes").clone());
            row
        };
        let of_environment = json!({
            "region": {"S": "eu-west-1"},
            "credentials": {"S": format!("{name:1<22}")},
            "config": {"S": "{}"},
            "provedAt": {"S": "2026-11-23T10:20:30Z"},
        });
        let table = self.world.harness.stack.output("TableName").expect("a table");
        for row in [
            with(format!("CRED#{id}"), json!({})),
            with(format!("CRED#{name:1<22}"), json!({"id": {"S": format!("{name:1<22}")}})),
            with(format!("ENV#{id}"), of_environment),
        ] {
            let put = json!({"TableName": table, "Item": row});
            self.world.harness.aws("dynamodb", "DynamoDB_20120810.PutItem", &put).await;
        }
        id
    }

    /// The caller's user id, or the owner's if the caller is not a user.
    fn user(&self, kind: CallerKind) -> i64 {
        match kind {
            CallerKind::Member(role) => self.world.person(role.as_str()).id,
            CallerKind::Stranger => self.world.person("stranger").id,
            _ => self.world.person("owner").id,
        }
    }

    /// Adds a new participant with this role.
    async fn participant(&self, role: &str) -> i64 {
        let guest = self.world.guest().await.id;
        let body = json!({"memberId": guest, "role": role});
        let added = self.world.caller("owner").put(self.world.below("/participants/add"), &body).await;
        let _ = added.json();
        guest
    }
}

fn caller(world: &World, kind: CallerKind) -> Caller {
    match kind {
        CallerKind::Member(role) => world.caller(role.as_str()),
        CallerKind::Stranger => world.caller("stranger"),
        CallerKind::Malformed => Caller::bearer(&world.harness, "malformed"),
        _ => Caller::with_authorization(&world.harness, None),
    }
}

async fn launch(world: &World, platform: &str) -> Value {
    launch_as(world, "launch", platform).await
}

async fn launch_as(world: &World, role: &str, platform: &str) -> Value {
    let body = json!({"platform": platform, "userSecrets": [], "workspaceSecrets": []});
    let run = world.caller(role).post(world.inside("/launches"), &body).await.json();
    for token in [&run["runToken"], &run["claimToken"]] {
        if let Some(token) = token.as_str() {
            world.harness.record_token(token);
        }
    }
    run
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}
