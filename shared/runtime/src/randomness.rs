//! Randomness from AWS-LC, seeded by the operating system.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use domain::ports::Randomness;

/// The process's generator of ids, tokens and nonces.
#[derive(Clone, Debug, Default)]
pub struct SystemRandomness(SystemRandom);

impl Randomness for SystemRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        if self.0.fill(bytes).is_err() {
            // Nobody may go on with bytes that are not random, and a caller that caught a panic would. Lambda starts a
            // new process; the request fails.
            tracing::error!("the random generator failed; the process ends");
            std::process::exit(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_fills_differ_and_leave_nothing_unfilled() {
        let (mut one, mut other) = ([0; 64], [0; 64]);
        SystemRandomness::default().fill(&mut one);
        SystemRandomness::default().fill(&mut other);
        assert_ne!(one, other);
        assert!(one.chunks(16).all(|chunk| chunk != [0; 16]));
    }
}
