//! The real `next` against the independent reference, over random interleavings.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::row::{Happening, Kind, PENDING, Row, begun, step};
use super::{BATCH, CLAIMS, reference};
use crate::figures::Figures;

/// Events in any order, at any distance, some of them applied to what was read before the last write, which the table
/// refuses; the generator begins with this seed.
pub(super) fn compare(cases: u32, seed: [u8; 32]) -> Figures {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let kind =
        prop_oneof![Just(Kind { copies: 2, ..BATCH }), Just(Kind { copies: 0, ..BATCH }), Just(CLAIMS)];
    let event = (0..Happening::ALL.len(), 0..3_u8, any::<bool>());
    let events = proptest::collection::vec(event, 1..24);
    let tried = Cell::new(0_usize);
    let outcome = TestRunner::new_with_rng(config, rng).run(&(kind, events), |(kind, events)| {
        tried.set(tried.get() + 1);
        one(kind, &events)
    });
    let wrongs = outcome.err().map(|error| format!("next is not what the reference says: {error}"));
    Figures { interleavings: tried.get(), wrongs: wrongs.into_iter().collect(), ..Figures::default() }
}

fn one(kind: Kind, events: &[(usize, u8, bool)]) -> Result<(), TestCaseError> {
    let (mut row, mut now): (Row, u8) = (begun(0), 0);
    for &(event, minutes, stale) in events {
        now = now.saturating_add(minutes).min(60);
        let happening = Happening::ALL[event];
        let made = step(kind, row, happening, now);
        prop_assert_eq!(
            made,
            reference::expected(kind, row, happening, now),
            "{:?} {:?} at {}",
            row,
            happening,
            now
        );
        if let (Some(next), false) = (made.0, stale) {
            prop_assert!(next.state >= row.state);
            row = next;
        }
    }
    // From wherever that led, looks alone lead to the end, but for a head job that still runs.
    for _ in 0..6 {
        now += PENDING;
        for happening in [Happening::Looked, Happening::SeenFinal, Happening::CopiesGone] {
            row = step(kind, row, happening, now).0.unwrap_or(row);
        }
    }
    prop_assert_eq!((row.state, row.due), (domain::run::State::Ended, None));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_happens_in_whatever_order_it_is_what_the_reference_says() {
        let figures = compare(20_000, [7; 32]);
        assert_eq!((figures.wrongs, figures.interleavings), (Vec::new(), 20_000));
    }
}
