//! Fuzz targets for external input: from callers, from AWS, and in the table, which a compromised
//! writer may control. Each target is a function of bytes that panics if a property is violated.
//!
//! `cargo fuzz` (see `README.md`) searches for inputs. [`replay`] runs the inputs in `corpus/` and
//! mutations of them in any build.
#![allow(clippy::missing_panics_doc, reason = "a panic reports a violated property")]

mod aws;
mod corpus;
mod mutate;
pub mod targets;
pub mod vectors;

use targets::Target;

/// The result of a replay.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Replayed {
    /// The number of inputs in the corpus.
    pub inputs: usize,
    /// The number of executed inputs and mutations.
    pub executions: usize,
}

/// Runs every input of a target's corpus, and this many deterministic mutations of each.
///
/// # Panics
///
/// If a property is violated. The message has the input.
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

/// Replays all targets, for the figures of a proof.
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
