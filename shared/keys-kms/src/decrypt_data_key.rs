//! `Decrypt`: the permission to open.

use async_trait::async_trait;
use aws_failures::Failure;
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::EncryptionAlgorithmSpec;
use domain::envelope::{EncryptionContext, PlainDataKey};
use domain::ports::DecryptDataKey;
use domain::{Error, Result};

use crate::{encryption_context, errors, plain_data_key, warm};

/// Decrypts only data keys that are encrypted under the envelope key.
#[derive(Clone, Debug)]
pub struct KmsOpener {
    client: Client,
    key: String,
}

impl KmsOpener {
    /// Creates an opener for the envelope key with this ARN.
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
impl DecryptDataKey for KmsOpener {
    async fn decrypt_data_key(&self, encrypted: &[u8], context: &EncryptionContext) -> Result<PlainDataKey> {
        // Always name the key: otherwise KMS uses the key that the ciphertext names.
        // https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
        let answer = self
            .client
            .decrypt()
            .key_id(&self.key)
            .encryption_algorithm(EncryptionAlgorithmSpec::SymmetricDefault)
            .ciphertext_blob(Blob::new(encrypted))
            .set_encryption_context(Some(encryption_context(context)))
            .send()
            .await
            .map_err(|error| errors::of_decrypt(&error))?;
        match answer.plaintext {
            None => Err(Error::unavailable("kms Decrypt", Failure::incomplete(None))),
            // Our data keys have 32 bytes: KMS decrypted something that is not an envelope's data
            // key.
            plaintext => plain_data_key(plaintext).ok_or(Error::EnvelopeRefused),
        }
    }
}
