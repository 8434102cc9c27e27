//! `GenerateDataKey`: the permission to seal.

use async_trait::async_trait;
use aws_failures::Failure;
use aws_sdk_kms::Client;
use aws_sdk_kms::types::DataKeySpec;
use domain::envelope::{DataKey, EncryptionContext};
use domain::ports::GenerateDataKey;
use domain::{Error, Result};

use crate::{encryption_context, errors, plain_data_key, warm};

/// Generates data keys under the envelope key. It cannot decrypt them.
#[derive(Clone, Debug)]
pub struct KmsSealer {
    client: Client,
    key: String,
}

impl KmsSealer {
    /// Creates a sealer for the envelope key with this ARN.
    #[must_use]
    pub fn new(client: Client, key: impl Into<String>) -> Self {
        Self { client, key: key.into() }
    }

    /// Warms up the connection with a cheap call, `kms:DescribeKey` on the envelope key. An error
    /// response warms it up too.
    pub async fn warm(&self) -> Result<()> {
        warm(&self.client, &self.key).await
    }
}

#[async_trait(?Send)]
impl GenerateDataKey for KmsSealer {
    async fn generate_data_key(&self, context: &EncryptionContext) -> Result<DataKey> {
        let answer = self
            .client
            .generate_data_key()
            .key_id(&self.key)
            .key_spec(DataKeySpec::Aes256)
            .set_encryption_context(Some(encryption_context(context)))
            .send()
            .await
            .map_err(|error| errors::of_generate(&error))?;
        let plain = plain_data_key(answer.plaintext);
        let encrypted = answer.ciphertext_blob.map(aws_sdk_kms::primitives::Blob::into_inner);
        match (plain, encrypted) {
            (Some(plain), Some(encrypted)) => Ok(DataKey { plain, encrypted }),
            _ => Err(Error::unavailable("kms GenerateDataKey", Failure::incomplete(None))),
        }
    }
}
