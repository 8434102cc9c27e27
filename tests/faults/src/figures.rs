//! What a proof counted, and what it found wrong.

use std::iter::Sum;

/// The figures of a proof, or of a part of one.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Figures {
    /// Faults that happened, each in a trial of its own or with one other.
    pub fault_points: usize,
    /// States that the model checker visited.
    pub model_states: usize,
    /// Published vectors of the cryptography that came out as they say.
    pub vectors: usize,
    /// Inputs of outsiders that were tried, from the corpora and mutated.
    pub fuzz_executions: usize,
    /// Rows and requests to AWS that were searched for the values of their trial.
    pub sinks_searched: usize,
    /// What was wrong, in words that begin with the invariant; empty where nothing was.
    pub wrongs: Vec<String>,
}

impl Figures {
    /// How many of the wrongs are of this invariant.
    #[must_use]
    pub fn violations(&self, invariant: &str) -> usize {
        self.wrongs.iter().filter(|wrong| wrong.starts_with(invariant)).count()
    }
}

impl Sum for Figures {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |mut sum, part| {
            sum.fault_points += part.fault_points;
            sum.model_states += part.model_states;
            sum.vectors += part.vectors;
            sum.fuzz_executions += part.fuzz_executions;
            sum.sinks_searched += part.sinks_searched;
            sum.wrongs.extend(part.wrongs);
            sum
        })
    }
}
