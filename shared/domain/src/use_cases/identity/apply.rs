//! Applies a declaration. Idempotent, and safe to repeat after a crash. Only operators reach this
//! code, by invoking the function directly, which IAM guards. There is no authorization here.

use std::collections::{HashMap, HashSet};

use futures_util::StreamExt as _;
use futures_util::stream;
use serde::Serialize;
use zeroize::Zeroizing;

use super::document::{DeclaredOrganization, DeclaredUser, Document};
use super::participants::other_owner;
use super::plan::{Known, KnownWorkspace, plan};
use super::problems::NOTHING_CHANGED;
use crate::context::Context;
use crate::identity::{Change, Organization, StoredToken, User, fold};
use crate::ids::{OrgId, TokenId, UserId, WorkspaceId};
use crate::ports::{ChangeIdentity, ReadIdentity};
use crate::role::Role;
use crate::use_cases::retry_contended;
use crate::{Error, Result};

/// The current state of everything that a document names. It contains new access keys, so it has no
/// `Debug`.
#[derive(Default)]
pub struct Applied {
    /// The users, in the order of the document.
    pub users: Vec<AppliedUser>,
    /// The organizations, in the order of the document.
    pub organizations: Vec<AppliedOrganization>,
    /// The number of changes; 0 if the table already matched the document.
    pub changes: usize,
}

/// A user in the document.
pub struct AppliedUser {
    /// The user's id.
    pub id: UserId,
    /// The user's name.
    pub user_name: String,
    /// The user's tokens that are declared and exist.
    pub tokens: Vec<AppliedToken>,
}

/// A token in the document.
pub struct AppliedToken {
    /// The token's id.
    pub id: TokenId,
    /// The token's name.
    pub name: String,
    /// The token itself, if it was just created. It is shown only once.
    pub access_key: Option<Zeroizing<String>>,
}

/// An organization in the document.
#[derive(Serialize)]
pub struct AppliedOrganization {
    /// The organization's id.
    pub id: OrgId,
    /// The organization's name.
    pub name: String,
    /// The workspaces in the document.
    pub workspaces: Vec<AppliedWorkspace>,
}

/// A workspace in the document.
#[derive(Serialize)]
pub struct AppliedWorkspace {
    /// The workspace's id.
    pub id: WorkspaceId,
    /// The workspace's name.
    pub name: String,
}

/// Makes the table match the document, and leaves everything else unchanged.
///
/// The whole document is checked before anything is written: [`crate::Error::Invalid`] lists every
/// problem. A document with up to about twenty changes is one transaction. A larger one is several
/// transactions, and each leaves a consistent state: additions come before removals, and tokens
/// come last, because their keys are shown only once. After a failure, apply the same document
/// again to make the remaining changes. If the answer with a token's key was lost, declare the
/// token `revoked` once, then declare it again.
pub async fn apply(
    store: &dyn ChangeIdentity,
    document: &Document,
    context: &Context<'_>,
) -> Result<Applied> {
    let mut issued: HashMap<TokenId, Zeroizing<String>> = HashMap::new();
    let mut changes = 0;
    let mut applied = retry_contended(context.backoff, async || {
        let known = read(store, document).await?;
        let plan = plan(document, &known, context)?;
        for batch in &plan.batches {
            store.change_identity(&batch.changes, &batch.audit, None).await?;
            changes += batch.changes.len();
            for change in &batch.changes {
                if let Change::CreateToken(token) = change
                    && let Some(key) = plan.keys.get(&token.id)
                {
                    issued.insert(token.id, key.access_token(token.id));
                }
            }
        }
        Ok(plan.applied)
    })
    .await
    .map_err(|error| correct_what_changed(error, changes))?;
    for token in applied.users.iter_mut().flat_map(|user| &mut user.tokens) {
        token.access_key = issued.remove(&token.id);
    }
    applied.changes = changes;
    Ok(applied)
}

/// Corrects the error of a retry that found problems after earlier transactions took effect.
fn correct_what_changed(error: Error, changes: usize) -> Error {
    match error {
        Error::Invalid(text) if changes > 0 => {
            let done = format!(
                "{changes} change(s) took effect before the document was found to have problems: \
                 correct it and apply it again."
            );
            Error::Invalid(text.replacen(NOTHING_CHANGED, &done, 1))
        }
        error => error,
    }
}

/// Concurrent reads: enough to hide their latency.
const READS: usize = 16;

