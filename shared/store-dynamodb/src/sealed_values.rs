//! Reading sealed values, and the small rows of secrets that a launch chose.

use domain::Result;
use domain::ids::SecretId;
use domain::owner::SecretOwner;
use domain::ports::ReadSealedValues;
use domain::secret::{SealedValue, Secret};

use crate::Store;
use crate::keys::Key;
use crate::rows::{sealed_from, secret_from};

impl ReadSealedValues for Store {
    async fn sealed_values(&self, secrets: &[(SecretOwner, SecretId)]) -> Result<Vec<SealedValue>> {
        let rows = self.get_many(&keys(secrets, Key::value)).await?;
        rows.iter().map(sealed_from).collect()
    }

    async fn current_secrets(&self, secrets: &[(SecretOwner, SecretId)]) -> Result<Vec<Secret>> {
        let rows = self.get_many(&keys(secrets, Key::secret)).await?;
        rows.iter().map(secret_from).collect()
    }
}

/// Each key once: DynamoDB refuses a batch that names a row twice.
fn keys(secrets: &[(SecretOwner, SecretId)], key: fn(SecretOwner, SecretId) -> Key) -> Vec<Key> {
    let mut keys: Vec<_> = secrets.iter().map(|&(owner, id)| key(owner, id)).collect();
    keys.sort();
    keys.dedup();
    keys
}
