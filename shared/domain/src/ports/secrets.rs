//! Secrets, sealed values, data keys and the audit trail.

use async_trait::async_trait;

use crate::Result;
use crate::audit::AuditRecord;
use crate::envelope::{DataKey, EncryptionContext, PlainDataKey};
use crate::idempotency::{Idempotency, IdempotencyRecord};
use crate::ids::SecretId;
use crate::name::SecretName;
use crate::owner::{Scope, SecretOwner};
use crate::secret::{OldVersion, SealedValue, Secret, SecretWrite};

/// Reads secrets without their values.
#[async_trait(?Send)]
pub trait ReadSecrets {
    /// Returns every secret of the scope, by name.
    async fn secrets(&self, scope: &Scope) -> Result<Vec<Secret>>;

    /// Returns one secret.
    async fn secret(&self, scope: &Scope, id: SecretId) -> Result<Option<Secret>>;

    /// Returns the secret with this name (case-insensitive). Its spelling can differ.
    async fn secret_named(&self, scope: &Scope, name: &SecretName) -> Result<Option<Secret>>;

    /// Returns the replaced versions of a secret, newest first, at most 1,000.
    async fn history(&self, scope: &Scope, id: SecretId) -> Result<Vec<OldVersion>>;
}

/// The outcome of a creation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Created {
    /// The creation took effect.
    Created,
    /// The idempotency key is known. Nothing was changed.
    Replayed(IdempotencyRecord),
}

// Each write is one transaction with its audit record and a check that the scope's membership still
// holds. If it does not, the write returns Error::NotFound and changes nothing.

/// Creates secrets.
#[async_trait(?Send)]
pub trait CreateSecrets {
    /// Creates all secrets or none. Each is put only if its id and name are unused, and their
    /// number is added to the scope's count. Returns
    /// [`Error::AlreadyExists`](crate::Error::AlreadyExists) with the first name that is used, and
    /// [`Error::LimitExceeded`](crate::Error::LimitExceeded) if the scope would exceed its limit.
    async fn create_secrets(
        &self,
        scope: &Scope,
        secrets: &[(Secret, SealedValue)],
        idempotency: Option<&Idempotency>,
        audit: &AuditRecord,
    ) -> Result<Created>;
}

/// Updates the values of secrets.
#[async_trait(?Send)]
pub trait UpdateSecrets {
    /// Writes a new version over version `secret.version - 1`, which it adds to the history.
    /// Returns [`Error::VersionConflict`](crate::Error::VersionConflict) if that is not the current
    /// version, and [`Error::NotFound`](crate::Error::NotFound) if the secret does not exist.
    async fn update_secret(
        &self,
        scope: &Scope,
        secret: &Secret,
        sealed: &SealedValue,
        replaced: &OldVersion,
        audit: &AuditRecord,
    ) -> Result<()>;
}

/// Creates and updates secrets together.
#[async_trait(?Send)]
pub trait UpsertSecrets {
    /// Writes all secrets or none. Creates those that replace no version as
    /// [`CreateSecrets::create_secrets`] does, and only they count towards the limit. Updates the
    /// others as [`UpdateSecrets::update_secret`] does. Returns
    /// [`Error::VersionConflict`](crate::Error::VersionConflict) if a secret to update was changed
    /// or deleted, and the other errors of a creation.
    async fn upsert_secrets(
        &self,
        scope: &Scope,
        writes: &[SecretWrite],
        idempotency: Option<&Idempotency>,
        audit: &[AuditRecord],
    ) -> Result<Created>;
}

/// Deletes secrets.
#[async_trait(?Send)]
pub trait DeleteSecrets {
    /// Deletes this version of the secret, its value and its name row. Errors as in
    /// [`UpdateSecrets::update_secret`].
    async fn delete_secret(&self, scope: &Scope, secret: &Secret, audit: &AuditRecord) -> Result<()>;
}

/// Generates data keys. With this right alone, a function can seal values but not open them.
#[async_trait(?Send)]
pub trait GenerateDataKey {
    /// Generates a data key under the KMS key and this encryption context.
    async fn generate_data_key(&self, context: &EncryptionContext) -> Result<DataKey>;
}

/// Decrypts data keys.
#[async_trait(?Send)]
pub trait DecryptDataKey {
    /// Returns the plaintext data key. Returns
    /// [`Error::EnvelopeRefused`](crate::Error::EnvelopeRefused) if KMS reports that ciphertext,
    /// context and key do not match.
    async fn decrypt_data_key(&self, encrypted: &[u8], context: &EncryptionContext) -> Result<PlainDataKey>;
}

/// Reads sealed values.
#[async_trait(?Send)]
pub trait ReadSealedValues {
    /// Returns the current sealed values of these secrets, in any order, without those that do not
    /// exist.
    async fn sealed_values(&self, secrets: &[(SecretOwner, SecretId)]) -> Result<Vec<SealedValue>>;

    /// Returns the current state of these secrets, without values, in any order, without those that
    /// do not exist. For runs whose launch was authorized to deliver exactly these secrets.
    async fn current_secrets(&self, secrets: &[(SecretOwner, SecretId)]) -> Result<Vec<Secret>>;
}

/// Reads the audit trail.
#[async_trait(?Send)]
pub trait ReadAudit {
    /// Returns at most `limit` records of the scope's trail in one month, newest first. The month
    /// is `yyyy-mm` in UTC; other forms are [`Error::Invalid`](crate::Error::Invalid).
    async fn audit(&self, scope: &Scope, month: &str, limit: u32) -> Result<Vec<AuditRecord>>;
}
