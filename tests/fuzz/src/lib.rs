//! Everything that comes from outside, as functions of bytes that must neither panic nor break a promise: what callers
//! send, what AWS sends, and what somebody who can write the table puts there.
//!
//! `cargo fuzz` (see `README.md`) looks for inputs; [`replay`] runs those that are kept in `corpus/`, and mutations of
//! them, in any build.
#![allow(clippy::missing_panics_doc, reason = "a panic is how a broken promise shows")]

mod aws;
mod corpus;
mod mutate;
pub mod targets;
pub mod vectors;

use targets::Target;

/// What a replay did.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Replayed {
    /// Inputs of the corpus.
    pub inputs: usize,
    /// Executions: of the inputs, and of their mutations.
    pub executions: usize,
}

/// Runs every input of a target's corpus, and `mutations` of each, the same ones every time.
///
/// # Panics
///
/// Where a promise is broken; the input is in the panic's text.
#[must_use]
pub fn replay(target: &Target, mutations: usize) -> Replayed {
    let inputs = corpus::of(target);
    let mut mutator = mutate::Mutator::new(&inputs);
    let mut executions = 0;
    for input in &inputs {
        execute(target, input);
        for _ in 0..mutations {
            execute(target, &mutator.mutate(input));
        }
        executions += 1 + mutations;
    }
    Replayed { inputs: inputs.len(), executions }
}

/// Replays all targets: for the figures of a proof.
#[must_use]
pub fn replay_all(mutations: usize) -> Replayed {
    targets::ALL.iter().map(|target| replay(target, mutations)).fold(Replayed::default(), |all, one| {
        Replayed { inputs: all.inputs + one.inputs, executions: all.executions + one.executions }
    })
}

fn execute(target: &Target, input: &[u8]) {
    if let Err(panic) = std::panic::catch_unwind(|| (target.run)(input)) {
        let why = panic.downcast_ref::<String>().cloned();
        let why = why.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        panic!("{}: {}: b\"{}\"", target.name, why.unwrap_or_default(), input.escape_ascii());
    }
}
