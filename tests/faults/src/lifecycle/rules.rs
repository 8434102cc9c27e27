//! Rules that hold for a run after any event, including events outside the model, such as a
//! restored table or a rejected claim.

use std::collections::{HashSet, VecDeque};

use domain::run::State;

use super::row::{Kind, ModelEvent, PENDING, Row, launched_row, step};
use crate::figures::Figures;

/// Applies every event at every minute to every row that any sequence of events can produce.
pub(super) fn check(kind: Kind, minutes: u8) -> Figures {
    let first = (launched_row(0), 0);
    let (mut seen, mut open) = (HashSet::from([first]), VecDeque::from([first]));
    let mut violations = Vec::new();
    while let Some((row, now)) = open.pop_front() {
        let events = ModelEvent::ALL.into_iter().filter_map(|event| {
            let after = step(kind, row, event, now).0?;
            if let Some(rule) = broken(row, event, after) {
                violations.push(format!("{rule}: {event:?} at minute {now} changed {row:?} to {after:?}"));
            }
            Some((after, now))
        });
        let minute = (now < minutes).then_some((row, now + 1));
        let next: Vec<_> = events.chain(minute).filter(|next| seen.insert(*next)).collect();
        open.extend(next);
        if !sweeps_end(kind, row, now) {
            violations.push(format!("INV2: sweeps alone do not end {row:?} after minute {now}"));
        }
        if !is_abandoned_at_last(kind, row, now) {
            violations.push(format!("INV2: without its environment, {row:?} never ends"));
        }
    }
    Figures { model_states: seen.len(), violations, ..Figures::default() }
}

/// The rule that a change of a row breaks.
fn broken(row: Row, event: ModelEvent, after: Row) -> Option<&'static str> {
    let lost = row.claimed && !after.claimed
        || row.job && !after.job
        || row.result.is_some() && after.result.is_none();
    [
        ("an ended run changes", row.state == State::Ended),
        ("the state moves backwards", after.state < row.state),
        ("a claim, a head job or an outcome is lost", lost),
        ("only an ended run has no due time", (after.state == State::Ended) != after.due.is_none()),
        ("a run is abandoned before the end of the attempts", event == ModelEvent::Unreachable),
        ("only a renewal changes the tokens", after.token != row.token && event != ModelEvent::TokensRenewed),
    ]
    .into_iter()
    .find_map(|(rule, broken)| broken.then_some(rule))
}

/// Whether sweeps alone bring a run to its end, once its head job is final.
fn sweeps_end(kind: Kind, mut row: Row, mut now: u8) -> bool {
    for _ in 0..6 {
        now += PENDING;
        for event in [ModelEvent::Inspected, ModelEvent::JobFinal, ModelEvent::CopiesDeleted] {
            row = step(kind, row, event, now).0.unwrap_or(row);
        }
    }
    (row.state, row.due) == (State::Ended, None)
}

/// Whether a run ends, with nothing lost from its row, although its environment never comes back.
fn is_abandoned_at_last(kind: Kind, row: Row, now: u8) -> bool {
    let event = ModelEvent::UnreachableForLong;
    let after = step(kind, row, event, now).0.unwrap_or(row);
    let ended = (after.state, after.due, after.result.is_some()) == (State::Ended, None, true);
    ended && (row.state == State::Ended || broken(row, event, after).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{BATCH, CLAIMS};

    #[test]
    fn in_any_order_of_events_a_run_keeps_its_rules_and_sweeps_alone_end_it() {
        for kind in [BATCH, Kind { copies: 0, ..BATCH }, CLAIMS] {
            let figures = check(kind, 6);
            assert_eq!(figures.violations, Vec::<String>::new(), "{kind:?}");
            assert!(figures.model_states > 1_000, "{kind:?}: {}", figures.model_states);
        }
    }
}
