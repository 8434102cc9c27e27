//! The cost of a request, measured at the SDK: its AWS calls, and its rounds, which are sequential
//! calls.

use std::time::Duration;

use domain::copies::Layout;
use domain::platform::Platform;
use domain::use_cases::read_secrets;
use faults::operations::only;
use faults::runner::with_world;
use faults::world::{LAUNCHER, World, actor, environment, workspace};
use tokio::time::Instant;

/// The latency of each call, on a clock that skips every wait: the elapsed time is the number of
/// rounds.
const ROUND: Duration = Duration::from_secs(1);

/// The cost of an operation.
#[derive(Debug)]
struct Cost {
    calls: Vec<String>,
    rounds: u64,
}

impl Cost {
    fn of(&self, operation: &str) -> usize {
        self.calls.iter().filter(|call| *call == operation).count()
    }
}

/// Runs an operation and measures its cost.
async fn cost<T>(world: &World, operation: impl Future<Output = domain::Result<T>>) -> (T, Cost) {
    {
        let mut state = world.aws.state();
        state.latency = ROUND;
        state.calls.clear();
    }
    let started = Instant::now();
    let done = Box::pin(operation).await.expect("nothing fails");
    let rounds = started.elapsed().as_secs_f64().ceil();
    let mut state = world.aws.state();
    state.latency = Duration::ZERO;
    let calls = state.calls.iter().map(|call| call.operation.clone()).collect();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few seconds")]
    let rounds = rounds as u64;
    (done, Cost { calls, rounds })
}

/// Resets the world to this many workspace secrets with this value.
async fn store_secrets(world: &World, count: usize, value: &str) -> Vec<String> {
    world.reset();
    world.add_members();
    let names: Vec<_> = (0..count).map(|number| format!("SECRET_{number}")).collect();
    for name in &names {
        world.create(&[(name, value)], None).await.expect("stored");
    }
    names
}

/// Launches with this many secrets, and returns the number of copies and the cost.
async fn launch(world: &World, count: usize, value: &str) -> (usize, Cost) {
    let names = store_secrets(world, count, value).await;
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let operation = world.launch_of(Platform::AwsBatch, Layout::Bundle, None, only(&names));
    let (_, cost) = cost(world, operation).await;
    (cost.of("CreateSecret"), cost)
}

#[test]
fn a_launch_with_n_secrets_makes_at_most_n_plus_10_calls_in_6_rounds() {
    for count in [1, 8, 64] {
        let (copies, cost) = with_world(async move |world| launch(world, count, "a value").await);
        assert_eq!(copies, 1, "{count} secrets: {:?}", cost.calls);
        assert_eq!(cost.of("Decrypt"), count, "{:?}", cost.calls);
        assert!(cost.calls.len() <= count + 10, "{count} secrets: {:?}", cost.calls);
        assert!(cost.rounds <= 6, "{count} secrets: {} rounds, {:?}", cost.rounds, cost.calls);
    }
}

#[test]
fn a_launch_in_an_environment_makes_one_more_call_in_as_many_rounds() {
    for count in [1, 8, 64] {
        let cost = with_world(async move |world| {
            let names = store_secrets(world, count, "a value").await;
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let (id, batch) = (Some(environment().id), Platform::AwsBatch);
            let launch = world.launch_in(id, batch, Layout::Bundle, None, only(&names));
            cost(world, launch).await.1
        });
        assert_eq!(cost.of("AssumeRole"), 1, "{:?}", cost.calls);
        assert!(cost.calls.len() <= count + 11, "{count} secrets: {:?}", cost.calls);
        assert!(cost.rounds <= 6, "{count} secrets: {} rounds, {:?}", cost.rounds, cost.calls);
    }
}

#[test]
fn each_additional_shard_costs_a_launch_one_call_and_no_round() {
    let large = "x".repeat(32 * 1024);
    let (copies, cost) = with_world(async move |world| launch(world, 3, &large).await);
    assert!(copies > 1, "one copy must be too small for these values: {:?}", cost.calls);
    let additional = copies - 1;
    assert!(cost.calls.len() <= 3 + 10 + additional, "{:?}", cost.calls);
    assert!(cost.rounds <= 6, "{} rounds, {:?}", cost.rounds, cost.calls);
}

#[test]
fn a_launch_with_many_copies_makes_one_additional_write_to_reserve_them() {
    let cost = with_world(async |world| {
        let names = store_secrets(world, 20, "a value").await;
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let launch = world.launch_of(Platform::AwsBatch, Layout::PerName, None, only(&names));
        cost(world, launch).await.1
    });
    assert_eq!((cost.of("CreateSecret"), cost.of("UpdateItem")), (20, 1), "{:?}", cost.calls);
    assert!(cost.calls.len() <= 20 + 10 + 19 + 1, "{:?}", cost.calls);
    // One round for the reservation, and part of a second until the last copy is created.
    assert!(cost.rounds <= 8, "{} rounds, {:?}", cost.rounds, cost.calls);
}

#[test]
fn a_list_makes_2_calls_and_reads_no_value() {
    let cost = with_world(async |world| {
        store_secrets(world, 64, "a value").await;
        let actor = actor(LAUNCHER);
        let operation = read_secrets::list(&world.store, &world.settings, &actor, Some(workspace()));
        let (listed, cost) = cost(world, operation).await;
        assert_eq!(listed.len(), 64);
        cost
    });
    assert_eq!(cost.calls.len(), 2, "{:?}", cost.calls);
    assert!(cost.rounds <= 2, "{} rounds, {:?}", cost.rounds, cost.calls);
}

#[test]
fn a_create_makes_3_calls_in_3_rounds() {
    let cost = with_world(async |world| {
        store_secrets(world, 0, "").await;
        cost(world, world.create(&[("NCBI_API_KEY", "a value")], None)).await.1
    });
    assert_eq!(cost.calls.len(), 3, "{:?}", cost.calls);
    assert!(cost.rounds <= 3, "{} rounds, {:?}", cost.rounds, cost.calls);
}