/// Reads the current state of everything that the document names.
async fn read(store: &dyn ReadIdentity, document: &Document) -> Result<Known> {
    let mut known = Known::default();
    let declared = document.users.iter().map(|user| &user.user_name);
    let taking_part = document
        .organizations
        .iter()
        .flat_map(|organization| &organization.workspaces)
        .flat_map(|workspace| &workspace.participants)
        .map(|participant| &participant.user);
    let names: HashSet<_> = declared.chain(taking_part).map(|name| fold(name)).collect();
    let declared: HashMap<_, _> = document.users.iter().map(|user| (fold(&user.user_name), user)).collect();
    let users = all(names, async |name| read_user(store, &name, declared.get(&name).copied()).await).await?;
    for (user, tokens, memberships, last_owner_of) in users.into_iter().flatten() {
        known.memberships.insert(user.id, memberships);
        known.last_owner_of.insert(user.id, last_owner_of);
        known.users.insert(fold(&user.user_name), (user, tokens));
    }
    let new = document
        .users
        .iter()
        .filter(|user| !known.users.contains_key(&fold(&user.user_name)))
        .map(|user| user.email.clone());
    let holders = all(new, async |email| store.user_by_email(&email).await).await?;
    known.emails = holders.into_iter().flatten().map(|user| fold(&user.email)).collect();
    let logins: Vec<_> = document.users.iter().flat_map(|user| &user.logins).collect();
    let holders = all(logins.iter().copied(), async |login| store.user_of_login(login).await).await?;
    let held = logins.into_iter().zip(holders).filter_map(|(login, user)| Some((login.clone(), user?)));
    known.logins = held.collect();
    let others = known.logins.values().filter(|id| !known.memberships.contains_key(id)).copied();
    let others = all(others.collect::<HashSet<_>>(), async |id| store.user(id).await).await?;
    let removed = others.into_iter().flatten().filter(|user| user.removed.is_some());
    known.removed = removed.map(|user| user.id).collect();
    let organizations = &document.organizations;
    let found = all(organizations, async |it| read_organization(store, it).await).await?;
    for (organization, workspaces) in found.into_iter().flatten() {
        for (workspace, participants) in workspaces {
            let key = (organization.id, fold(&workspace.name));
            known.workspaces.insert(key, (workspace, participants));
        }
        known.organizations.insert(fold(&organization.name), organization);
    }
    Ok(known)
}

/// A user, with tokens, roles, and the names of the workspaces that have no other owner.
type ReadUser = (User, Vec<StoredToken>, Vec<(WorkspaceId, Role)>, Vec<String>);

async fn read_user(
    store: &dyn ReadIdentity,
    name: &str,
    declared: Option<&DeclaredUser>,
) -> Result<Option<ReadUser>> {
    let Some(user) = store.user_by_name(name).await? else {
        return Ok(None);
    };
    let tokens = match declared {
        Some(declared) if !declared.tokens.is_empty() => store.tokens(user.id).await?,
        _ => Vec::new(),
    };
    let memberships = match declared {
        Some(declared) if declared.disabled.is_some() || declared.removed => {
            store.memberships(user.id).await?
        }
        _ => Vec::new(),
    };
    let mut last_owner_of = Vec::new();
    for (workspace, role) in memberships.iter().filter(|_| declared.is_some_and(|it| it.removed)) {
        let other = *role != Role::Owner || other_owner(store, workspace.id, user.id).await?.is_some();
        if !other {
            last_owner_of.push(format!("{}/{}", workspace.org_name, workspace.name));
        }
    }
    let memberships = memberships.into_iter().map(|(workspace, role)| (workspace.id, role)).collect();
    Ok(Some((user, tokens, memberships, last_owner_of)))
}

async fn read_organization(
    store: &dyn ReadIdentity,
    declared: &DeclaredOrganization,
) -> Result<Option<(Organization, Vec<KnownWorkspace>)>> {
    let Some(organization) = store.organization_by_name(&declared.name).await? else {
        return Ok(None);
    };
    let workspaces = all(&declared.workspaces, async |workspace| {
        let Some(workspace) = store.workspace_by_name(organization.id, &workspace.name).await? else {
            return Ok(None);
        };
        let participants = store.participants(workspace.id).await?;
        Ok(Some((workspace, participants)))
    })
    .await?;
    Ok(Some((organization, workspaces.into_iter().flatten().collect())))
}

/// Reads for every item, with limited concurrency, in order.
async fn all<I, T>(items: impl IntoIterator<Item = I>, read: impl AsyncFn(I) -> Result<T>) -> Result<Vec<T>> {
    let read = &read;
    let reads = stream::iter(items).map(|item| read(item)).buffered(READS);
    reads.collect::<Vec<_>>().await.into_iter().collect()
}

#[cfg(test)]
mod tests;
