//! Storms of launches: each launch is live, or rejected with nothing left. Other operations succeed
//! meanwhile.

use std::time::Duration;

use domain::copies::Layout;
use faults::runner::with_world;
use faults::storm::{Storm, StormResult};

fn run_storm(storm: Storm) -> StormResult {
    let result = with_world(async |world| Box::pin(storm.run(world)).await);
    assert_eq!(result.violations, Vec::<String>::new());
    assert_eq!(result.live + result.rejected, storm.launches);
    assert!(result.throttled > 0, "nothing was throttled: {result:?}");
    // API Gateway waits for 29 seconds.
    assert!(result.longest < Duration::from_secs(27), "{result:?}");
    assert!(result.longest_other < Duration::from_secs(5), "{result:?}");
    result
}

#[test]
fn every_launch_in_a_storm_is_live_or_rejected_with_nothing_left() {
    let result = run_storm(Storm { launches: 40, secrets: 5, layout: Layout::Bundle, creations: 2 });
    assert!(result.live >= 2, "{result:?}");
}

#[test]
fn every_launch_in_a_storm_with_a_copy_per_name_is_live_or_rejected() {
    let result = run_storm(Storm { launches: 10, secrets: 5, layout: Layout::PerName, creations: 3 });
    assert!(result.rejected > 0, "{result:?}");
}
