//! Storms of launches: each launch is live, or rejected with nothing left. Other operations succeed
//! meanwhile.

use std::time::Duration;

use domain::copies::Layout;
use faults::runner::with_world;
use faults::storm::{Storm, StormResult};

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
