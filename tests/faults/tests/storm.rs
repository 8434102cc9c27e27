//! Storms of launches: each launch is live, or rejected with nothing left. Other operations succeed
//! meanwhile.

use std::time::Duration;

use domain::Error;
use domain::copies::Layout;
use domain::platform::Platform;
use domain::settings::{LaunchWithoutWorkspace, Settings};
use faults::runner::with_world;
use faults::storm::{Storm, StormResult};
use faults::world::{DEPLOYMENT, World};
use futures_util::future::{join, join_all};
use serde_json::json;
use support::Limit;

fn run_storm(storm: Storm) -> StormResult {
    let result = with_world(async |world| Box::pin(storm.run(world)).await);
    assert_eq!(result.violations, Vec::<String>::new());
    // API Gateway waits for 29 seconds.
    assert!(result.longest < Duration::from_secs(27), "{result:?}");
    assert!(result.longest_other < Duration::from_secs(5), "{result:?}");
    result
}

/// Each client launches once.
fn run_once(launches: usize, layout: Layout, creations: u32) -> StormResult {
    let result = run_storm(Storm { launches, secrets: 5, layout, retries: false, creations });
    assert_eq!(result.live + result.rejected, launches);
    assert!(result.throttled > 0, "nothing was throttled: {result:?}");
    result
}

#[test]
fn every_launch_in_a_storm_is_live_or_rejected_with_nothing_left() {
    let result = run_once(40, Layout::Bundle, 2);
    assert!(result.live >= 2, "{result:?}");
}

#[test]
fn every_launch_in_a_storm_with_a_copy_per_name_is_live_or_rejected() {
    let result = run_once(10, Layout::PerName, 3);
    assert!(result.rejected > 0, "{result:?}");
}

/// A quarter of the clients of `cargo prove`, in a quarter of the time: 200 are live within 95 s.
#[test]
fn clients_that_retry_after_retry_after_are_all_live_and_bundles_are_not_delayed() {
    let clients = 50;
    let result = run_storm(Storm::per_name(clients));
    assert_eq!(result.live, clients);
    assert!(result.end < Duration::from_millis(95_000 / 4), "{result:?}");
    // Each client is rejected at most once, and waits for its slot within the launch.
    assert!(result.rejected < clients, "{result:?}");
    assert!(result.longest < Duration::from_secs(10), "{result:?}");
    assert!(result.longest_bundle < Duration::from_secs(1), "{result:?}");
    assert_eq!(result.throttled, 0, "{result:?}");
}

/// A user without a role in any workspace.
const STRANGER: i64 = 9;

/// A workspace with a secret, and a user without a role who has three secrets. AWS Secrets Manager
/// allows 50 creations a second.
async fn with_a_stranger(world: &World) {
    world.reset();
    world.add_members();
    world.put(&json!({ "pk": { "S": format!("USER#{STRANGER}") }, "sk": { "S": "META" } }));
    world.create(&[("LICENCE", "a value")], None).await.expect("stored");
    let own = [("ONE", "a value"), ("TWO", "a value"), ("THREE", "a value")];
    world.create_as(STRANGER, false, &own, None).await.expect("stored");
    let mut state = world.aws.state();
    state.unchecked = true;
    state.latency = Duration::from_millis(15);
    state.calls.clear();
    state.limits.insert("CreateSecret", Limit::per_second(50));
}

fn created(world: &World) -> usize {
    world.aws.state().calls.iter().filter(|call| call.operation == "CreateSecret").count()
}

#[test]
fn a_storm_of_200_launches_by_a_user_without_a_role_leaves_other_launches_unharmed() {
    with_world(async |world| {
        with_a_stranger(world).await;
        let storm = join_all((0..200).map(async |_| {
            world.launch_own(STRANGER, Layout::PerName, &world.settings).await.map(|launched| launched.run.id)
        }));
        let others =
            join_all((0..20).map(async |_| world.launch(Platform::AwsBatch, Layout::Bundle, None).await));
        let (storm, others) = Box::pin(join(storm, others)).await;
        for outcome in storm {
            assert!(matches!(outcome, Err(Error::Refused(_))), "{outcome:?}");
        }
        assert!(others.into_iter().all(|launched| launched.is_ok_and(|launched| launched.tokens.is_some())));
        assert_eq!((created(world), world.aws.state().throttled), (20, 0));
    });
}

#[test]
fn where_everyone_may_launch_a_user_reaches_a_limit_that_is_not_that_of_others() {
    with_world(async |world| {
        with_a_stranger(world).await;
        world.aws.state().limits.clear();
        let everyone = LaunchWithoutWorkspace::Everyone;
        let settings = Settings { launch_without_workspace: everyone, ..Settings::new(DEPLOYMENT) };
        let most = settings.live_limits.runs_per_user;
        let (mut live, mut refused) = (0, 0);
        for _ in 0..most + 10 {
            match world.launch_own(STRANGER, Layout::Bundle, &settings).await {
                Ok(_) => live += 1,
                Err(Error::TooManyLiveRuns(_)) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!((live, refused), (most, 10));
        let other = world.launch(Platform::AwsBatch, Layout::Bundle, None).await;
        assert!(other.is_ok_and(|launched| launched.tokens.is_some()));
    });
}
