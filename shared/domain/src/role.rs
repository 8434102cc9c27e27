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

#[cfg(test)]
mod tests {
    use super::*;
    use Permission::{
        AdministerWorkspace, DeleteSecrets, Launch, ReadAudit, ReadRuns, ReadSecrets, ReadWorkspace,
        WriteSecrets,
    };

    fn settings(maintain_may_write: bool) -> Settings {
        Settings { maintain_may_write, ..Settings::new("test") }
    }

    /// Who holds a permission: a letter for each role, strongest first, or a dot.
    fn holders(permission: Permission, maintain_may_write: bool) -> String {
        let roles = permission.roles(&settings(maintain_may_write));
        assert!(roles.is_sorted(), "{permission:?} names its roles strongest first");
        "OAMLCV"
            .chars()
            .zip(Role::ALL)
            .map(|(letter, role)| if roles.contains(&role) { letter } else { '.' })
            .collect()
    }

    #[test]
    fn each_permission_is_held_by_the_documented_roles() {
        // The letters are owner, admin, maintain, launch, connect, view; the second column is for
        // deployments in which maintain may write.
        let matrix = [
            (ReadSecrets, "OAMLCV", "OAMLCV"),
            (WriteSecrets, "OA....", "OAM..."),
            (DeleteSecrets, "OA....", "OAM..."),
            (Launch, "OAML..", "OAML.."),
            (ReadRuns, "OAMLCV", "OAMLCV"),
            (ReadAudit, "OA....", "OA...."),
            (ReadWorkspace, "OAMLCV", "OAMLCV"),
            (AdministerWorkspace, "OA....", "OA...."),
        ];
        assert_eq!(matrix.map(|(permission, ..)| permission), Permission::ALL, "the matrix is complete");
        for (permission, by_default, where_maintain_may_write) in matrix {
            assert_eq!(holders(permission, false), by_default, "{permission:?}");
            assert_eq!(
                holders(permission, true),
                where_maintain_may_write,
                "{permission:?}, maintain may write"
            );
        }
    }

    #[test]
    fn permissions_have_seqera_platforms_names() {
        let names = Permission::ALL.map(Permission::as_str);
        assert_eq!(
            names,
            [
                "pipeline_secrets:read",
                "pipeline_secrets:write",
                "pipeline_secrets:delete",
                "workflow:execute",
                "workflow:read",
                "audit:read",
                "workspace:read",
                "workspace:admin",
            ]
        );
    }

    #[test]
    fn a_role_reads_back_from_the_name_that_text_and_json_give_it() {
        for (role, name) in
            Role::ALL.into_iter().zip(["owner", "admin", "maintain", "launch", "connect", "view"])
        {
            assert_eq!(role.as_str(), name);
            assert_eq!(name.parse::<Role>().unwrap(), role, "{name}");
            assert_eq!(serde_json::to_value(role).unwrap(), name);
            assert_eq!(serde_json::from_value::<Role>(name.into()).unwrap(), role, "{name}");
        }
    }

    #[test]
    fn an_unknown_role_is_refused_with_the_roles_that_there_are() {
        for text in ["", "Owner", "owner ", "viewer"] {
            let Err(Error::Invalid(message)) = text.parse::<Role>() else { panic!("{text:?} is a role") };
            assert_eq!(
                message, "role must be one of owner, admin, maintain, launch, connect or view",
                "{text:?}"
            );
        }
    }

    #[test]
    fn roles_in_words_are_a_phrase() {
        for (roles, words) in [
            (&[][..], ""),
            (&[Role::Owner], "owner"),
            (&[Role::Owner, Role::Admin], "owner or admin"),
            (&[Role::Owner, Role::Admin, Role::Launch], "owner, admin or launch"),
        ] {
            assert_eq!(Role::in_words(roles), words, "{roles:?}");
        }
    }
}
