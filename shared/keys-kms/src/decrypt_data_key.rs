//! `Decrypt`: the right to open.

use async_trait::async_trait;
use aws_failures::Failure;
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::EncryptionAlgorithmSpec;
use domain::envelope::{EncryptionContext, PlainDataKey};
use domain::ports::DecryptDataKey;
use domain::{Error, Result};

use crate::{encryption_context, errors, plain_data_key, warm};

/// Decrypts data keys of the envelope key, and of no other.
#[derive(Clone, Debug)]
pub struct KmsOpener {
    client: Client,
    key: String,
}

impl KmsOpener {
    /// Opens what was sealed under this key, named by its ARN.
    #[must_use]
    pub fn new(client: Client, key: impl Into<String>) -> Self {
        Self { client, key: key.into() }
    }

    /// Opens the connection with a cheap call, `kms:DescribeKey` on the envelope key. A refusal warms as well.
    pub async fn warm(&self) -> Result<()> {
        warm(&self.client, &self.key).await
    }
}

#[async_trait(?Send)]
impl DecryptDataKey for KmsOpener {
    async fn decrypt_data_key(&self, encrypted: &[u8], context: &EncryptionContext) -> Result<PlainDataKey> {
        // The key is always named: without it KMS takes whichever key the ciphertext claims.
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
            // Ours have 32 bytes: KMS opened something that was never a data key of an envelope.
            plaintext => plain_data_key(plaintext).ok_or(Error::EnvelopeRefused),
        }
    }
}
