//! Randomness from AWS-LC, seeded by the operating system.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use domain::ports::Randomness;

/// The generator of IDs, tokens and nonces.
#[derive(Clone, Debug, Default)]
pub struct SystemRandomness(SystemRandom);

impl Randomness for SystemRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        if self.0.fill(bytes).is_err() {
            // The process exits, because a caller could catch a panic and use bytes that are not
            // random. The request fails, and Lambda starts a new process.
            tracing::error!("the random generator failed; the process exits");
            std::process::exit(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_fills_differ_and_fill_every_byte() {
        let (mut one, mut other) = ([0; 64], [0; 64]);
        SystemRandomness::default().fill(&mut one);
        SystemRandomness::default().fill(&mut other);
        assert_ne!(one, other);
        assert!(one.chunks(16).all(|chunk| chunk != [0; 16]));
    }
}
