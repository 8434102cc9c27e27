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
        /// Kubernetes: the data of a Secret, and Nextflow's store for the head job, by claim.
        Kubernetes = "kubernetes",
    }
}

impl Platform {
    /// Whether the head job claims the secrets of its run, instead of reading copies in AWS Secrets
    /// Manager.
    #[must_use]
    pub fn claims(self) -> bool {
        self != Self::AwsBatch
    }

    /// Whether tasks get their secrets from Nextflow's store, which cannot carry every value.
    #[must_use]
    pub fn tasks_read_nextflow_store(self) -> bool {
        !matches!(self, Self::AwsBatch | Self::Kubernetes)
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

    #[test]
    fn tasks_read_nextflows_store_on_hpc_only() {
        for platform in Platform::ALL {
            let other = matches!(platform, Platform::AwsBatch | Platform::Kubernetes);
            assert_eq!(platform.tasks_read_nextflow_store(), !other, "{platform}");
        }
    }
}
