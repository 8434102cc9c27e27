//! What a request costs, counted at the SDK: its calls to AWS, and its rounds, which are calls that wait for one another.

use std::time::Duration;

use domain::copies::Layout;
use domain::platform::Platform;
use domain::use_cases::read_secrets;
use faults::operations::only;
use faults::runner::alone;
use faults::world::{LAUNCHER, World, actor, workspace};
use tokio::time::Instant;

/// Each call takes this long on a clock that jumps over every wait: the time that went by is the number of rounds.
const ROUND: Duration = Duration::from_secs(1);

/// What a deed cost.
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

/// Does something and counts.
async fn cost<T>(world: &World, deed: impl Future<Output = domain::Result<T>>) -> (T, Cost) {
    {
        let mut state = world.aws.state();
        state.takes = ROUND;
        state.calls.clear();
    }
    let begun = Instant::now();
    let done = Box::pin(deed).await.expect("nothing fails");
    let rounds = begun.elapsed().as_secs_f64().ceil();
    let mut state = world.aws.state();
    state.takes = Duration::ZERO;
    let calls = state.calls.iter().map(|call| call.operation.clone()).collect();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few seconds")]
    let rounds = rounds as u64;
    (done, Cost { calls, rounds })
}

/// A world with this many secrets of a workspace, each of this value.
async fn stocked(world: &World, count: usize, value: &str) -> Vec<String> {
    world.reset();
    world.people();
    let names: Vec<_> = (0..count).map(|number| format!("SECRET_{number}")).collect();
    for name in &names {
        world.create(&[(name, value)], None).await.expect("stored");
    }
    names
}

/// Launches with this many secrets, and gives the number of copies as well.
async fn launch(world: &World, count: usize, value: &str) -> (usize, Cost) {
    let names = stocked(world, count, value).await;
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let launching = world.launch_of(Platform::AwsBatch, Layout::Bundle, None, only(&names));
    let (_, cost) = cost(world, launching).await;
    (cost.of("CreateSecret"), cost)
}

#[test]
fn a_launch_with_n_secrets_makes_at_most_n_plus_10_calls_in_6_rounds() {
    for count in [1, 8, 64] {
        let (copies, cost) = alone(async move |world| launch(world, count, "a value").await);
        assert_eq!(copies, 1, "{count} secrets: {:?}", cost.calls);
        assert_eq!(cost.of("Decrypt"), count, "{:?}", cost.calls);
        assert!(cost.calls.len() <= count + 10, "{count} secrets: {:?}", cost.calls);
        assert!(cost.rounds <= 6, "{count} secrets: {} rounds, {:?}", cost.rounds, cost.calls);
    }
}

#[test]
fn a_launch_makes_one_call_more_for_each_further_shard_and_no_round_more() {
    let large = "x".repeat(32 * 1024);
    let (copies, cost) = alone(async move |world| launch(world, 8, &large).await);
    assert!(copies > 1, "one secret of AWS Secrets Manager does not hold this: {:?}", cost.calls);
    let further = copies - 1;
    assert!(cost.calls.len() <= 8 + 10 + further, "{:?}", cost.calls);
    assert!(cost.rounds <= 6, "{} rounds, {:?}", cost.rounds, cost.calls);
}

#[test]
fn a_list_makes_2_calls_and_reads_no_value() {
    let cost = alone(async |world| {
        stocked(world, 64, "a value").await;
        let actor = actor(LAUNCHER);
        let listing = read_secrets::list(&world.store, &world.settings, &actor, Some(workspace()));
        let (listed, cost) = cost(world, listing).await;
        assert_eq!(listed.len(), 64);
        cost
    });
    assert_eq!(cost.calls.len(), 2, "{:?}", cost.calls);
    assert!(cost.rounds <= 2, "{} rounds, {:?}", cost.rounds, cost.calls);
}

#[test]
fn a_create_makes_3_calls_in_3_rounds() {
    let cost = alone(async |world| {
        stocked(world, 0, "").await;
        cost(world, world.create(&[("NCBI_API_KEY", "a value")], None)).await.1
    });
    assert_eq!(cost.calls.len(), 3, "{:?}", cost.calls);
    assert!(cost.rounds <= 3, "{} rounds, {:?}", cost.rounds, cost.calls);
}
