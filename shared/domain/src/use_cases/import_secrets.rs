//! Importing secrets: creating all of them, or creating and updating them in one transaction.

use futures_util::future::try_join_all;

use super::change_secret::next_version;
use super::create_secrets::{Draft, MAX_IN_IMPORT, SecretService, bind, check};
use super::{authorize, conflict_as_contended, retry_contended};
use crate::audit::{AuditAction, AuditRecord};
use crate::context::Context;
use crate::idempotency::{Idempotency, IdempotencyRecord, IdempotentResult};
use crate::identity::Actor;
use crate::ids::WorkspaceId;
use crate::names::names;
use crate::owner::Scope;
use crate::ports::Created;
use crate::role::Permission;
use crate::secret::{Secret, SecretWrite, WriteOutcome, Written};
use crate::{Error, Result};

names! {
    /// What an import does with names that exist.
    "mode" pub enum ImportMode {
        /// Refuses the import.
        Create = "create",
        /// Updates the values of these secrets.
        Upsert = "upsert",
    }
}

/// The maximum number of secrets in an upsert with an idempotency key. A creation and an update
/// take three rows each, and an upsert can have two audit rows. With 32 secrets, the membership and
/// count rows and the idempotency row, that would be 101 actions.
pub const MAX_IN_KEYED_UPSERT: usize = MAX_IN_IMPORT - 1;

impl SecretService {
    /// Imports secrets and returns what was written, in the order of the drafts. With a known
    /// idempotency key, returns the result of the first request and changes nothing.
    pub async fn import(
        &self,
        actor: &Actor,
        workspace: Option<WorkspaceId>,
        drafts: &[Draft],
        mode: ImportMode,
        idempotency_key: Option<&str>,
        context: &Context<'_>,
    ) -> Result<Vec<Written>> {
        match mode {
            ImportMode::Create => {
                let ids = self.create(actor, workspace, drafts, idempotency_key, context).await?;
                Ok(ids.into_iter().map(|id| Written { id, outcome: WriteOutcome::Created }).collect())
            }
            ImportMode::Upsert => self.upsert(actor, workspace, drafts, idempotency_key, context).await,
        }
    }

    async fn upsert(
        &self,
        actor: &Actor,
        workspace: Option<WorkspaceId>,
        drafts: &[Draft],
        idempotency_key: Option<&str>,
        context: &Context<'_>,
    ) -> Result<Vec<Written>> {
        let permission = Permission::WriteSecrets;
        let scope = authorize(&*self.store, context.settings, actor, workspace, permission).await?;
        check(drafts, context.now)?;
        if idempotency_key.is_some() && drafts.len() > MAX_IN_KEYED_UPSERT {
            return Err(Error::Invalid(format!(
                "An import with mode=upsert and an Idempotency-Key can contain at most {MAX_IN_KEYED_UPSERT} \
                 secrets, and this one has {}. Split it, or omit the key.",
                drafts.len()
            )));
        }
        let bind = |key| bind(key, "upsert-secrets", &scope, drafts);
        let idempotency = idempotency_key.map(bind).transpose()?;
        retry_contended(context.backoff, async || {
            let existing = drafts.iter().map(|draft| self.store.secret_named(&scope, &draft.name));
            let existing = try_join_all(existing).await?;
            // The table refuses another spelling of an existing name, after it has looked for the
            // idempotency key.
            let respelled =
                drafts.iter().zip(&existing).any(|(draft, old)| is_respelled(draft, old.as_ref()));
            let writes = drafts.iter().zip(existing);
            let writes = writes.map(|(draft, old)| self.seal_write(&scope, draft, old, context));
            let writes = try_join_all(writes).await?;
            let audit = audit_records(&scope, &writes, context);
            let created = self.store.upsert_secrets(&scope, &writes, idempotency.as_ref(), &audit).await;
            match (created.map_err(|error| stale_as_contended(error, respelled))?, &idempotency) {
                (Created::Replayed(record), Some(idempotency)) => first_result(idempotency, record),
                _ => Ok(writes.iter().map(SecretWrite::written).collect()),
            }
        })
        .await
    }

    /// Seals a new version of the secret with this name or, if there is none, a new secret.
    async fn seal_write(
        &self,
        scope: &Scope,
        draft: &Draft,
        existing: Option<Secret>,
        context: &Context<'_>,
    ) -> Result<SecretWrite> {
        let Some(old) = existing.filter(|old| old.name == draft.name) else {
            let (secret, sealed) = self.seal_new(scope, draft, context).await?;
            return Ok(SecretWrite { secret, sealed, replaced: None });
        };
        let (secret, replaced) = next_version(scope, old, &draft.value, context.now);
        let sealed = self.seal(&secret, &draft.value, context).await?;
        Ok(SecretWrite { secret, sealed, replaced: Some(replaced) })
    }
}

fn is_respelled(draft: &Draft, existing: Option<&Secret>) -> bool {
    existing.is_some_and(|old| old.name != draft.name)
}

/// One record of what was created, and one of what was updated.
fn audit_records(scope: &Scope, writes: &[SecretWrite], context: &Context<'_>) -> Vec<AuditRecord> {
    let actions = [
        (WriteOutcome::Created, AuditAction::SecretCreated),
        (WriteOutcome::Updated, AuditAction::SecretUpdated),
    ];
    let of_action = |(outcome, action)| {
        let writes = writes.iter().filter(|write| write.written().outcome == outcome);
        let mut secrets = writes.map(|write| &write.secret).peekable();
        secrets.peek()?;
        Some(AuditRecord::of_secrets(scope, action, secrets, context))
    };
    actions.into_iter().filter_map(of_action).collect()
}

/// Turns the errors of a write that was decided on an older state into one that is retried. A name
/// that was taken already when it was read stays refused.
fn stale_as_contended(error: Error, respelled: bool) -> Error {
    match error {
        Error::AlreadyExists { .. } if !respelled => Error::Contended,
        other => conflict_as_contended(other),
    }
}

fn first_result(idempotency: &Idempotency, record: IdempotencyRecord) -> Result<Vec<Written>> {
    idempotency.check(&record)?;
    match record.result {
        IdempotentResult::Upserted(written) => Ok(written),
        IdempotentResult::Secret(_) | IdempotentResult::Secrets(_) | IdempotentResult::Run(_) => {
            Err(Error::IdempotencyMismatch)
        }
    }
}

#[cfg(test)]
mod tests;
