//! Launches in a storm: each is live, or refused with nothing of it left; others are served meanwhile.

use std::time::Duration;

use domain::copies::Layout;
use faults::runner::alone;
use faults::storm::{Storm, Weathered};

fn weather(storm: Storm) -> Weathered {
    let weathered = alone(async |world| Box::pin(storm.rage(world)).await);
    assert_eq!(weathered.wrongs, Vec::<String>::new());
    assert_eq!(weathered.live + weathered.refused, storm.launches);
    assert!(weathered.throttled > 0, "there was no storm: {weathered:?}");
    // API Gateway waits for 29 seconds.
    assert!(weathered.longest < Duration::from_secs(27), "{weathered:?}");
    assert!(weathered.longest_meanwhile < Duration::from_secs(5), "{weathered:?}");
    weathered
}

#[test]
fn of_launches_in_a_storm_each_is_live_or_refused_with_nothing_left() {
    let weathered = weather(Storm { launches: 40, secrets: 5, layout: Layout::Bundle, creations: 2 });
    assert!(weathered.live >= 2, "{weathered:?}");
}

#[test]
fn with_a_copy_per_name_as_well() {
    let weathered = weather(Storm { launches: 10, secrets: 5, layout: Layout::PerName, creations: 3 });
    assert!(weathered.refused > 0, "{weathered:?}");
}
