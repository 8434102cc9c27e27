//! A caller without access cannot find out whether a resource exists: the answers are the same, and
//! the AWS calls behind them are the same, so timing does not reveal it either.

use domain::copies::Layout;
use domain::ids::{RunId, SecretId, WorkspaceId};
use domain::platform::Platform;
use domain::resolve::SecretSelection;
use domain::token::TokenKey;
use domain::use_cases::change_secret::Change;
use domain::use_cases::create_secrets;
use domain::use_cases::preview::{LaunchRequest, preview};
use domain::use_cases::{read_runs, read_secrets};
use faults::operations::{key_of, value_of};
use faults::runner::with_world;
use faults::world::{OWNER, WORKSPACE, World, actor, scope, start};
use serde_json::json;

/// A user without a workspace.
const STRANGER: i64 = 9;
/// Another user's workspace.
const THEIRS: i64 = 43;
/// Unused ids.
const ABSENT: i64 = 4_503_599_627_370_497;
const ABSENT_RUN: &str = "ab12ABCDEFGHIJ";

/// The observable result: the error and the AWS calls before it.
#[derive(PartialEq, Eq, Debug)]
struct Observed {
    error: String,
    calls: Vec<String>,
}

async fn observe<T>(world: &World, operation: impl Future<Output = domain::Result<T>>) -> Observed {
    world.aws.state().calls.clear();
    let error = Box::pin(operation).await.err().expect("an error");
    let calls = world.aws.state().calls.iter().map(|call| call.operation.clone()).collect();
    Observed { error: format!("{error:?}"), calls }
}

/// Two workspaces, each with a secret and a run, and a stranger.
async fn two_workspaces(world: &World) -> (SecretId, RunId, String) {
    world.reset();
    world.add_members();
    world.put(&json!({
        "pk": { "S": scope(THEIRS) }, "sk": { "S": "META" }, "id": { "N": THEIRS.to_string() }, "org": { "N": "6" },
        "orgName": { "S": "others" }, "name": { "S": "lab" }, "fullName": { "S": "Theirs" },
        "platforms": { "L": [{ "S": "aws-batch" }, { "S": "slurm" }] }, "createdAt": { "S": start().to_string() },
    }));
    for user in [STRANGER, 10] {
        world.put(&json!({ "pk": { "S": format!("USER#{user}") }, "sk": { "S": "META" } }));
    }
    world.put(&json!({ "pk": { "S": format!("MEMBERS#{THEIRS}") }, "sk": { "S": "MEMBER#10" }, "role": { "S": "owner" } }));
    world.create(&[("OURS", "a value")], None).await.expect("stored");
    let deadline = world.deadline();
    let draft = create_secrets::Draft {
        name: faults::operations::name_of("THEIRS"),
        value: value_of("a value"),
        description: None,
        expires: None,
    };
    let (owner, theirs) = (actor(10), WorkspaceId::new(THEIRS));
    let created =
        world.secret_service().create(&owner, theirs, &[draft], None, &world.context(&deadline)).await;
    let secret = created.expect("stored")[0];
    let launched = launch(world, 10, THEIRS).await.expect("launched");
    let token = launched.tokens.expect("a first launch").claim.expect("the platform claims").to_string();
    (secret, launched.run.id, token)
}

async fn launch(
    world: &World,
    user: i64,
    workspace: i64,
) -> domain::Result<domain::use_cases::launch::Launched> {
    let deadline = world.deadline();
    let launcher = world.launcher();
    launcher.launch(&actor(user), &launch_request(workspace), None, &world.context(&deadline)).await
}

fn launch_request(workspace: i64) -> LaunchRequest {
    LaunchRequest {
        compute_env: None,
        workspace: WorkspaceId::new(workspace),
        platform: Platform::Slurm,
        layout: Some(Layout::Bundle),
        secrets: SecretSelection::default(),
    }
}

/// Observes every operation on a secret of this workspace as this user.
async fn about_a_secret(world: &World, user: i64, workspace: i64, id: SecretId) -> Vec<Observed> {
    let (store, settings, caller) = (&world.store, &world.settings, actor(user));
    let workspace = WorkspaceId::new(workspace);
    let deadline = world.deadline();
    let change = Change { value: value_of("another"), description: None, expires: None };
    let (secret_service, context) = (world.secret_service(), world.context(&deadline));
    vec![
        observe(world, read_secrets::describe(store, settings, &caller, workspace, id)).await,
        observe(world, read_secrets::history(store, settings, &caller, workspace, id)).await,
        observe(world, secret_service.update(&caller, workspace, id, &change, None, &context)).await,
        observe(world, secret_service.delete(&caller, workspace, id, None, &context)).await,
    ]
}

