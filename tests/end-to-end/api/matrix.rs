//! Who may do what: every operation of the table times every kind of caller. A new operation does not compile before it
//! has a request here, and what is expected is derived from the table.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use domain::role::{Permission, Role};
use domain::settings::Settings;
use end_to_end::{Answer, Ask, Caller, World};
use http_api::Operation;
use http_api::operation::{Credential, Needs};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::trial::{harness, trial};

/// Somebody, or something, that calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Who {
    /// Takes part in the workspace.
    Member(Role),
    /// Takes part in another workspace only.
    Stranger,
    /// Presents nothing.
    Nobody,
    /// Presents what is no token.
    Garbled,
    /// Presents the token of the run that is asked about.
    RunToken,
    /// Presents the token of another run.
    OtherRunToken,
    /// Presents a claim token: that of the run, where it has one.
    ClaimToken,
}

const EVERYBODY: [Who; 12] = [
    Who::Member(Role::Owner),
    Who::Member(Role::Admin),
    Who::Member(Role::Maintain),
    Who::Member(Role::Launch),
    Who::Member(Role::Connect),
    Who::Member(Role::View),
    Who::Stranger,
    Who::Nobody,
    Who::Garbled,
    Who::RunToken,
    Who::OtherRunToken,
    Who::ClaimToken,
];

/// A test for each operation, and one that all of them are there.
pub(crate) fn trials() -> Vec<Trial> {
    let operations = Operation::ALL
        .iter()
        .map(|operation| trial(format!("matrix::{}", operation.id()), move || everybody_calls(*operation)));
    let whole = trial("matrix::every_kind_of_caller_stands_in_it", every_role_stands_in_the_matrix);
    operations.chain([whole]).collect()
}

async fn every_role_stands_in_the_matrix() {
    let roles: BTreeSet<_> = EVERYBODY
        .iter()
        .filter_map(|who| match who {
            Who::Member(role) => Some(*role),
            _ => None,
        })
        .collect();
    assert_eq!(roles, Role::ALL.into_iter().collect());
}

/// Refused callers first, on one target that none of them changes; then each that is allowed, on one of its own.
async fn everybody_calls(operation: Operation) {
    let place = Fixture::make(operation).await;
    let (allowed, refused): (Vec<Who>, Vec<Who>) =
        EVERYBODY.into_iter().partition(|who| expected(operation, *who) / 100 == 2);
    let target = place.target(operation, Who::Member(Role::Owner)).await;
    let before = place.rows().await;
    for who in refused {
        let answer = place.caller(who).ask(target.clone()).await;
        let message = answer.problem(expected(operation, who));
        is_described(operation, &answer);
        match expected(operation, who) {
            403 => assert!(!message.contains("exist"), "{who:?}: {message}"),
            404 => assert_eq!(message, NOT_FOUND, "{who:?}"),
            _ => {}
        }
    }
    assert_eq!(place.rows().await, before, "a refused call of {} changed something", operation.id());
    for who in allowed {
        let target = place.target(operation, who).await;
        let answer = place.caller(who).ask(target).await;
        check(operation, who, &answer);
    }
}

/// Status, fields and types are those of the API's description, and no field is missing in it.
fn is_described(operation: Operation, answer: &Answer) {
    let body =
        if answer.body.is_empty() { Value::Null } else { serde_json::from_str(&answer.body).expect("JSON") };
    assert_eq!(openapi::conforms(operation, answer.status, &body), Ok(()), "{answer:?}");
}

fn check(operation: Operation, who: Who, answer: &Answer) {
    is_described(operation, answer);
    match expected(operation, who) {
        204 => answer.no_content(),
        status => {
            assert_eq!(answer.status, status, "{} as {who:?}: {answer:?}", operation.id());
            let _ = answer.json();
        }
    }
}

const NOT_FOUND: &str = "Not found: the resource does not exist, or you do not have access to it.";

