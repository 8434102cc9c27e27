//! Data keys of AWS KMS: one type that makes them and one that decrypts them, as the key policy splits the rights.
//!
//! A data key in clear is zeroed wherever we hold it. The SDK keeps the answer's bytes, base64 within JSON, until the
//! call returns, and frees them unzeroed: that copy is out of reach.

mod decrypt_data_key;
mod errors;
mod generate_data_key;

pub use decrypt_data_key::KmsOpener;
pub use generate_data_key::KmsSealer;

use aws_sdk_kms::primitives::Blob;
use domain::envelope::{EncryptionContext, PlainDataKey};
use std::collections::HashMap;
use zeroize::Zeroizing;

/// The encryption context as the SDK takes it.
fn encryption_context(context: &EncryptionContext) -> HashMap<String, String> {
    context.pairs().into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Takes the key out of an answer; `None` where there is none of 32 bytes.
fn plain_data_key(plaintext: Option<Blob>) -> Option<PlainDataKey> {
    // The blob is the only holder of its bytes, so this moves them, and what is zeroed is the original.
    let bytes = Zeroizing::new(plaintext?.into_inner());
    PlainDataKey::new(&bytes)
}

/// The cheap call with which both warm their connection: its answer says nothing that is not in the template.
async fn warm(client: &aws_sdk_kms::Client, key: &str) -> domain::Result<()> {
    match client.describe_key().key_id(key).send().await {
        Ok(_) => Ok(()),
        Err(error) => Err(aws_failures::unavailable("kms DescribeKey", &error)),
    }
}
