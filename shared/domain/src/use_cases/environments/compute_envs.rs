//! Compute environments. One is stored only after its role was proved: it can be assumed with its
//! external id, cannot be assumed with another one, and grants what the service needs in the
//! environment's region.

use jiff::SignedDuration;

use super::credentials::same_name;
use super::proof::{failure, prove};
use super::{EnvironmentService, administer, audit, name_taken, participate, required};
use crate::audit::AuditAction;
use crate::context::Context;
use crate::environment::{
    CredentialsId, Environment, EnvironmentId, Region, RoleArn, StoredCredentials, StoredEnvironment,
};
use crate::identity::Actor;
use crate::ids::WorkspaceId;
use crate::owner::Scope;
use crate::ports::{EnvironmentChange, MAX_ENVIRONMENTS, MAX_LISTED};
use crate::secret::Description;
use crate::settings::Limits;
use crate::use_cases::retry_contended;
use crate::{Error, Result};

/// What a client says about a new environment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EnvironmentDraft {
    /// The name.
    pub name: String,
    /// A description.
    pub description: Option<Description>,
    /// The credentials.
    pub credentials: CredentialsId,
    /// The region.
    pub region: Region,
    /// The KMS key of the copies.
    pub copy_key: Option<String>,
    /// The client's configuration as it was sent.
    pub config: String,
}

/// What a client changes of an environment. `None` keeps what there is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EnvironmentUpdate {
    /// The name.
    pub name: Option<String>,
    /// The description.
    pub description: Option<Description>,
    /// The credentials, whose role must be in the same account.
    pub credentials: Option<CredentialsId>,
}

