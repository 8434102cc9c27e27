//! Reading the receipts of runs: what a run received, and how it ended.

use super::authorize;
use crate::identity::Actor;
use crate::ids::{RunId, WorkspaceId};
use crate::owner::SecretOwner;
use crate::ports::RunReader;
use crate::role::Permission;
use crate::run::{Run, State};
use crate::settings::Settings;
use crate::{Error, Result};

/// Returns a run to its launcher and to the participants of its workspace.
pub async fn describe(
    store: &dyn RunReader,
    settings: &Settings,
    actor: &Actor,
    workspace: Option<WorkspaceId>,
    id: &RunId,
) -> Result<Run> {
    let run = store.run(id).await?;
    // If the client names a workspace, or its token has one, the run must be in it.
    let run = run.filter(|run| workspace.is_none() || workspace == run.workspace);
    let run = run.filter(|run| actor.may_use(run.workspace));
    match run.as_ref().map(Run::scope) {
        Some(SecretOwner::User(user)) if user == actor.user => {}
        Some(SecretOwner::Workspace(workspace)) => {
            authorize(store, settings, actor, Some(workspace), Permission::ReadRuns).await?;
        }
        // The same calls for an unknown run and for one that the caller may not see.
        _ => {
            store.role(workspace.unwrap_or(WorkspaceId::ABSENT), actor.user).await?;
            return Err(Error::NotFound);
        }
    }
    run.ok_or(Error::NotFound)
}

/// Lists the runs of a scope, newest first.
pub async fn list(
    store: &dyn RunReader,
    settings: &Settings,
    actor: &Actor,
    workspace: Option<WorkspaceId>,
    state: Option<State>,
    limit: u32,
    after: Option<&RunId>,
) -> Result<Vec<Run>> {
    let scope = authorize(store, settings, actor, workspace, Permission::ReadRuns).await?;
    store.runs(&scope, state, limit, after).await
}

#[cfg(test)]
mod tests;
