//! Medians and quartiles.

use std::time::Duration;

use serde::Serialize;

/// A summary of many measurements.
#[derive(Clone, Copy, Default, Debug, Serialize)]
pub(crate) struct Summary {
    /// The median.
    pub(crate) median: f64,
    /// The first and third quartile.
    pub(crate) quartiles: [f64; 2],
}

impl Summary {
    /// Summarizes samples; all zero without samples.
    pub(crate) fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let at = |part: usize| samples.get((samples.len() * part / 4).min(samples.len().saturating_sub(1)));
        let at = |part| at(part).copied().unwrap_or_default();
        Self { median: at(2), quartiles: [at(1), at(3)] }
    }

    /// Summarizes times in milliseconds.
    pub(crate) fn of_times(times: impl IntoIterator<Item = Duration>) -> Self {
        Self::of(times.into_iter().map(milliseconds).collect())
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [low, high] = self.quartiles;
        write!(f, "{:.2} ({low:.2}–{high:.2})", self.median)
    }
}

/// Converts a time to milliseconds.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_the_median_and_the_middle_half_in_any_order() {
        let summary = Summary::of(vec![9.0, 1.0, 5.0, 3.0, 7.0]);
        assert_eq!(summary.to_string(), "5.00 (3.00–7.00)");
        assert_eq!(Summary::of(vec![2.0]).to_string(), "2.00 (2.00–2.00)");
        assert_eq!(Summary::of(Vec::new()).to_string(), "0.00 (0.00–0.00)");
    }
}
