//! Who may not know of a thing cannot find out whether it is there: not by the answer, and not by how long it takes, since
//! the calls of AWS behind it are the same.

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
use faults::runner::alone;
use faults::world::{OWNER, WORKSPACE, World, actor, scope, start};
use serde_json::json;

/// Somebody with an own account and in no workspace.
const STRANGER: i64 = 9;
/// A workspace of others.
const THEIRS: i64 = 43;
/// Ids that nothing has.
const ABSENT: i64 = 4_503_599_627_370_497;
const ABSENT_RUN: &str = "ab12ABCDEFGHIJ";

/// What a caller can tell: the error, and how much was done before it.
#[derive(PartialEq, Eq, Debug)]
struct Told {
    error: String,
    calls: Vec<String>,
}

async fn told<T>(world: &World, deed: impl Future<Output = domain::Result<T>>) -> Told {
    world.aws.state().calls.clear();
    let error = Box::pin(deed).await.err().expect("it is refused");
    let calls = world.aws.state().calls.iter().map(|call| call.operation.clone()).collect();
    Told { error: format!("{error:?}"), calls }
}

/// Ours, with a secret and a run; theirs, with the same; a stranger.
async fn two_workspaces(world: &World) -> (SecretId, RunId, String) {
    world.reset();
    world.people();
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
    let pace = world.deadline();
    let draft = create_secrets::Draft {
        name: faults::operations::name_of("THEIRS"),
        value: value_of("a value"),
        description: None,
        expires: None,
    };
    let (owner, theirs) = (actor(10), WorkspaceId::new(THEIRS));
    let made = world.keeper().create(&owner, theirs, &[draft], None, &world.context(&pace)).await;
    let secret = made.expect("stored")[0];
    let launched = launch(world, 10, THEIRS).await.expect("launched");
    let token = launched.tokens.expect("a first launch").claim.expect("the platform claims").to_string();
    (secret, launched.run.id, token)
}

async fn launch(
    world: &World,
    user: i64,
    workspace: i64,
) -> domain::Result<domain::use_cases::launch::Launched> {
    let pace = world.deadline();
    let launcher = world.launcher();
    launcher.launch(&actor(user), &asked(workspace), None, &world.context(&pace)).await
}

fn asked(workspace: i64) -> LaunchRequest {
    LaunchRequest {
        workspace: WorkspaceId::new(workspace),
        platform: Platform::Slurm,
        layout: Some(Layout::Bundle),
        secrets: SecretSelection::default(),
    }
}

/// What this user is told about a secret of this workspace by everything that takes its id.
async fn about_a_secret(world: &World, user: i64, of: i64, id: SecretId) -> Vec<Told> {
    let (store, settings, who) = (&world.store, &world.settings, actor(user));
    let of = WorkspaceId::new(of);
    let pace = world.deadline();
    let change = Change { value: value_of("another"), description: None, expires: None };
    let (keeper, context) = (world.keeper(), world.context(&pace));
    vec![
        told(world, read_secrets::describe(store, settings, &who, of, id)).await,
        told(world, read_secrets::history(store, settings, &who, of, id)).await,
        told(world, keeper.update(&who, of, id, &change, None, &context)).await,
        told(world, keeper.delete(&who, of, id, None, &context)).await,
    ]
}

/// What this user is told about a run of this workspace.
async fn about_a_run(world: &World, user: i64, of: i64, id: &RunId) -> Told {
    let of = WorkspaceId::new(of);
    told(world, read_runs::describe(&world.store, &world.settings, &actor(user), of, id)).await
}

/// What this user is told by everything that takes a workspace and nothing else that may be unknown.
async fn about_a_workspace(world: &World, user: i64, of: i64) -> Vec<Told> {
    let (store, settings, who) = (&world.store, &world.settings, actor(user));
    let (id, pace) = (WorkspaceId::new(of), world.deadline());
    vec![
        told(world, read_secrets::list(store, settings, &who, id)).await,
        told(world, read_secrets::validate_name(store, settings, &who, id, "THEIRS")).await,
        told(world, read_secrets::audit_trail(store, settings, &who, id, "2026-11", 10)).await,
        told(world, read_runs::list(store, settings, &who, id, None, 10, None)).await,
        told(world, preview(store, &who, &asked(of), &world.context(&pace))).await,
        told(world, launch(world, user, of)).await,
    ]
}

#[test]
fn a_secret_of_others_and_one_that_does_not_exist_take_the_same_calls_and_tell_the_same() {
    alone(async |world| {
        let (theirs, ..) = two_workspaces(world).await;
        let absent = SecretId::new(ABSENT).expect("an id");
        let ours = WORKSPACE;
        let foreign = about_a_secret(world, OWNER, ours, theirs).await;
        assert_eq!(foreign, about_a_secret(world, OWNER, ours, absent).await);
        assert!(foreign.iter().all(|told| told.error == "NotFound" && !told.calls.is_empty()), "{foreign:?}");
    });
}

#[test]
fn a_run_of_others_and_one_that_does_not_exist_take_the_same_calls_and_tell_the_same() {
    alone(async |world| {
        let (_, theirs, _) = two_workspaces(world).await;
        let absent = RunId::new(ABSENT_RUN).expect("an id");
        let ours = WORKSPACE;
        let foreign = about_a_run(world, OWNER, ours, &theirs).await;
        assert_eq!(foreign, about_a_run(world, OWNER, ours, &absent).await);
        assert_eq!(foreign.error, "NotFound");
    });
}

#[test]
fn a_workspace_of_others_and_one_that_does_not_exist_take_the_same_calls_and_tell_the_same() {
    alone(async |world| {
        let (secret, run, _) = two_workspaces(world).await;
        for user in [STRANGER, OWNER] {
            let foreign = about_a_workspace(world, user, THEIRS).await;
            assert_eq!(foreign, about_a_workspace(world, user, 4_242).await);
            assert!(
                foreign.iter().all(|told| told.error == "NotFound" && told.calls.len() == 1),
                "{foreign:?}"
            );
            let foreign = about_a_secret(world, user, THEIRS, secret).await;
            assert_eq!(foreign, about_a_secret(world, user, 4_242, secret).await);
            let foreign = about_a_run(world, user, THEIRS, &run).await;
            assert_eq!(foreign, about_a_run(world, user, 4_242, &run).await);
        }
    });
}

#[test]
fn a_wrong_token_of_a_run_and_a_token_of_no_run_take_the_same_calls_and_tell_the_same() {
    alone(async |world| {
        let (_, theirs, right) = two_workspaces(world).await;
        let absent = RunId::new(ABSENT_RUN).expect("an id");
        let wrong = TokenKey::make_claim(&world.randomness);
        let pace = world.deadline();
        let (claimer, reporter) = (world.claimer(), world.reporter());
        let context = world.context(&pace);
        let claimed = told(world, claimer.claim(&theirs, &wrong, &context)).await;
        assert_eq!(claimed, told(world, claimer.claim(&absent, &wrong, &context)).await);
        let reported = told(world, reporter.heartbeat(&theirs, &wrong, &context)).await;
        assert_eq!(reported, told(world, reporter.heartbeat(&absent, &wrong, &context)).await);
        // The right key under another run's id is as wrong as any.
        let right = key_of(&right);
        assert_eq!(claimed, told(world, claimer.claim(&absent, &right, &context)).await);
        assert!(claimer.claim(&theirs, &right, &context).await.is_ok(), "and the right one is right");
    });
}
