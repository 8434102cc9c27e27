//! The real `next` against an independent reference, over random interleavings.

mod life;

use life::row::{Happening, Kind, Row, begun, step};
use life::{reference, row};
use proptest::prelude::*;

/// Interleavings in `cargo test`; `cargo prove` asks for more.
const CASES: u32 = 20_000;

fn cases() -> u32 {
    std::env::var("INTERLEAVINGS").ok().and_then(|text| text.parse().ok()).unwrap_or(CASES)
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind { claims: false, copies: 2 }),
        Just(Kind { claims: false, copies: 0 }),
        Just(Kind { claims: true, copies: 0 })
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    /// Events in any order, at any distance, some of them applied to what was read before the last write, which the
    /// table refuses.
    #[test]
    fn whatever_happens_in_whatever_order_it_is_what_the_reference_says(
        kind in kind(),
        events in proptest::collection::vec((0..Happening::ALL.len(), 0..3_u8, any::<bool>()), 1..24),
    ) {
        let (mut row, mut now): (Row, u8) = (begun(kind, 0), 0);
        for (event, minutes, stale) in events {
            now = now.saturating_add(minutes).min(60);
            let happening = Happening::ALL[event];
            let made = step(kind, row, happening, now);
            prop_assert_eq!(made, reference::expected(kind, row, happening, now), "{:?} {:?} at {}", row, happening, now);
            if let (Some(next), false) = (made.0, stale) {
                prop_assert!(next.state >= row.state);
                row = next;
            }
        }
        // From wherever that led, looks alone lead to the end, but for a head job that still runs.
        for _ in 0..6 {
            now += row::PENDING;
            for happening in [Happening::Looked, Happening::SeenFinal, Happening::CopiesGone] {
                row = step(kind, row, happening, now).0.unwrap_or(row);
            }
        }
        prop_assert_eq!((row.state, row.due), (domain::run::State::Ended, None));
    }
}