impl EnvironmentService {
    /// Lists the workspace's environments, by name. Without a workspace, the list is empty.
    pub async fn list(
        &self,
        actor: &Actor,
        workspace: Option<WorkspaceId>,
        context: &Context<'_>,
    ) -> Result<Vec<StoredEnvironment>> {
        let Some(workspace) = workspace else {
            return Ok(Vec::new());
        };
        participate(&*self.store, actor, workspace, context).await?;
        let mut all = self.store.environments(workspace).await?;
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    /// Returns an environment.
    pub async fn describe(
        &self,
        actor: &Actor,
        workspace: Option<WorkspaceId>,
        id: &EnvironmentId,
        context: &Context<'_>,
    ) -> Result<StoredEnvironment> {
        let workspace = required(workspace)?;
        participate(&*self.store, actor, workspace, context).await?;
        self.store.environment(workspace, id).await?.ok_or(Error::NotFound)
    }

    /// Proves the role and stores the environment.
    pub async fn create(
        &self,
        actor: &Actor,
        workspace: Option<WorkspaceId>,
        draft: &EnvironmentDraft,
        context: &Context<'_>,
    ) -> Result<EnvironmentId> {
        let (scope, workspace) = administer(&*self.store, actor, workspace, context).await?;
        // A client that repeats a request learns at once that the first one succeeded.
        let others = self.store.environments(workspace).await?;
        if others.iter().any(|other| same_name(&other.name, &draft.name)) {
            return Err(taken());
        }
        if others.len() >= MAX_ENVIRONMENTS as usize {
            return Err(too_many());
        }
        // The sweep looks in each listed environment.
        let listed = self.store.targets().await?;
        if listed.iter().filter(|one| one.workspace == workspace).count() >= MAX_LISTED as usize {
            return Err(Error::LimitExceeded {
                limit: MAX_LISTED,
                what: "compute environments per workspace, with those that were deleted in the last weeks",
            });
        }
        retry_contended(context.backoff, async || {
            let credentials = self.usable_credentials(workspace, &draft.credentials).await?;
            let copy_key = draft.copy_key.as_deref();
            let environment = Environment {
                id: EnvironmentId::make_random(context.randomness),
                region: draft.region.clone(),
                copy_key: copy_key.map(|key| key_arn(key, &credentials.role, &draft.region)).transpose()?,
                role: credentials.role,
                external_id: credentials.external_id,
            };
            prove(&*self.targets, &environment, context).await?;
            let environment = StoredEnvironment {
                environment,
                workspace,
                name: draft.name.clone(),
                description: draft.description.clone().map(String::from),
                credentials: draft.credentials.clone(),
                config: draft.config.clone(),
                proved: context.now,
                failure: None,
                created: context.now,
                created_by: scope.actor(),
                updated: context.now,
            };
            let id = environment.environment.id.clone();
            let record =
                audit(&scope, AuditAction::ComputeEnvCreated, environment.environment.to_string(), context);
            let change = EnvironmentChange::CreateEnvironment(environment);
            self.store.change_environment(Some(&scope), &change, &record).await?;
            Ok(id)
        })
        .await
    }

    /// Changes name, description or credentials. Runs that were launched keep the role with which
    /// they were launched.
    pub async fn update(
        &self,
        actor: &Actor,
        workspace: Option<WorkspaceId>,
        id: &EnvironmentId,
        update: &EnvironmentUpdate,
        context: &Context<'_>,
    ) -> Result<()> {
        let (scope, workspace) = administer(&*self.store, actor, workspace, context).await?;
        retry_contended(context.backoff, async || {
            let from = self.store.environment(workspace, id).await?.ok_or(Error::NotFound)?;
            let mut to = from.clone();
            to.name = update.name.clone().unwrap_or(to.name);
            to.description = update.description.clone().map(String::from).or(to.description);
            if let Some(id) = update.credentials.as_ref().filter(|id| **id != from.credentials) {
                let credentials = self.usable_credentials(workspace, id).await?;
                // The sweep looks for orphans in one account per environment.
                if credentials.role.account() != from.environment.role.account() {
                    return Err(Error::Invalid(
                        "The role of these credentials is in another account. Create another compute environment for it."
                            .into(),
                    ));
                }
                to.credentials = credentials.id;
                to.environment.role = credentials.role;
                to.environment.external_id = credentials.external_id;
                prove(&*self.targets, &to.environment, context).await?;
                (to.proved, to.failure) = (context.now, None);
            }
            if to == from {
                return Ok(());
            }
            to.updated = context.now;
            self.save(&scope, AuditAction::ComputeEnvUpdated, from, to, context).await
        })
        .await
    }

    /// Checks the role again and records the outcome. Returns what is wrong, or `None`.
    pub async fn validate(
        &self,
        actor: &Actor,
        workspace: Option<WorkspaceId>,
        id: &EnvironmentId,
        context: &Context<'_>,
    ) -> Result<Option<String>> {
        let (scope, workspace) = administer(&*self.store, actor, workspace, context).await?;
        let checked = self.store.environment(workspace, id).await?.ok_or(Error::NotFound)?;
        self.accounts.admit(&checked.environment.role)?;
        let verdict = self.targets.check_target(&checked.environment, context.randomness).await?;
        let failure = failure(verdict, &checked.environment);
        retry_contended(context.backoff, async || {
            let from = self.store.environment(workspace, id).await?.ok_or(Error::NotFound)?;
            if from.environment != checked.environment {
                return Ok(()); // it was proved in the meantime
            }
            let mut to = from.clone();
            to.failure.clone_from(&failure);
            if failure.is_none() {
                to.proved = context.now;
            }
            self.save(&scope, AuditAction::ComputeEnvChecked, from, to, context).await
        })
        .await?;
        Ok(failure)
    }

    /// Deletes an environment. Runs in it go on and are cleaned up.
    pub async fn delete(
        &self,
        actor: &Actor,
        workspace: Option<WorkspaceId>,
        id: &EnvironmentId,
        context: &Context<'_>,
    ) -> Result<()> {
        let (scope, workspace) = administer(&*self.store, actor, workspace, context).await?;
        retry_contended(context.backoff, async || {
            let environment = self.store.environment(workspace, id).await?.ok_or(Error::NotFound)?;
            let record =
                audit(&scope, AuditAction::ComputeEnvDeleted, environment.environment.to_string(), context);
            self.store.change_environment(Some(&scope), &deletion(environment, context), &record).await
        })
        .await
    }

    async fn save(
        &self,
        scope: &Scope,
        action: AuditAction,
        from: StoredEnvironment,
        to: StoredEnvironment,
        context: &Context<'_>,
    ) -> Result<()> {
        let outcome = match (action, &to.failure) {
            (AuditAction::ComputeEnvChecked, None) => ", usable",
            (AuditAction::ComputeEnvChecked, Some(_)) => ", not usable",
            _ => "",
        };
        let record = audit(scope, action, format!("{}{outcome}", to.environment), context);
        let change = EnvironmentChange::UpdateEnvironment { from, to };
        self.store.change_environment(Some(scope), &change, &record).await
    }

    async fn usable_credentials(
        &self,
        workspace: WorkspaceId,
        id: &CredentialsId,
    ) -> Result<StoredCredentials> {
        let found = self.store.credentials(workspace, id).await?;
        let credentials = found.ok_or_else(unknown_credentials)?;
        self.accounts.admit(&credentials.role)?;
        Ok(credentials)
    }
}

/// Returns the deletion of an environment: the list keeps it for the longest run, with the further
/// time that a head job can get, and a day.
pub(crate) fn deletion(environment: StoredEnvironment, context: &Context<'_>) -> EnvironmentChange {
    let Limits { longest_run, head_job_grace, .. } = context.settings.limits;
    let longest = longest_run + head_job_grace + SignedDuration::from_hours(24);
    let listed_until = context.now.saturating_add(longest).unwrap_or(jiff::Timestamp::MAX);
    EnvironmentChange::DeleteEnvironment { environment, listed_until }
}

/// Returns the ARN of a KMS key in an environment's account and region, from its ARN or id. An
/// alias is refused: the permissions of job roles must name the key itself.
fn key_arn(key: &str, role: &RoleArn, region: &Region) -> Result<String> {
    let (partition, account) = (role.partition(), role.account());
    let prefix = format!("arn:{partition}:kms:{region}:{account}:key/");
    let id = key.strip_prefix(&prefix).unwrap_or(key);
    match (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        true => Ok(format!("{prefix}{id}")),
        false => Err(Error::Invalid(format!(
            "secretsKmsKeyId must be the ID or ARN of a KMS key in account {account} and region {region}, and not an alias."
        ))),
    }
}

/// The error for credentials that do not exist in the workspace.
#[must_use]
pub fn unknown_credentials() -> Error {
    Error::Refused("credentialsId: this workspace has no credentials with this ID.".into())
}

/// The limit of environments in a workspace.
#[must_use]
pub fn too_many() -> Error {
    Error::LimitExceeded { limit: MAX_ENVIRONMENTS, what: "compute environments per workspace" }
}

/// The error for an environment whose name is used.
#[must_use]
pub fn taken() -> Error {
    name_taken("compute environments")
}

#[cfg(test)]
mod tests;
