//! Compute environments: the table's rows, and one session of an environment's role per duty.

use std::rc::Rc;

use async_trait::async_trait;

use super::{CreateCopies, ObserveJobs, RemoveCopies};
use crate::Result;
use crate::context::Randomness;
use crate::environment::{
    CredentialsId, Environment, EnvironmentId, ListedEnvironment, StoredCredentials, StoredEnvironment,
};
use crate::identity::Workspace;
use crate::ids::{RunId, UserId, WorkspaceId};
use crate::role::Role;

/// Reads the environments of a workspace. Every read is strongly consistent.
#[async_trait(?Send)]
pub trait ReadEnvironments {
    /// Returns the workspace's environment with this id. Another workspace's environment does not
    /// exist here.
    async fn environment(
        &self,
        workspace: WorkspaceId,
        id: &EnvironmentId,
    ) -> Result<Option<StoredEnvironment>>;

    /// Returns the workspace's environments, by id.
    async fn environments(&self, workspace: WorkspaceId) -> Result<Vec<StoredEnvironment>>;

    /// Returns the workspace's credentials with this id.
    async fn credentials(
        &self,
        workspace: WorkspaceId,
        id: &CredentialsId,
    ) -> Result<Option<StoredCredentials>>;

    /// Returns the workspace's credentials, by id.
    async fn all_credentials(&self, workspace: WorkspaceId) -> Result<Vec<StoredCredentials>>;
}

/// Reads the environment of a launch.
#[async_trait(?Send)]
pub trait ReadTarget {
    /// Returns the role, the workspace and its environment with this id, in one call, strongly
    /// consistent. Another workspace's environment does not exist here.
    async fn role_workspace_and_environment(
        &self,
        workspace: WorkspaceId,
        user: UserId,
        id: &EnvironmentId,
    ) -> Result<Option<(Role, Workspace, Option<StoredEnvironment>)>>;
}

/// Lists the environments of all workspaces.
#[async_trait(?Send)]
pub trait ListTargets {
    /// Returns every environment in which copies may exist, by id. Rows that cannot be read are
    /// logged and skipped.
    async fn targets(&self) -> Result<Vec<ListedEnvironment>>;
}

/// What a check of an environment's role found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The role works, and demands its external id.
    Proved,
    /// The role cannot be assumed.
    Refused,
    /// The role can be assumed without its external id. Anyone who knows its ARN could use it
    /// through this service.
    LetsAnyoneIn,
    /// The role grants nothing in the environment's region.
    GrantsNothing,
}

/// Checks an environment's role, with the duty `check`.
#[async_trait(?Send)]
pub trait CheckTarget {
    /// Assumes the role with its external id and with a random one, and uses its permissions. The
    /// caller decides about repetitions: a new role takes some seconds until it works.
    async fn check_target(&self, environment: &Environment, randomness: &dyn Randomness) -> Result<Verdict>;
}

/// Delivers to environments, with the duty `deliver`.
#[async_trait(?Send)]
pub trait DeliverTo {
    /// Returns a session for the copies of this run. Returns
    /// [`Error::EnvironmentRefused`](crate::Error::EnvironmentRefused) if the role cannot be
    /// assumed.
    async fn deliver_to(&self, environment: &Environment, run: &RunId) -> Result<Rc<dyn CreateCopies>>;
}

/// Observes head jobs in environments, with the duty `observe`.
#[async_trait(?Send)]
pub trait ObserveAt {
    /// Returns a session for this run's head job. Errors as in [`DeliverTo::deliver_to`].
    async fn observe_at(&self, environment: &Environment, run: &RunId) -> Result<Rc<dyn ObserveJobs>>;
}

/// A session that cleans up.
#[derive(Clone)]
pub struct CleanupSession {
    /// The head jobs.
    pub jobs: Rc<dyn ObserveJobs>,
    /// The copies.
    pub copies: Rc<dyn RemoveCopies>,
}

/// Cleans up in environments, with the duty `remove`.
#[async_trait(?Send)]
pub trait RemoveAt {
    /// Returns a session for the copies and the head job of this run, or for the sweep of orphans.
    /// Errors as in [`DeliverTo::deliver_to`].
    async fn remove_at(&self, environment: &Environment, run: Option<&RunId>) -> Result<CleanupSession>;
}
