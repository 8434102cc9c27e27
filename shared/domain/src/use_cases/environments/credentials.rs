//! Credentials: a role in another account, and the external id that the service makes for it. They
//! can be created before the role exists, because its trust policy needs the external id.

use super::{EnvironmentService, administer, audit, name_taken, participate, proof, required};
use crate::audit::AuditAction;
use crate::context::Context;
use crate::environment::{
    CredentialsId, Environment, EnvironmentId, ExternalId, Region, RoleArn, StoredCredentials,
};
use crate::identity::{Actor, fold};
use crate::ids::WorkspaceId;
use crate::ports::{EnvironmentChange, MAX_ENVIRONMENTS, Verdict};
use crate::secret::Description;
use crate::use_cases::retry_contended;
use crate::{Error, Result};

/// What a client says about credentials.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CredentialsDraft {
    /// The name.
    pub name: String,
    /// A description. `None` keeps it in an update.
    pub description: Option<Description>,
    /// The role.
    pub role: RoleArn,
    /// The external id that the client believes the credentials to have.
    pub external_id: Option<String>,
}

impl EnvironmentService {
    /// Lists the workspace's credentials, by name. Without a workspace, the list is empty.
    pub async fn list_credentials(
        &self,
        actor: &Actor,
        workspace: Option<WorkspaceId>,
        context: &Context<'_>,
    ) -> Result<Vec<StoredCredentials>> {
        let Some(workspace) = workspace else {
            return Ok(Vec::new());
        };
        participate(&*self.store, actor, workspace, context).await?;
        let mut all = self.store.all_credentials(workspace).await?;
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    /// Returns credentials.
    pub async fn describe_credentials(
        &self,
        actor: &Actor,
        workspace: Option<WorkspaceId>,
        id: &CredentialsId,
        context: &Context<'_>,
    ) -> Result<StoredCredentials> {
        let workspace = required(workspace)?;
        participate(&*self.store, actor, workspace, context).await?;
        self.store.credentials(workspace, id).await?.ok_or(Error::NotFound)
    }

    /// Creates credentials with a new external id.
    pub async fn create_credentials(
        &self,
        actor: &Actor,
        workspace: Option<WorkspaceId>,
        draft: &CredentialsDraft,
        context: &Context<'_>,
    ) -> Result<CredentialsId> {
        let (scope, workspace) = administer(&*self.store, actor, workspace, context).await?;
        self.accounts.admit(&draft.role)?;
        if draft.external_id.is_some() {
            return Err(own_external_id());
        }
        retry_contended(context.backoff, async || {
            let credentials = StoredCredentials {
                id: CredentialsId::make_random(context.randomness),
                workspace,
                name: draft.name.clone(),
                description: draft.description.clone().map(String::from),
                role: draft.role.clone(),
                external_id: ExternalId::make_random(context.randomness),
                created: context.now,
                created_by: scope.actor(),
                updated: context.now,
            };
            let record = audit(&scope, AuditAction::CredentialsCreated, detail(&credentials), context);
            let id = credentials.id.clone();
            let change = EnvironmentChange::CreateCredentials(credentials);
            self.store.change_environment(Some(&scope), &change, &record).await?;
            Ok(id)
        })
        .await
    }

    /// Changes name, description or role. The external id stays.
    pub async fn update_credentials(
        &self,
        actor: &Actor,
        workspace: Option<WorkspaceId>,
        id: &CredentialsId,
        draft: &CredentialsDraft,
        context: &Context<'_>,
    ) -> Result<()> {
        let (scope, workspace) = administer(&*self.store, actor, workspace, context).await?;
        retry_contended(context.backoff, async || {
            let from = self.store.credentials(workspace, id).await?.ok_or(Error::NotFound)?;
            if draft.external_id.as_deref().is_some_and(|given| given != from.external_id.as_str()) {
                return Err(own_external_id());
            }
            let description = draft.description.clone().map(String::from);
            let to = StoredCredentials {
                name: draft.name.clone(),
                description: description.or_else(|| from.description.clone()),
                role: draft.role.clone(),
                ..from.clone()
            };
            if to == from {
                return Ok(());
            }
            if to.role != from.role {
                self.accounts.admit(&to.role)?;
            }
            let to = StoredCredentials { updated: context.now, ..to };
            let record = audit(&scope, AuditAction::CredentialsUpdated, detail(&to), context);
            let change = EnvironmentChange::UpdateCredentials { from, to };
            self.store.change_environment(Some(&scope), &change, &record).await
        })
        .await
    }

    /// Deletes credentials that no environment uses.
    pub async fn delete_credentials(
        &self,
        actor: &Actor,
        workspace: Option<WorkspaceId>,
        id: &CredentialsId,
        context: &Context<'_>,
    ) -> Result<()> {
        let (scope, workspace) = administer(&*self.store, actor, workspace, context).await?;
        retry_contended(context.backoff, async || {
            let credentials = self.store.credentials(workspace, id).await?.ok_or(Error::NotFound)?;
            let record = audit(&scope, AuditAction::CredentialsDeleted, detail(&credentials), context);
            let change = EnvironmentChange::DeleteCredentials(credentials);
            self.store.change_environment(Some(&scope), &change, &record).await
        })
        .await
    }

    /// Checks that the role demands its external id. Credentials name no region, so what the role
    /// grants is checked with each environment. Returns what is wrong, or `None`.
    pub async fn validate_credentials(
        &self,
        actor: &Actor,
        workspace: Option<WorkspaceId>,
        id: &CredentialsId,
        context: &Context<'_>,
    ) -> Result<Option<String>> {
        let (_, workspace) = administer(&*self.store, actor, workspace, context).await?;
        let credentials = self.store.credentials(workspace, id).await?.ok_or(Error::NotFound)?;
        self.accounts.admit(&credentials.role)?;
        let environment = Environment {
            id: EnvironmentId::make_random(context.randomness),
            region: Region::parse(&self.accounts.region)?,
            role: credentials.role,
            external_id: credentials.external_id,
            copy_key: None,
        };
        Ok(match self.targets.check_target(&environment, context.randomness).await? {
            Verdict::GrantsNothing => None,
            verdict => proof::failure(verdict, &environment),
        })
    }
}

/// What the audit trail says about credentials. A reconciliation reads the id.
pub(crate) fn detail(credentials: &StoredCredentials) -> String {
    format!("credentials {}, {}", credentials.id, credentials.role)
}

/// Returns whether two names count as the same.
pub(super) fn same_name(one: &str, other: &str) -> bool {
    fold(one) == fold(other)
}

fn own_external_id() -> Error {
    Error::Invalid(
        "The service makes the external ID, and it cannot be chosen or changed: omit externalId.".into(),
    )
}

/// The limit of credentials in a workspace.
#[must_use]
pub fn too_many() -> Error {
    Error::LimitExceeded { limit: MAX_ENVIRONMENTS, what: "credentials per workspace" }
}

/// The error for credentials whose name is used.
#[must_use]
pub fn taken() -> Error {
    name_taken("credentials")
}

#[cfg(test)]
mod tests;
