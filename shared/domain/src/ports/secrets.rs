//! Secrets, their sealed values, the keys that seal them, and the audit trail.

use async_trait::async_trait;

use crate::Result;
use crate::audit::AuditRecord;
use crate::envelope::{DataKey, EncryptionContext, PlainDataKey};
use crate::idempotency::{Idempotency, IdempotencyRecord};
use crate::ids::SecretId;
use crate::name::SecretName;
use crate::owner::{Scope, SecretOwner};
use crate::secret::{OldVersion, SealedValue, Secret};

/// Reading secrets without their values.
#[async_trait(?Send)]
pub trait ReadSecrets {
    /// Every secret of the scope, by name.
    async fn secrets(&self, scope: &Scope) -> Result<Vec<Secret>>;

    /// One secret.
    async fn secret(&self, scope: &Scope, id: SecretId) -> Result<Option<Secret>>;

    /// Whether the name, in any case, is taken.
    async fn is_name_taken(&self, scope: &Scope, name: &SecretName) -> Result<bool>;

    /// The replaced versions of a secret, newest first; at most 1,000.
    async fn history(&self, scope: &Scope, id: SecretId) -> Result<Vec<OldVersion>>;
}

/// What became of a creation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Created {
    /// It took effect.
    Created,
    /// The idempotency key is known: nothing was changed.
    Replayed(IdempotencyRecord),
}

// Writing secrets. Each write is one transaction with its audit record and a check that the scope's membership still
// holds; where it does not, Error::NotFound, and nothing is changed.

/// Creating secrets.
#[async_trait(?Send)]
pub trait CreateSecrets {
    /// Creates secrets, all or none: each put only if id and name are free, their number added to the scope's under
    /// `< 1000`. [`Error::AlreadyExists`](crate::Error::AlreadyExists) names the first name taken;
    /// [`Error::LimitExceeded`](crate::Error::LimitExceeded) where the scope is full.
    async fn create_secrets(
        &self,
        scope: &Scope,
        secrets: &[(Secret, SealedValue)],
        idempotency: Option<&Idempotency>,
        audit: &AuditRecord,
    ) -> Result<Created>;
}

/// Giving secrets new values.
#[async_trait(?Send)]
pub trait UpdateSecrets {
    /// Writes a new version over version `secret.version - 1` and notes that one in the history.
    /// [`Error::VersionConflict`](crate::Error::VersionConflict) where that is not the current one,
    /// [`Error::NotFound`](crate::Error::NotFound) where the secret is gone.
    async fn update_secret(
        &self,
        scope: &Scope,
        secret: &Secret,
        sealed: &SealedValue,
        replaced: &OldVersion,
        audit: &AuditRecord,
    ) -> Result<()>;
}

/// Deleting secrets.
#[async_trait(?Send)]
pub trait DeleteSecrets {
    /// Deletes this version of the secret, its value and its name guard. Errors as in
    /// [`UpdateSecrets::update_secret`].
    async fn delete_secret(&self, scope: &Scope, secret: &Secret, audit: &AuditRecord) -> Result<()>;
}

/// Making new data keys. Whoever holds this right alone can seal and never open.
#[async_trait(?Send)]
pub trait GenerateDataKey {
    /// A fresh data key under the envelope key and this context.
    async fn generate_data_key(&self, context: &EncryptionContext) -> Result<DataKey>;
}

/// Decrypting data keys.
#[async_trait(?Send)]
pub trait DecryptDataKey {
    /// The data key in clear. [`Error::EnvelopeRefused`](crate::Error::EnvelopeRefused) where KMS says that bytes,
    /// context or key do not belong together.
    async fn decrypt_data_key(&self, encrypted: &[u8], context: &EncryptionContext) -> Result<PlainDataKey>;
}

/// Reading sealed values.
#[async_trait(?Send)]
pub trait ReadSealedValues {
    /// The current sealed values of these secrets, in any order; those that are gone are missing.
    async fn sealed_values(&self, secrets: &[(SecretOwner, SecretId)]) -> Result<Vec<SealedValue>>;

    /// These secrets as they are now, without their values, in any order; those that are gone are missing. For whoever
    /// was already authorized, by a launch, to have just these delivered.
    async fn current_secrets(&self, secrets: &[(SecretOwner, SecretId)]) -> Result<Vec<Secret>>;
}

/// Reading the audit trail.
#[async_trait(?Send)]
pub trait ReadAudit {
    /// The trail of the scope in one month (UTC, `yyyy-mm`; another form is [`Error::Invalid`](crate::Error::Invalid)),
    /// newest first, at most `limit` records.
    async fn audit(&self, scope: &Scope, month: &str, limit: u32) -> Result<Vec<AuditRecord>>;
}
