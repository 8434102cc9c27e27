//! The compute platforms to which a run's secrets can be delivered, by Seqera Platform's names.

use crate::names::names;

names! {
    /// Where a run executes.
    "platform" pub enum Platform {
        /// AWS Batch: copies in AWS Secrets Manager.
        AwsBatch = "aws-batch",
        /// Slurm: Nextflow's own store, by claim.
        Slurm = "slurm",
        /// IBM LSF: likewise.
        Lsf = "lsf",
        /// PBS Pro: likewise.
        PbsPro = "pbs-pro",
        /// Grid Engine: likewise.
        GridEngine = "grid-engine",
        /// Moab: likewise.
        Moab = "moab",
    }
}

impl Platform {
    /// Whether the head job claims Nextflow's store, rather than finding copies in AWS Secrets Manager.
    #[must_use]
    pub fn claims(self) -> bool {
        self != Self::AwsBatch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_batch_alone_does_without_a_claim() {
        let claiming: Vec<_> = Platform::ALL.into_iter().filter(|platform| platform.claims()).collect();
        assert_eq!(claiming.len(), Platform::ALL.len() - 1);
        assert!(!claiming.contains(&Platform::AwsBatch));
    }
}
