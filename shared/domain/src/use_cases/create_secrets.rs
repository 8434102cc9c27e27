//! Storing new secrets: one, or all of an import or none.

use futures_util::future::try_join_all;
use jiff::Timestamp;

use super::settle;
use crate::audit::{AuditAction, AuditRecord, Subject};
use crate::envelope::{EncryptionContext, seal};
use crate::idempotency::{Idempotency, Made, Remembered};
use crate::identity::Actor;
use crate::ids::{SecretId, WorkspaceId};
use crate::name::SecretName;
use crate::owner::{Scope, authorize};
use crate::ports::{Created, GenerateDataKey, Pace, Randomness, ReadMembership, WriteSecrets};
use crate::role::Permission;
use crate::secret::{Description, SealedValue, Secret};
use crate::settings::Settings;
use crate::value::SecretValue;
use crate::{Error, Result};

/// Secrets in an import, at most: three rows each, with the audit, membership, count and idempotency rows exactly the
/// 100 actions of a DynamoDB transaction.
pub const MAX_IN_IMPORT: usize = 32;

/// A secret that is to be stored.
pub struct Draft {
    /// Its name.
    pub name: SecretName,
    /// Its value.
    pub value: SecretValue,
    /// A note on it.
    pub description: Option<Description>,
    /// After this no launch takes it.
    pub expires: Option<Timestamp>,
}

/// What storing needs from outside.
pub struct Ports<'a, Store, Keys, Rng, Wait> {
    /// The table.
    pub store: &'a Store,
    /// Data keys.
    pub keys: &'a Keys,
    /// Randomness.
    pub randomness: &'a Rng,
    /// Time to repeat in.
    pub pace: &'a Wait,
    /// The deployment's choices.
    pub settings: &'a Settings,
}

/// Stores new secrets and gives their ids in the drafts' order. With an idempotency key that is known, the first
/// request's ids, and nothing is changed.
pub async fn create(
    ports: &Ports<'_, impl ReadMembership + WriteSecrets, impl GenerateDataKey, impl Randomness, impl Pace>,
    actor: &Actor,
    workspace: Option<WorkspaceId>,
    drafts: &[Draft],
    idempotency_key: Option<&str>,
    now: Timestamp,
) -> Result<Vec<SecretId>> {
    let scope = authorize(ports.store, ports.settings, actor, workspace, Permission::WriteSecrets).await?;
    check(drafts, now)?;
    let idempotency = idempotency_key.map(|key| bind(key, &scope, drafts)).transpose()?;
    settle(ports.pace, async || {
        let sealed = try_join_all(drafts.iter().map(|draft| seal_new(ports, &scope, draft, now))).await?;
        let audit = audit(&scope, ports.randomness, &sealed, now);
        let created = ports.store.create_secrets(&scope, &sealed, idempotency.as_ref(), &audit).await?;
        match (created, &idempotency) {
            (Created::Known(remembered), Some(idempotency)) => first_ids(idempotency, remembered),
            _ => Ok(sealed.iter().map(|(secret, _)| secret.id).collect()),
        }
    })
    .await
}

fn check(drafts: &[Draft], now: Timestamp) -> Result<()> {
    if drafts.is_empty() {
        return Err(Error::Invalid("There is nothing to import.".into()));
    }
    if drafts.len() > MAX_IN_IMPORT {
        return Err(Error::Invalid(format!(
            "An import takes at most {MAX_IN_IMPORT} secrets, and this one has {}: split it.",
            drafts.len()
        )));
    }
    for (index, draft) in drafts.iter().enumerate() {
        let folded = draft.name.folded();
        if let Some(twin) = drafts[..index].iter().find(|earlier| earlier.name.folded() == folded) {
            return Err(Error::Invalid(format!(
                "{} and {} are one name: names that differ only by case count as one.",
                twin.name, draft.name
            )));
        }
        check_expiry(draft.expires, now)?;
    }
    Ok(())
}

/// An expiry date lies ahead.
pub(crate) fn check_expiry(expires: Option<Timestamp>, now: Timestamp) -> Result<()> {
    if expires.is_some_and(|expires| expires <= now) {
        return Err(Error::Invalid("The expiry date lies in the past.".into()));
    }
    Ok(())
}

fn bind(key: &str, scope: &Scope, drafts: &[Draft]) -> Result<Idempotency> {
    let owner = scope.owner().to_string();
    let mut parts = vec![b"create-secrets".to_vec(), owner.into_bytes()];
    for draft in drafts {
        let expires = draft.expires.map(|expires| expires.to_string());
        for part in [
            draft.name.as_str(),
            draft.value.expose(),
            draft.description.as_ref().map_or("", Description::as_str),
            expires.as_deref().unwrap_or(""),
        ] {
            parts.push(part.as_bytes().to_vec());
        }
    }
    let parts: Vec<_> = parts.into_iter().map(zeroize::Zeroizing::new).collect();
    let slices: Vec<&[u8]> = parts.iter().map(|part| part.as_slice()).collect();
    Idempotency::new(scope.actor(), key, &slices)
}

fn first_ids(idempotency: &Idempotency, remembered: Remembered) -> Result<Vec<SecretId>> {
    idempotency.check(&remembered)?;
    match remembered.made {
        Made::Secret(id) => Ok(vec![id]),
        Made::Secrets(ids) => Ok(ids),
        Made::Run(_) => Err(Error::IdempotencyMismatch),
    }
}

async fn seal_new<S>(
    ports: &Ports<'_, S, impl GenerateDataKey, impl Randomness, impl Pace>,
    scope: &Scope,
    draft: &Draft,
    now: Timestamp,
) -> Result<(Secret, SealedValue)> {
    let secret = Secret {
        id: SecretId::make_random(ports.randomness),
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
        traits: draft.value.traits(),
    };
    let sealed = seal_version(ports.keys, ports.randomness, ports.settings, &secret, &draft.value).await?;
    Ok((secret, sealed))
}

/// Seals the value of one version of a secret under a fresh data key.
pub(crate) async fn seal_version(
    keys: &impl GenerateDataKey,
    randomness: &impl Randomness,
    settings: &Settings,
    secret: &Secret,
    value: &SecretValue,
) -> Result<SealedValue> {
    let context = EncryptionContext {
        deployment: settings.deployment.clone(),
        owner: secret.owner,
        secret: secret.id,
        name: secret.name.clone(),
        version: secret.version,
    };
    let data_key = keys.generate_data_key(&context).await?;
    Ok(SealedValue {
        owner: secret.owner,
        secret: secret.id,
        version: secret.version,
        envelope: seal(value, &context, &data_key, randomness)?,
    })
}

fn audit(
    scope: &Scope,
    randomness: &impl Randomness,
    sealed: &[(Secret, SealedValue)],
    now: Timestamp,
) -> AuditRecord {
    let subjects = sealed.iter().map(|(secret, _)| Subject::of(secret)).collect();
    AuditRecord::by(scope, randomness, now, AuditAction::SecretCreated, subjects)
}

#[cfg(test)]
mod tests;
