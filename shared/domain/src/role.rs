//! Roles in a workspace and their permissions: Seqera Platform's six roles and permission strings.

use crate::names::{in_words, names};
use crate::settings::Settings;

names! {
    /// The role of a participant in a workspace, strongest first.
    "role" pub enum Role {
        /// All permissions, including changes to other owners.
        Owner = "owner",
        /// All permissions except changes to owners.
        Admin = "admin",
        /// Manages pipelines and runs.
        Maintain = "maintain",
        /// Launches runs.
        Launch = "launch",
        /// Connects to running sessions.
        Connect = "connect",
        /// Reads only.
        View = "view",
    }
}

impl Role {
    /// Returns roles as a phrase: `owner, admin or launch`.
    #[must_use]
    pub fn in_words(roles: &[Self]) -> String {
        let names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
        in_words(&names)
    }
}

names! {
    /// The permission that an operation requires in a workspace, named as in Seqera Platform.
    "permission" pub enum Permission {
        /// Read names, dates and history of secrets; never a value.
        ReadSecrets = "pipeline_secrets:read",
        /// Create and update secrets.
        WriteSecrets = "pipeline_secrets:write",
        /// Delete secrets.
        DeleteSecrets = "pipeline_secrets:delete",
        /// Launch a run with the workspace's secrets.
        Launch = "workflow:execute",
        /// End runs of others. Who launched a run can always end it.
        CancelRuns = "workflow:cancel",
        /// Read the receipts of runs.
        ReadRuns = "workflow:read",
        /// Read the audit trail.
        ReadAudit = "audit:read",
        /// Read the workspace's name and participants.
        ReadWorkspace = "workspace:read",
        /// Change participants, roles and allowed platforms.
        AdministerWorkspace = "workspace:admin",
        /// Delete the workspace.
        DeleteWorkspace = "workspace:delete",
    }
}

impl Permission {
    /// Returns the roles that have the permission, strongest first. A deployment can let `maintain`
    /// write secrets.
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
            Self::CancelRuns => vec![Owner, Admin, Maintain],
            Self::DeleteWorkspace => vec![Owner],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Permission::{
        AdministerWorkspace, CancelRuns, DeleteSecrets, DeleteWorkspace, Launch, ReadAudit, ReadRuns,
        ReadSecrets, ReadWorkspace, WriteSecrets,
    };

    fn settings(maintain_may_write: bool) -> Settings {
        Settings { maintain_may_write, ..Settings::new("test") }
    }

    /// The roles that have a permission: a letter for each role, strongest first, or a dot.
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
        // The letters are owner, admin, maintain, launch, connect, view. The second column is for
        // deployments in which `maintain` may write secrets.
        let matrix = [
            (ReadSecrets, "OAMLCV", "OAMLCV"),
            (WriteSecrets, "OA....", "OAM..."),
            (DeleteSecrets, "OA....", "OAM..."),
            (Launch, "OAML..", "OAML.."),
            (CancelRuns, "OAM...", "OAM..."),
            (ReadRuns, "OAMLCV", "OAMLCV"),
            (ReadAudit, "OA....", "OA...."),
            (ReadWorkspace, "OAMLCV", "OAMLCV"),
            (AdministerWorkspace, "OA....", "OA...."),
            (DeleteWorkspace, "O.....", "O....."),
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
                "workflow:cancel",
                "workflow:read",
                "audit:read",
                "workspace:read",
                "workspace:admin",
                "workspace:delete",
            ]
        );
    }
}
