//! Launches in a storm: each is live, or refused with nothing of it left; others are served meanwhile.

use std::time::Duration;

use domain::copies::Layout;
use faults::runner::alone;
use faults::storm::{Storm, StormResult};

fn weather(storm: Storm) -> StormResult {
    let result = alone(async |world| Box::pin(storm.rage(world)).await);
    assert_eq!(result.wrongs, Vec::<String>::new());
    assert_eq!(result.live + result.refused, storm.launches);
    assert!(result.throttled > 0, "there was no storm: {result:?}");
    // API Gateway waits for 29 seconds.
    assert!(result.longest < Duration::from_secs(27), "{result:?}");
    assert!(result.longest_meanwhile < Duration::from_secs(5), "{result:?}");
    result
}

#[test]
fn of_launches_in_a_storm_each_is_live_or_refused_with_nothing_left() {
    let result = weather(Storm { launches: 40, secrets: 5, layout: Layout::Bundle, creations: 2 });
    assert!(result.live >= 2, "{result:?}");
}

#[test]
fn with_a_copy_per_name_as_well() {
    let result = weather(Storm { launches: 10, secrets: 5, layout: Layout::PerName, creations: 3 });
    assert!(result.refused > 0, "{result:?}");
}
