//! The figures and violations of a proof.

use std::iter::Sum;

/// The figures of a proof or of a part of it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Figures {
    /// Faults that occurred, each in a separate trial or together with one other.
    pub fault_points: usize,
    /// States that the model checker visited.
    pub model_states: usize,
    /// Published cryptographic vectors that were verified.
    pub vectors: usize,
    /// External inputs that were executed, from the corpora and their mutations.
    pub fuzz_executions: usize,
    /// Rows and requests to AWS that were searched for the values of their trial.
    pub sinks_searched: usize,
    /// The violations. Each starts with the invariant.
    pub violations: Vec<String>,
}

impl Figures {
    /// Returns the number of violations of this invariant.
    #[must_use]
    pub fn violations_of(&self, invariant: &str) -> usize {
        self.violations.iter().filter(|violation| violation.starts_with(invariant)).count()
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
            sum.violations.extend(part.violations);
            sum
        })
    }
}
