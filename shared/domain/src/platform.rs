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
