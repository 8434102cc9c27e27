//! Roles in a workspace, and what each may do. Seqera Platform's six roles and permission strings.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::settings::Settings;
use crate::{Error, Result};

/// A participant's role in a workspace, strongest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything, the other owners included.
    Owner,
    /// Everything but the owners.
    Admin,
    /// Pipelines and runs.
    Maintain,
    /// Launches.
    Launch,
    /// Connects to what runs.
    Connect,
    /// Looks on.
    View,
}

impl Role {
    /// Every role, strongest first.
    pub const ALL: [Self; 6] =
        [Self::Owner, Self::Admin, Self::Maintain, Self::Launch, Self::Connect, Self::View];

    /// The role's name on the wire and in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Maintain => "maintain",
            Self::Launch => "launch",
            Self::Connect => "connect",
            Self::View => "view",
        }
    }

    /// Roles as a phrase: `owner, admin or launch`.
    #[must_use]
    pub fn in_words(roles: &[Self]) -> String {
        let names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
        match names.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => names.join(""),
        }
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| Error::Invalid(format!("role must be one of {}", Self::in_words(&Self::ALL))))
    }
}

/// What an operation asks of a caller inside a workspace.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Permission {
    /// `pipeline_secrets:read`: names, dates, history; never a value.
    ReadSecrets,
    /// `pipeline_secrets:write`: create and edit.
    WriteSecrets,
    /// `pipeline_secrets:delete`.
    DeleteSecrets,
    /// `workflow:execute`: launch a run with the workspace's secrets.
    Launch,
    /// `workflow:read`: receipts.
    ReadRuns,
    /// `audit:read`: the audit trail.
    ReadAudit,
    /// `workspace:read`: its name and participants.
    ReadWorkspace,
    /// `workspace:admin`: participants, roles, allowed platforms.
    AdministerWorkspace,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 8] = [
        Self::ReadSecrets,
        Self::WriteSecrets,
        Self::DeleteSecrets,
        Self::Launch,
        Self::ReadRuns,
        Self::ReadAudit,
        Self::ReadWorkspace,
        Self::AdministerWorkspace,
    ];

    /// The permission's name, in Seqera Platform's form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadSecrets => "pipeline_secrets:read",
            Self::WriteSecrets => "pipeline_secrets:write",
            Self::DeleteSecrets => "pipeline_secrets:delete",
            Self::Launch => "workflow:execute",
            Self::ReadRuns => "workflow:read",
            Self::ReadAudit => "audit:read",
            Self::ReadWorkspace => "workspace:read",
            Self::AdministerWorkspace => "workspace:admin",
        }
    }

    /// The roles that hold it, strongest first. A deployment may add `maintain` to those that write secrets.
    #[must_use]
    pub fn roles(self, settings: &Settings) -> Vec<Role> {
        use Role::{Admin, Launch, Maintain, Owner};
        match self {
            Self::ReadSecrets | Self::ReadRuns | Self::ReadWorkspace => Role::ALL.to_vec(),
            Self::WriteSecrets | Self::DeleteSecrets if settings.maintain_may_write => {
                vec![Owner, Admin, Maintain]
            }
            Self::WriteSecrets | Self::DeleteSecrets | Self::ReadAudit | Self::AdministerWorkspace => {
                vec![Owner, Admin]
            }
            Self::Launch => vec![Owner, Admin, Maintain, Launch],
        }
    }
}