/// The status that the table of operations implies.
#[expect(clippy::match_same_arms, reason = "one arm per rule, credential by credential")]
fn expected(operation: Operation, who: Who) -> u16 {
    let success = match operation {
        Operation::ValidatePipelineSecretName
        | Operation::UpdatePipelineSecret
        | Operation::DeletePipelineSecret
        | Operation::DeleteToken
        | Operation::UpdateWorkspacePlatforms
        | Operation::UpdateParticipantRole
        | Operation::DeleteParticipant => 204,
        _ => 200,
    };
    match (operation.credential(), who) {
        (Credential::None, _) => success,
        (_, Who::Nobody) => 401,
        (Credential::User, Who::Garbled | Who::RunToken | Who::OtherRunToken | Who::ClaimToken) => 403,
        (Credential::User, Who::Member(role)) => match needed(operation) {
            Some(permission) if !permission.roles(&Settings::new("test")).contains(&role) => 403,
            _ => success,
        },
        (Credential::User, Who::Stranger) => match needed(operation) {
            Some(_) => 404,
            // Of an organization only the members of its workspaces know.
            None if operation == Operation::ListWorkspaces => 404,
            None => success,
        },
        (Credential::Run, Who::RunToken) => success,
        // Nextflow's first message is answered for the token's own run.
        (Credential::Run, Who::OtherRunToken) if operation == Operation::TraceCreate => success,
        (Credential::Run, Who::OtherRunToken) => 404,
        (Credential::Run, _) => 403,
        (Credential::Claim, Who::ClaimToken) => success,
        (Credential::Claim, _) => 404,
    }
}

fn needed(operation: Operation) -> Option<Permission> {
    match (operation, operation.needs()) {
        // Every member may call it, to leave; here somebody else is removed.
        (Operation::DeleteParticipant, _) => Some(Permission::AdministerWorkspace),
        (_, Needs::Own) => None,
        (_, Needs::InWorkspace(permission) | Needs::OfPath(permission)) => Some(permission),
    }
}

/// A world with two runs: the one that is asked about, and another one with a claim token.
struct Fixture {
    world: World,
    secret: i64,
    run: Value,
    other: Value,
    targets: AtomicU32,
}

impl Fixture {
    async fn make(operation: Operation) -> Self {
        let world = World::make(harness().await).await;
        let secret = world.secret("SHARED", "kept").await;
        let claims = operation.credential() == Credential::Claim;
        let run = launch(&world, if claims { "slurm" } else { "aws-batch" }).await;
        let other = launch(&world, "slurm").await;
        for who in EVERYBODY {
            // A token's first use is noted, which is no doing of the calls to come.
            if matches!(who, Who::Member(_) | Who::Stranger) {
                let _ = caller(&world, who).get("/user-info").await.json();
            }
        }
        Self { world, secret, run, other, targets: AtomicU32::new(0) }
    }

    fn caller(&self, who: Who) -> Caller {
        let with = |token: &Value| Caller::bearer(&self.world.harness, token.as_str().expect("a token"));
        match who {
            Who::RunToken => with(&self.run["runToken"]),
            Who::OtherRunToken => with(&self.other["runToken"]),
            Who::ClaimToken if self.run["claimToken"].is_string() => with(&self.run["claimToken"]),
            Who::ClaimToken => with(&self.other["claimToken"]),
            _ => caller(&self.world, who),
        }
    }

    async fn rows(&self) -> Vec<String> {
        let mut rows = self.world.rows().await;
        for run in [&self.run, &self.other] {
            rows.extend(self.world.harness.rows(&format!("RUN#{}", text(&run["workflowId"]))).await);
        }
        rows
    }

