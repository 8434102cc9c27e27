//! Model checking of a run's lifecycle, with the real `run::next`.

mod actors;
mod model;
mod row;
mod rules;

use row::Kind;

use crate::figures::Figures;
use crate::plan::Depth;

/// A run on AWS Batch with one bundle.
const BATCH: Kind = Kind { claims: false, copies: 1 };
/// A run on an HPC scheduler.
const CLAIMS: Kind = Kind { claims: true, copies: 0 };

/// Visits every state within the bounds of this depth.
#[must_use]
pub fn check_models(depth: Depth) -> Figures {
    let minutes = if depth == Depth::Full { 10 } else { 6 };
    let kinds = [BATCH, Kind { copies: 0, ..BATCH }, CLAIMS];
    let rules = kinds.map(|kind| rules::check(kind, minutes));
    model::bounds(depth).into_iter().map(model::Lifecycle::check).chain(rules).sum()
}
