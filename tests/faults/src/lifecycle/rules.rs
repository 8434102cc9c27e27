//! Rules that hold for a run whatever event comes next, including events outside the model, such as a restored table
//! or a refused claim.

use std::collections::{HashSet, VecDeque};

use domain::run::State;

use super::row::{Kind, ModelEvent, PENDING, Row, begun, step};
use crate::figures::Figures;

/// Applies every event at every minute to every row that any sequence of events can produce.
pub(super) fn check(kind: Kind, minutes: u8) -> Figures {
    let first = (begun(0), 0);
    let (mut seen, mut open) = (HashSet::from([first]), VecDeque::from([first]));
    let mut wrongs = Vec::new();
    while let Some((row, now)) = open.pop_front() {
        let events = ModelEvent::ALL.into_iter().filter_map(|happening| {
            let after = step(kind, row, happening, now).0?;
            if let Some(rule) = broken(row, happening, after) {
                wrongs.push(format!("{rule}: {happening:?} at {now} made {after:?} of {row:?}"));
            }
            Some((after, now))
        });
        let minute = (now < minutes).then_some((row, now + 1));
        let next: Vec<_> = events.chain(minute).filter(|next| seen.insert(*next)).collect();
        open.extend(next);
        if !sweeps_end(kind, row, now) {
            wrongs.push(format!("INV2: sweeps alone do not end {row:?} after minute {now}"));
        }
    }
    Figures { model_states: seen.len(), wrongs, ..Figures::default() }
}

/// The rule that a change of a row breaks.
fn broken(row: Row, happening: ModelEvent, after: Row) -> Option<&'static str> {
    let lost = row.claimed && !after.claimed
        || row.job && !after.job
        || row.result.is_some() && after.result.is_none();
    [
        ("an ended run changes", row.state == State::Ended),
        ("the state moves backwards", after.state < row.state),
        ("a claim, a head job or an outcome is lost", lost),
        ("only an ended run has no due time", (after.state == State::Ended) != after.due.is_none()),
        (
            "only a renewal changes the tokens",
            after.token != row.token && happening != ModelEvent::TokensRenewed,
        ),
    ]
    .into_iter()
    .find_map(|(rule, broken)| broken.then_some(rule))
}

/// Whether sweeps alone bring a run to its end, once its head job is final.
fn sweeps_end(kind: Kind, mut row: Row, mut now: u8) -> bool {
    for _ in 0..6 {
        now += PENDING;
        for happening in [ModelEvent::Inspected, ModelEvent::SeenFinal, ModelEvent::CopiesDeleted] {
            row = step(kind, row, happening, now).0.unwrap_or(row);
        }
    }
    (row.state, row.due) == (State::Ended, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{BATCH, CLAIMS};

    #[test]
    fn in_any_order_of_events_a_run_keeps_its_rules_and_sweeps_alone_end_it() {
        for kind in [BATCH, Kind { copies: 0, ..BATCH }, CLAIMS] {
            let figures = check(kind, 6);
            assert_eq!(figures.wrongs, Vec::<String>::new(), "{kind:?}");
            assert!(figures.model_states > 1_000, "{kind:?}: {}", figures.model_states);
        }
    }
}
