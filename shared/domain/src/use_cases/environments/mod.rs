//! Compute environments and their credentials. Participants can read them. Owners and admins can
//! change them: an environment decides to which account the values of the workspace's runs can go,
//! within the accounts that the operators allow.

pub mod compute_envs;
pub mod credentials;
mod proof;
#[cfg(test)]
mod testing;

use std::rc::Rc;

use super::authorize;
use crate::audit::{AuditAction, AuditRecord};
use crate::context::Context;
use crate::environment::RoleArn;
use crate::identity::Actor;
use crate::ids::WorkspaceId;
use crate::owner::Scope;
use crate::ports::{ChangeEnvironments, CheckTarget};
use crate::role::Permission;
use crate::{Error, Result};

/// Credentials and environments: the table, the checks of roles, and the accounts that the
/// operators allow.
pub struct EnvironmentService {
    /// The table.
    pub store: Rc<dyn ChangeEnvironments>,
    /// The checks of roles.
    pub targets: Rc<dyn CheckTarget>,
    /// The allowed accounts.
    pub accounts: ComputeAccounts,
}

/// The accounts in which environments can be registered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ComputeAccounts {
    /// The partition of the deployment.
    pub partition: String,
    /// The region of the deployment.
    pub region: String,
    /// The accounts: the parameter `ComputeAccounts` of the deployment.
    pub accounts: Vec<String>,
}

impl ComputeAccounts {
    /// Checks that a role can be assumed from this deployment. IAM enforces the same.
    pub(crate) fn admit(&self, role: &RoleArn) -> Result<()> {
        if !self.accounts.iter().any(|account| account == role.account()) {
            return Err(Error::Refused(format!(
                "The account {} is not one of this deployment's compute accounts. Ask its operators to add it to the parameter ComputeAccounts.",
                role.account()
            )));
        }
        if role.partition() != self.partition {
            return Err(Error::Refused(format!(
                "The role is in the partition {}, and this service is in {}. A role cannot be assumed from another partition.",
                role.partition(),
                self.partition
            )));
        }
        Ok(())
    }
}

/// Authorizes a change in the workspace.
async fn administer(
    store: &dyn ChangeEnvironments,
    actor: &Actor,
    workspace: Option<WorkspaceId>,
    context: &Context<'_>,
) -> Result<(Scope, WorkspaceId)> {
    let workspace = required(workspace)?;
    let permission = Permission::AdministerWorkspace;
    Ok((authorize(store, context.settings, actor, Some(workspace), permission).await?, workspace))
}

/// Authorizes a read in the workspace.
async fn participate(
    store: &dyn ChangeEnvironments,
    actor: &Actor,
    workspace: WorkspaceId,
    context: &Context<'_>,
) -> Result<()> {
    authorize(store, context.settings, actor, Some(workspace), Permission::ReadWorkspace).await.map(|_| ())
}

fn required(workspace: Option<WorkspaceId>) -> Result<WorkspaceId> {
    workspace.ok_or_else(|| {
        Error::Invalid(
            "Credentials and compute environments belong to a workspace: add the query parameter workspaceId.".into(),
        )
    })
}

/// Checks the name of credentials or of an environment: the rule of Seqera Platform's clients.
pub fn environment_name(text: &str) -> Result<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match (2..=99).contains(&text.len()) && text.bytes().all(plain) {
        true => Ok(text.to_owned()),
        false => Err(Error::Invalid(
            "The name must have 2 to 99 characters: letters, digits, hyphens and underscores.".into(),
        )),
    }
}

/// The error for a name that is used.
#[must_use]
pub fn name_taken(what: &str) -> Error {
    Error::Conflict(format!(
        "The name already exists among the {what} of this workspace, or differs from one only in case. Choose another name."
    ))
}

fn audit(scope: &Scope, action: AuditAction, detail: String, context: &Context<'_>) -> AuditRecord {
    let record = AuditRecord::new(scope.owner(), Some(scope.actor()), action, context);
    AuditRecord { detail: Some(detail), ..record }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_2_to_99_letters_digits_hyphens_and_underscores() {
        let longest = "x".repeat(99);
        for (text, valid) in [
            ("aws", true),
            ("a-", true),
            ("Batch_2-eu", true),
            (&*longest, true),
            (&*format!("{longest}x"), false),
            ("a", false),
            ("", false),
            ("two words", false),
            ("dot.ted", false),
            ("ümlaut", false),
            ("a#b", false),
        ] {
            assert_eq!(environment_name(text).is_ok(), valid, "{text}");
        }
    }

    #[test]
    fn a_role_of_another_partition_or_account_is_refused_with_the_cause() {
        let accounts = ComputeAccounts {
            partition: "aws".into(),
            region: "us-east-1".into(),
            accounts: vec!["210987654321".into(), "333333333333".into()],
        };
        for (role, expected) in [
            ("arn:aws:iam::210987654321:role/pipeline-secrets-a", "ok"),
            ("arn:aws:iam::333333333333:role/pipeline-secrets-a", "ok"),
            ("arn:aws:iam::444444444444:role/pipeline-secrets-a", "refused"),
            ("arn:aws-us-gov:iam::210987654321:role/pipeline-secrets-a", "refused"),
            ("arn:aws-cn:iam::210987654321:role/pipeline-secrets-a", "refused"),
        ] {
            let admitted = accounts.admit(&RoleArn::parse(role).unwrap());
            assert_eq!(admitted.map_or_else(|error| error.code(), |()| "ok"), expected, "{role}");
        }
        // A deployment without accounts knows no partition either.
        let none = ComputeAccounts { partition: String::new(), accounts: Vec::new(), ..accounts };
        let role = RoleArn::parse("arn:aws:iam::210987654321:role/pipeline-secrets-a").unwrap();
        assert!(none.admit(&role).unwrap_err().to_string().contains("ComputeAccounts"));
    }
}
