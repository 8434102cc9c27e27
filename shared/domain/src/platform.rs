//! The compute platforms to which a run's secrets can be delivered, by Seqera Platform's names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Where a run executes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Platform {
    /// AWS Batch: copies in AWS Secrets Manager.
    AwsBatch,
    /// Slurm: Nextflow's own store, by claim.
    Slurm,
    /// IBM LSF: likewise.
    Lsf,
    /// PBS Pro: likewise.
    PbsPro,
    /// Grid Engine: likewise.
    GridEngine,
    /// Moab: likewise.
    Moab,
}

impl Platform {
    /// Every platform.
    pub const ALL: [Self; 6] =
        [Self::AwsBatch, Self::Slurm, Self::Lsf, Self::PbsPro, Self::GridEngine, Self::Moab];

    /// The platform's name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwsBatch => "aws-batch",
            Self::Slurm => "slurm",
            Self::Lsf => "lsf",
            Self::PbsPro => "pbs-pro",
            Self::GridEngine => "grid-engine",
            Self::Moab => "moab",
        }
    }

    /// Whether the head job claims Nextflow's store, rather than finding copies in AWS Secrets Manager.
    #[must_use]
    pub fn claims(self) -> bool {
        self != Self::AwsBatch
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|platform| platform.as_str() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|platform| platform.as_str()).collect();
            Error::Invalid(format!("platform must be one of {}.", names.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_reads_back_from_its_name_and_only_aws_batch_does_without_a_claim() {
        let platforms = [
            (Platform::AwsBatch, "aws-batch", false),
            (Platform::Slurm, "slurm", true),
            (Platform::Lsf, "lsf", true),
            (Platform::PbsPro, "pbs-pro", true),
            (Platform::GridEngine, "grid-engine", true),
            (Platform::Moab, "moab", true),
        ];
        assert_eq!(platforms.map(|(platform, ..)| platform), Platform::ALL, "the table is complete");
        for (platform, name, claims) in platforms {
            assert_eq!(platform.as_str(), name);
            assert_eq!(platform.to_string(), name);
            assert_eq!(name.parse::<Platform>().unwrap(), platform, "{name}");
            assert_eq!(serde_json::to_value(platform).unwrap(), name);
            assert_eq!(serde_json::from_value::<Platform>(name.into()).unwrap(), platform, "{name}");
            assert_eq!(platform.claims(), claims, "{name}");
        }
    }

    #[test]
    fn an_unknown_platform_is_refused_with_the_platforms_that_there_are() {
        for text in ["", "AWS-Batch", "awsbatch", "slurm ", "k8s"] {
            let Err(Error::Invalid(message)) = text.parse::<Platform>() else {
                panic!("{text:?} is a platform")
            };
            assert_eq!(
                message, "platform must be one of aws-batch, slurm, lsf, pbs-pro, grid-engine, moab.",
                "{text:?}"
            );
        }
    }
}
