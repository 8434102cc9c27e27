//! Maps KMS errors to domain errors. Throttles and KMS failures arrive here after the SDK's
//! retries.

use aws_failures::Failure;
use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::operation::decrypt::DecryptError;
use aws_sdk_kms::operation::generate_data_key::GenerateDataKeyError;
use domain::Error;

pub(crate) fn of_generate(error: &SdkError<GenerateDataKeyError, HttpResponse>) -> Error {
    use GenerateDataKeyError as E;
    match error.as_service_error() {
        Some(E::DisabledException(_)) => DISABLED,
        Some(E::NotFoundException(_)) => NOT_FOUND,
        Some(E::InvalidKeyUsageException(_)) => WRONG_USAGE,
        Some(E::KmsInvalidStateException(refusal)) => invalid_state(refusal.message()),
        _ => denied_or_unavailable("kms GenerateDataKey", error),
    }
}

pub(crate) fn of_decrypt(error: &SdkError<DecryptError, HttpResponse>) -> Error {
    use DecryptError as E;
    match error.as_service_error() {
        Some(E::InvalidCiphertextException(_) | E::IncorrectKeyException(_)) => Error::EnvelopeRefused,
        Some(E::DisabledException(_)) => DISABLED,
        Some(E::NotFoundException(_)) => NOT_FOUND,
        Some(E::InvalidKeyUsageException(_)) => WRONG_USAGE,
        Some(E::KmsInvalidStateException(refusal)) => invalid_state(refusal.message()),
        _ => denied_or_unavailable("kms Decrypt", error),
    }
}

const DISABLED: Error = unusable("Disabled");
const NOT_FOUND: Error = unusable("NotFound");
const WRONG_USAGE: Error = unusable("InvalidKeyUsage");

const fn unusable(state: &'static str) -> Error {
    Error::KeyUnusable { state }
}

/// A revoked permission and a key policy without our role are reported like a key state: operators
/// must fix them.
fn denied_or_unavailable<E: ProvideErrorMetadata>(
    operation: &'static str,
    error: &SdkError<E, HttpResponse>,
) -> Error {
    let failure = Failure::of(error);
    if failure.is_denied() {
        return unusable("AccessDenied");
    }
    Error::unavailable(operation, failure)
}

/// Only KMS's message names the state ("… is pending deletion."). The message itself is not passed
/// on, because it names the key.
/// <https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html>
fn invalid_state(message: Option<&str>) -> Error {
    let message = message.unwrap_or_default().to_ascii_lowercase();
    let states = [
        ("pending deletion", "PendingDeletion"),
        ("pending replica deletion", "PendingReplicaDeletion"),
        ("pending import", "PendingImport"),
        ("unavailable", "Unavailable"),
        ("disabled", "Disabled"),
    ];
    let known = states.iter().find(|(words, _)| message.contains(words));
    unusable(known.map_or("InvalidState", |(_, state)| state))
}
