//! Creating secrets: one, or all secrets of an import or none.

use std::rc::Rc;

use futures_util::future::try_join_all;
use jiff::Timestamp;

use super::{authorize, retry_contended};
use crate::audit::{AuditAction, AuditRecord};
use crate::context::Context;
use crate::envelope::{EncryptionContext, seal};
use crate::idempotency::{Idempotency, IdempotencyRecord, IdempotentResult};
use crate::identity::Actor;
use crate::ids::{SecretId, WorkspaceId};
use crate::name::SecretName;
use crate::owner::Scope;
use crate::ports::{Created, GenerateDataKey, SecretWriter};
use crate::role::Permission;
use crate::secret::{Description, SealedValue, Secret};
use crate::value::SecretValue;
use crate::{Error, Result};

/// The maximum number of secrets in an import. Each takes three rows. With the audit, membership,
/// count and idempotency rows, that is exactly the 100 actions of a DynamoDB transaction.
pub const MAX_IN_IMPORT: usize = 32;

/// A secret to create.
pub struct Draft {
    /// Its name.
    pub name: SecretName,
    /// Its value.
    pub value: SecretValue,
    /// A note.
    pub description: Option<Description>,
    /// When it expires.
    pub expires: Option<Timestamp>,
}

/// Creates, updates and deletes secrets.
pub struct SecretService {
    /// The table.
    pub store: Rc<dyn SecretWriter>,
    /// Data keys.
    pub keys: Rc<dyn GenerateDataKey>,
}

impl SecretService {
    /// Creates secrets and returns their ids in the order of the drafts. With a known idempotency
    /// key, returns the ids of the first request and changes nothing.
    pub async fn create(
        &self,
        actor: &Actor,
        workspace: Option<WorkspaceId>,
        drafts: &[Draft],
        idempotency_key: Option<&str>,
        context: &Context<'_>,
    ) -> Result<Vec<SecretId>> {
        let permission = Permission::WriteSecrets;
        let scope = authorize(&*self.store, context.settings, actor, workspace, permission).await?;
        check(drafts, context.now)?;
        let bind = |key| bind(key, "create-secrets", &scope, drafts);
        let idempotency = idempotency_key.map(bind).transpose()?;
        retry_contended(context.backoff, async || {
            let sealed = drafts.iter().map(|draft| self.seal_new(&scope, draft, context));
            let sealed = try_join_all(sealed).await?;
            let secrets = sealed.iter().map(|(secret, _)| secret);
            let audit = AuditRecord::of_secrets(&scope, AuditAction::SecretCreated, secrets, context);
            let created = self.store.create_secrets(&scope, &sealed, idempotency.as_ref(), &audit).await?;
            match (created, &idempotency) {
                (Created::Replayed(record), Some(idempotency)) => first_ids(idempotency, record),
                _ => Ok(sealed.iter().map(|(secret, _)| secret.id).collect()),
            }
        })
        .await
    }

    pub(super) async fn seal_new(
        &self,
        scope: &Scope,
        draft: &Draft,
        context: &Context<'_>,
    ) -> Result<(Secret, SealedValue)> {
        let now = context.now;
        let secret = Secret {
            id: SecretId::make_random(context.randomness),
            owner: scope.owner(),
            name: draft.name.clone(),
            version: 1,
            created: now,
            created_by: scope.actor(),
            updated: now,
            updated_by: scope.actor(),
            last_used: None,
            expires: draft.expires,
            description: draft.description.clone(),
            properties: draft.value.properties(),
        };
        let sealed = self.seal(&secret, &draft.value, context).await?;
        Ok((secret, sealed))
    }

    /// Seals the value of one version of a secret under a new data key.
    pub(crate) async fn seal(
        &self,
        secret: &Secret,
        value: &SecretValue,
        context: &Context<'_>,
    ) -> Result<SealedValue> {
        let bound_to = EncryptionContext {
            deployment: context.settings.deployment.clone(),
            owner: secret.owner,
            secret: secret.id,
            name: secret.name.clone(),
            version: secret.version,
        };
        let data_key = self.keys.generate_data_key(&bound_to).await?;
        Ok(SealedValue {
            owner: secret.owner,
            secret: secret.id,
            version: secret.version,
            envelope: seal(value, &bound_to, &data_key, context.randomness)?,
        })
    }
}

/// Checks the number of drafts, their names against each other, and their expiries.
pub(super) fn check(drafts: &[Draft], now: Timestamp) -> Result<()> {
    if drafts.is_empty() {
        return Err(Error::Invalid("The import contains no secrets.".into()));
    }
    if drafts.len() > MAX_IN_IMPORT {
        return Err(Error::Invalid(format!(
            "An import can contain at most {MAX_IN_IMPORT} secrets, and this one has {}. Split it.",
            drafts.len()
        )));
    }
    for (index, draft) in drafts.iter().enumerate() {
        let folded = draft.name.folded();
        if let Some(duplicate) = drafts[..index].iter().find(|earlier| earlier.name.folded() == folded) {
            return Err(Error::Invalid(match duplicate.name == draft.name {
                true => format!("The import contains {} twice. Remove one of them.", draft.name),
                false => format!(
                    "{} and {} count as the same name. Use names that differ in more than case.",
                    duplicate.name, draft.name
                ),
            }));
        }
        check_expiry(draft.expires, now)?;
    }
    Ok(())
}

/// Checks that an expiry is in the future.
pub(crate) fn check_expiry(expires: Option<Timestamp>, now: Timestamp) -> Result<()> {
    if expires.is_some_and(|expires| expires <= now) {
        return Err(Error::Invalid("The expiry date must be in the future.".into()));
    }
    Ok(())
}

/// Binds the key to the operation and every part of the request. Values are hashed in place.
pub(super) fn bind(key: &str, operation: &str, scope: &Scope, drafts: &[Draft]) -> Result<Idempotency> {
    let owner = scope.owner().to_string();
    let expiries: Vec<_> =
        drafts.iter().map(|draft| draft.expires.map(|at| at.to_string()).unwrap_or_default()).collect();
    let of_drafts = drafts.iter().zip(&expiries).flat_map(|(draft, expires)| {
        [
            draft.name.as_str(),
            draft.value.expose(),
            draft.description.as_ref().map_or("", Description::as_str),
            expires.as_str(),
        ]
    });
    let parts = [operation, owner.as_str()].into_iter().chain(of_drafts);
    Idempotency::new(scope.actor(), key, parts.map(str::as_bytes))
}

fn first_ids(idempotency: &Idempotency, record: IdempotencyRecord) -> Result<Vec<SecretId>> {
    idempotency.check(&record)?;
    match record.result {
        IdempotentResult::Secret(id) => Ok(vec![id]),
        IdempotentResult::Secrets(ids) => Ok(ids),
        IdempotentResult::Run(_) | IdempotentResult::Upserted(_) => Err(Error::IdempotencyMismatch),
    }
}

#[cfg(test)]
mod tests;
