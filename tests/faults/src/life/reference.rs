//! The life of a run once more, written from architecture §5 alone and in another way: as a list of rules. What the real
//! `next` says must be what these say.

use domain::run::{Action, State};

use super::row::{Happening, Kind, LEASE, LONGEST, Made, PENDING, Result, Row};

/// What an event makes of a row.
pub(super) fn expected(kind: Kind, row: Row, happening: Happening, now: u8) -> Made {
    let due = row.due.is_some_and(|due| due <= now);
    let live = row.state < State::Ending;
    let launched = matches!(row.state, State::Pending | State::Running);
    let untouched = row.state == State::Pending && !row.claimed && !row.job;
    let lease = Row { state: State::Running, due: Some(now + LEASE), lease: now + LEASE, ..row };
    let at_least_pending = Row { state: row.state.max(State::Pending), ..row };
    let nothing = (None, None);
    match happening {
        // The end of the end.
        Happening::CopiesGone if row.state == State::Ending => {
            write(Row { state: State::Ended, due: None, ..row })
        }
        Happening::Looked if row.state == State::Ending => (None, Some(Action::RemoveCopies)),
        _ if !live => nothing,
        // A table from a backup: reports may be lost, and a claim that nobody knows of may have been made.
        Happening::Restored if kind.claims && !row.claimed => over(kind, row, Result::LaunchFailed, now),
        Happening::Restored if row.job && row.lease >= now + LEASE / 2 => nothing,
        Happening::Restored if row.job => {
            write(Row { due: Some(now), lease: now + LEASE, ..at_least_pending })
        }
        Happening::Restored if launched && row.lease >= LONGEST => nothing,
        Happening::Restored => write(Row { due: Some(LONGEST), lease: LONGEST, ..at_least_pending }),
        // A launch.
        Happening::Provisioned if row.state == State::Provisioning => {
            write(Row { state: State::Pending, due: Some(now + PENDING), lease: now + PENDING, ..row })
        }
        Happening::Repinned if row.state == State::Provisioning => write(row),
        Happening::LaunchFailed if row.state == State::Provisioning || untouched => {
            over(kind, row, Result::LaunchFailed, now)
        }
        Happening::ClaimRefused if launched && kind.claims => over(kind, row, Result::LaunchFailed, now),
        Happening::TokensRenewed if untouched => write(Row { token: 3 - row.token, ..row }),
        // What the run says.
        Happening::Claimed if launched && !row.claimed => write(Row { claimed: true, ..lease }),
        Happening::SignOfLife if launched => {
            let fresh = row.state == State::Running && row.lease >= now + LEASE / 2;
            let soon = row.job.then_some(row.due).flatten();
            let due = soon.or(lease.due);
            if fresh || now >= LONGEST { nothing } else { write(Row { due, ..lease }) }
        }
        Happening::HeadJobRecorded if launched && !row.job => {
            write(Row { job: true, due: Some(now), ..lease })
        }
        Happening::Reported if launched && row.job => {
            (Some(Row { result: Some(Result::Failed), due: Some(now), ..row }), Some(Action::ObserveHeadJob))
        }
        Happening::Reported if launched => over(kind, row, Result::Failed, now),
        // What AWS Batch says, of a head job on record.
        Happening::SeenFinal if launched && row.job => over(kind, row, Result::Succeeded, now),
        Happening::SeenRunning if launched && row.job => match row.result {
            Some(_) => write(Row { due: Some(now + LEASE.min(5)), ..lease }),
            None => write(lease),
        },
        Happening::SeenUnknown if launched && row.job && now >= row.lease => {
            over(kind, row, Result::Lost, now)
        }
        Happening::SeenUnknown if launched && row.job && row.due != Some(row.lease) => {
            write(Row { due: Some(row.lease), ..row })
        }
        // Somebody looks.
        Happening::Looked if launched && row.job => (None, Some(Action::ObserveHeadJob)),
        Happening::Looked if due && launched => over(kind, row, Result::Lost, now),
        Happening::Looked if due => over(kind, row, Result::LaunchFailed, now),
        _ => nothing,
    }
}

fn write(row: Row) -> Made {
    (Some(row), None)
}

/// Without a copy the end is the end at once.
fn over(kind: Kind, row: Row, result: Result, now: u8) -> Made {
    let row = Row { result: Some(result), ..row };
    match kind.copies {
        0 => write(Row { state: State::Ended, due: None, ..row }),
        _ => (Some(Row { state: State::Ending, due: Some(now), ..row }), Some(Action::RemoveCopies)),
    }
}
