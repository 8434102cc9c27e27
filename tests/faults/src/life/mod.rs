//! The life of a run as a model checker and a generator of interleavings see it. The real `next` is what is checked.

mod actors;
mod interleavings;
mod model;
mod reference;
mod row;

use row::Kind;

use crate::figures::Figures;
use crate::plan::Depth;

/// For AWS Batch, in one bundle.
const BATCH: Kind = Kind { claims: false, copies: 1 };
/// For an HPC scheduler.
const CLAIMS: Kind = Kind { claims: true, copies: 0 };

/// Visits every state within the bounds of this depth.
#[must_use]
pub fn check_models(depth: Depth) -> Figures {
    model::bounds(depth).into_iter().map(model::Life::check).sum()
}

/// Compares `next` with the reference over so many interleavings, half of them on each of two threads.
#[must_use]
pub fn compare(interleavings: u32, seed: u8) -> Figures {
    std::thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            let cases = interleavings.div_ceil(2);
            scope.spawn(move || interleavings::compare(cases, [seed.wrapping_mul(2).wrapping_add(half); 32]))
        });
        halves.map(|half| half.join().expect("no comparison panicked")).into_iter().sum()
    })
}