    /// A request that succeeds for who may make it.
    async fn target(&self, operation: Operation, who: Who) -> Ask {
        let world = &self.world;
        let run = text(&self.run["workflowId"]);
        // Unlike any that an earlier call for a target took.
        let new_name = format!("N{}", self.targets.fetch_add(1, Ordering::Relaxed));
        let ask = |path: String| Ask::new(operation.method(), path);
        let secret = || world.inside(&format!("/pipeline-secrets/{}", self.secret));
        let launch = json!({"platform": "aws-batch", "userSecrets": [], "workspaceSecrets": ["SHARED"]});
        match operation {
            Operation::ListPipelineSecrets => ask(world.inside("/pipeline-secrets")),
            Operation::CreatePipelineSecret => ask(world.inside("/pipeline-secrets"))
                .json(&json!({"name": format!("NEW_{new_name}"), "value": "v"})),
            Operation::ValidatePipelineSecretName => {
                ask(world.inside("/pipeline-secrets/validate?name=FREE"))
            }
            Operation::ImportPipelineSecrets => {
                ask(world.inside("/pipeline-secrets/import")).json(&json!({format!("NEW_{new_name}"): "v"}))
            }
            Operation::DescribePipelineSecret => ask(secret()),
            Operation::UpdatePipelineSecret => ask(secret()).json(&json!({"value": "v"})),
            Operation::DeletePipelineSecret => {
                let id = world.secret(&format!("GONE_{new_name}"), "v").await;
                ask(world.inside(&format!("/pipeline-secrets/{id}")))
            }
            Operation::ListPipelineSecretHistory => {
                ask(world.inside(&format!("/pipeline-secrets/{}/history", self.secret)))
            }
            Operation::LaunchRun => ask(world.inside("/launches")).json(&launch),
            Operation::PreviewLaunch => ask(world.inside("/launches/preview")).json(&launch),
            Operation::ListRuns => ask(world.inside("/runs")),
            Operation::DescribeRun => ask(world.inside(&format!("/runs/{run}"))),
            Operation::ListAuditEvents => ask(world.inside("/audit-events")),
            Operation::ClaimRun => ask(format!("/runs/{run}/claim")).showing_values(),
            Operation::RecordHeadJob => {
                ask(format!("/runs/{run}/head-job")).json(&world.harness.head_job().await)
            }
            Operation::RenewLease => ask(format!("/runs/{run}/heartbeat")),
            Operation::EndRun => ask(format!("/runs/{run}/end")).json(&json!({"success": true})),
            Operation::TraceCreate => ask("/trace/create".to_owned()).json(&json!({"sessionId": "s"})),
            Operation::TraceBegin => ask(format!("/trace/{run}/begin")).json(&json!({"workflow": {}})),
            Operation::TraceProgress => ask(format!("/trace/{run}/progress")).json(&json!({"tasks": []})),
            Operation::TraceHeartbeat => ask(format!("/trace/{run}/heartbeat")).json(&json!({})),
            Operation::TraceComplete => {
                ask(format!("/trace/{run}/complete")).json(&json!({"workflow": {"success": true}}))
            }
            Operation::DescribeService => ask("/service-info".to_owned()),
            Operation::DescribeUser => ask("/user-info".to_owned()),
            Operation::ListUserWorkspaces => ask(format!("/user/{}/workspaces", self.user(who))),
            Operation::ListTokens => ask("/tokens".to_owned()),
            Operation::CreateToken => ask("/tokens".to_owned()).json(&json!({"name": new_name})),
            Operation::DeleteToken => {
                let body = json!({"name": format!("gone {new_name}")});
                let made = self.caller(who).post("/tokens", &body).await.json();
                ask(format!("/tokens/{}", made["token"]["id"]))
            }
            Operation::ListOrganizations => ask("/orgs".to_owned()),
            Operation::ListWorkspaces => ask(format!("/orgs/{}/workspaces", world.org)),
            Operation::DescribeWorkspace => ask(world.below("")),
            Operation::UpdateWorkspacePlatforms => {
                ask(world.below("/platforms")).json(&json!({"platforms": ["aws-batch", "slurm"]}))
            }
            Operation::ListParticipants => ask(world.below("/participants")),
            Operation::AddParticipant => {
                let guest = world.guest().await.id;
                ask(world.below("/participants/add")).json(&json!({"memberId": guest}))
            }
            Operation::UpdateParticipantRole => {
                let path = world.below(&format!("/participants/{}/role", self.participant().await));
                ask(path).json(&json!({"role": "connect"}))
            }
            Operation::DeleteParticipant => {
                ask(world.below(&format!("/participants/{}", self.participant().await)))
            }
        }
    }

    /// The id of who calls; of the owner where it is no user.
    fn user(&self, who: Who) -> i64 {
        match who {
            Who::Member(role) => self.world.person(role.as_str()).id,
            Who::Stranger => self.world.person("stranger").id,
            _ => self.world.person("owner").id,
        }
    }

    /// Somebody new who looks on.
    async fn participant(&self) -> i64 {
        let guest = self.world.guest().await.id;
        let body = json!({"memberId": guest, "role": "view"});
        let added = self.world.caller("owner").put(self.world.below("/participants/add"), &body).await;
        let _ = added.json();
        guest
    }
}

fn caller(world: &World, who: Who) -> Caller {
    match who {
        Who::Member(role) => world.caller(role.as_str()),
        Who::Stranger => world.caller("stranger"),
        Who::Garbled => Caller::bearer(&world.harness, "garbled"),
        _ => Caller::presenting(&world.harness, None),
    }
}

async fn launch(world: &World, platform: &str) -> Value {
    let body = json!({"platform": platform, "userSecrets": [], "workspaceSecrets": []});
    let run = world.caller("launch").post(world.inside("/launches"), &body).await.json();
    for token in [&run["runToken"], &run["claimToken"]] {
        if let Some(token) = token.as_str() {
            world.harness.handed_out(token);
        }
    }
    run
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}