/// Observes the description of a run of this workspace as this user.
async fn about_a_run(world: &World, user: i64, workspace: i64, id: &RunId) -> Observed {
    let workspace = WorkspaceId::new(workspace);
    observe(world, read_runs::describe(&world.store, &world.settings, &actor(user), workspace, id)).await
}

/// Observes every operation on this workspace that takes no other id.
async fn about_a_workspace(world: &World, user: i64, workspace: i64) -> Vec<Observed> {
    let (store, settings, caller) = (&world.store, &world.settings, actor(user));
    let (id, deadline) = (WorkspaceId::new(workspace), world.deadline());
    vec![
        observe(world, read_secrets::list(store, settings, &caller, id)).await,
        observe(world, read_secrets::validate_name(store, settings, &caller, id, "THEIRS")).await,
        observe(world, read_secrets::audit_trail(store, settings, &caller, id, "2026-11", 10)).await,
        observe(world, read_runs::list(store, settings, &caller, id, None, 10, None)).await,
        observe(world, preview(store, &caller, &launch_request(workspace), &world.context(&deadline))).await,
        observe(world, launch(world, user, workspace)).await,
    ]
}

#[test]
fn an_inaccessible_and_an_absent_secret_give_the_same_error_after_the_same_calls() {
    with_world(async |world| {
        let (theirs, ..) = two_workspaces(world).await;
        let absent = SecretId::new(ABSENT).expect("an id");
        let ours = WORKSPACE;
        let inaccessible = about_a_secret(world, OWNER, ours, theirs).await;
        assert_eq!(inaccessible, about_a_secret(world, OWNER, ours, absent).await);
        assert!(
            inaccessible.iter().all(|observed| observed.error == "NotFound" && !observed.calls.is_empty()),
            "{inaccessible:?}"
        );
    });
}

#[test]
fn an_inaccessible_and_an_absent_run_give_the_same_error_after_the_same_calls() {
    with_world(async |world| {
        let (_, theirs, _) = two_workspaces(world).await;
        let absent = RunId::new(ABSENT_RUN).expect("an id");
        let ours = WORKSPACE;
        let inaccessible = about_a_run(world, OWNER, ours, &theirs).await;
        assert_eq!(inaccessible, about_a_run(world, OWNER, ours, &absent).await);
        assert_eq!(inaccessible.error, "NotFound");
    });
}

#[test]
fn an_inaccessible_and_an_absent_workspace_give_the_same_error_after_the_same_calls() {
    with_world(async |world| {
        let (secret, run, _) = two_workspaces(world).await;
        for user in [STRANGER, OWNER] {
            let inaccessible = about_a_workspace(world, user, THEIRS).await;
            assert_eq!(inaccessible, about_a_workspace(world, user, 4_242).await);
            assert!(
                inaccessible.iter().all(|observed| observed.error == "NotFound" && observed.calls.len() == 1),
                "{inaccessible:?}"
            );
            let inaccessible = about_a_secret(world, user, THEIRS, secret).await;
            assert_eq!(inaccessible, about_a_secret(world, user, 4_242, secret).await);
            let inaccessible = about_a_run(world, user, THEIRS, &run).await;
            assert_eq!(inaccessible, about_a_run(world, user, 4_242, &run).await);
        }
    });
}

#[test]
fn a_wrong_token_of_an_existing_and_of_an_absent_run_give_the_same_error_after_the_same_calls() {
    with_world(async |world| {
        let (_, theirs, right) = two_workspaces(world).await;
        let absent = RunId::new(ABSENT_RUN).expect("an id");
        let wrong = TokenKey::make_claim(&world.randomness);
        let deadline = world.deadline();
        let (claimer, reporter) = (world.claimer(), world.reporter());
        let context = world.context(&deadline);
        let claimed = observe(world, claimer.claim(&theirs, &wrong, &context)).await;
        assert_eq!(claimed, observe(world, claimer.claim(&absent, &wrong, &context)).await);
        let reported = observe(world, reporter.heartbeat(&theirs, &wrong, &context)).await;
        assert_eq!(reported, observe(world, reporter.heartbeat(&absent, &wrong, &context)).await);
        // The valid token of another run is also rejected.
        let right = key_of(&right);
        assert_eq!(claimed, observe(world, claimer.claim(&absent, &right, &context)).await);
        assert!(claimer.claim(&theirs, &right, &context).await.is_ok(), "the valid token works");
    });
}
