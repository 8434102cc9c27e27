//! The compute platforms to which secrets can be delivered, by Seqera Platform's names.

use crate::names::names;

names! {
    /// The platform on which a run executes.
    "platform" pub enum Platform {
        /// AWS Batch: copies in AWS Secrets Manager.
        AwsBatch = "aws-batch",
        /// Slurm: Nextflow's store, by claim.
        Slurm = "slurm",
        /// IBM LSF: Nextflow's store, by claim.
        Lsf = "lsf",
        /// PBS Pro: Nextflow's store, by claim.
        PbsPro = "pbs-pro",
        /// Grid Engine: Nextflow's store, by claim.
        GridEngine = "grid-engine",
        /// Moab: Nextflow's store, by claim.
        Moab = "moab",
    }
}

impl Platform {
    /// Whether the head job claims Nextflow's store, instead of reading copies in AWS Secrets
    /// Manager.
    #[must_use]
    pub fn claims(self) -> bool {
        self != Self::AwsBatch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_aws_batch_needs_no_claim() {
        let claiming: Vec<_> = Platform::ALL.into_iter().filter(|platform| platform.claims()).collect();
        assert_eq!(claiming.len(), Platform::ALL.len() - 1);
        assert!(!claiming.contains(&Platform::AwsBatch));
    }
}
