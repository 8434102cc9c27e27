//! Data keys of AWS KMS: one type generates them and another decrypts them, as the key policy
//! separates the permissions.
//!
//! This crate zeroizes every plaintext data key that it holds. The SDK keeps the answer's bytes
//! (base64 in JSON) until the call returns and frees them without zeroizing: that copy is out of
//! reach.

mod decrypt_data_key;
mod errors;
mod generate_data_key;

pub use decrypt_data_key::KmsOpener;
pub use generate_data_key::KmsSealer;

use aws_sdk_kms::primitives::Blob;
use domain::envelope::{EncryptionContext, PlainDataKey};
use std::collections::HashMap;
use zeroize::Zeroizing;

fn encryption_context(context: &EncryptionContext) -> HashMap<String, String> {
    context.pairs().into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Takes the key out of an answer. Returns `None` unless it has 32 bytes.
fn plain_data_key(plaintext: Option<Blob>) -> Option<PlainDataKey> {
    // The blob is the only owner of its bytes, so this moves them and zeroizes the original.
    let bytes = Zeroizing::new(plaintext?.into_inner());
    PlainDataKey::new(&bytes)
}

/// The cheap call that warms up both connections. Its answer contains only what the template
/// already contains.
async fn warm(client: &aws_sdk_kms::Client, key: &str) -> domain::Result<()> {
    match client.describe_key().key_id(key).send().await {
        Ok(_) => Ok(()),
        Err(error) => Err(aws_failures::unavailable("kms DescribeKey", &error)),
    }
}
