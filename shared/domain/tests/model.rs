//! The real `next` under a model checker, exhaustively to a stated bound. The bound of `cargo prove` is wider
//! (`docs/reliability.md`).

mod life;

use life::model::Life;
use life::row::Kind;
use stateright::{Checker as _, Model as _};

const BATCH: Kind = Kind { claims: false, copies: 1 };

fn check(life: Life) {
    let checker = life.clone().checker().threads(2).spawn_bfs().join();
    eprintln!("{life:?}: {} states", checker.unique_state_count());
    checker.assert_properties();
}

#[test]
fn a_launch_with_late_copies_and_two_cleaners_leaves_nothing_and_deletes_nothing_early() {
    check(Life { kind: BATCH, cleaners: 2, reporters: 0, repeats: false, has_job: false, minutes: 6 });
}

#[test]
fn a_repeated_launch_never_loses_the_run_that_it_answered_with() {
    check(Life { kind: BATCH, cleaners: 1, reporters: 0, repeats: true, has_job: false, minutes: 6 });
    let claims = Kind { claims: true, copies: 0 };
    check(Life { kind: claims, cleaners: 1, reporters: 1, repeats: true, has_job: false, minutes: 6 });
}

#[test]
fn a_head_job_with_two_attempts_keeps_its_copies_until_it_is_over() {
    check(Life { kind: BATCH, cleaners: 1, reporters: 1, repeats: false, has_job: true, minutes: 5 });
}

#[test]
fn of_two_claims_one_counts() {
    let claims = Kind { claims: true, copies: 0 };
    check(Life { kind: claims, cleaners: 1, reporters: 2, repeats: false, has_job: false, minutes: 6 });
}
