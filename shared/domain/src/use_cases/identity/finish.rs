//! Finishes deletions: deletes the secrets and compute environments of deleted workspaces, and the
//! tokens and secrets of removed users. A schedule repeats it, so it completes what a crash left.
//! The sweep ends their runs ([`crate::use_cases::sweep`]).

use std::time::Duration;

use jiff::SignedDuration;
use serde::Serialize;

use super::operators::revoke_all;
use super::reconcile::{delete_environments, delete_secrets};
use crate::context::Context;
use crate::owner::{Removed, SecretOwner};
use crate::ports::{FinishRemovals, LiveRuns};
use crate::{Result, log};

/// What a pass did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finished {
    /// Secrets that were deleted.
    pub secrets_deleted: u32,
    /// Deletions of which nothing is left.
    pub finished: u32,
}

/// The minimum time after a deletion before it is finished. A launch that was admitted directly
/// before can appear later in the index, which is eventually consistent.
const SETTLED: SignedDuration = SignedDuration::from_hours(1);
/// The minimum remaining time for another deletion.
const LAST: Duration = Duration::from_secs(8);

/// Continues every deletion that is not finished. One that fails does not stop the others; the
/// first error is returned at the end.
pub async fn finish(store: &dyn FinishRemovals, context: &Context<'_>) -> Result<Finished> {
    let mut done = Finished::default();
    // A restored table is reconciled first.
    if context.settings.restored {
        return Ok(done);
    }
    let mut failure = None;
    for removed in store.removed().await? {
        if context.backoff.remaining() < LAST {
            break;
        }
        match finish_scope(store, removed, context).await {
            Ok(one) => {
                done.secrets_deleted += one.secrets_deleted;
                done.finished += one.finished;
            }
            Err(error) => {
                log::error(&error).error("could not finish a deletion");
                failure.get_or_insert(error);
            }
        }
    }
    failure.map_or(Ok(done), Err)
}

/// Continues one deletion.
pub async fn finish_scope(
    store: &dyn FinishRemovals,
    removed: Removed,
    context: &Context<'_>,
) -> Result<Finished> {
    if let SecretOwner::User(user) = removed.scope {
        revoke_all(store, user, context).await?;
    }
    let secrets = store.stored_secrets(removed.scope).await?;
    let secrets_deleted = delete_secrets(store, secrets, context).await?;
    if let SecretOwner::Workspace(workspace) = removed.scope {
        delete_environments(store, workspace, context).await?;
    }
    let settled = context.now.duration_since(removed.at) >= SETTLED;
    let finished = settled && store.live_runs(removed.scope, LiveRuns::All, 1).await?.is_empty();
    if finished {
        store.forget_removed(removed.scope).await?;
    }
    Ok(Finished { secrets_deleted, finished: u32::from(finished) })
}

#[cfg(test)]
mod tests;
