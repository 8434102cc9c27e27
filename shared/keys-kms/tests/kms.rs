//! The KMS adapter through the real SDK, against scripted answers.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use aws_failures::fake::{ATTEMPTS, Answer, FakeAws, printed};
use domain::Error;
use domain::envelope::{EncryptionContext, Envelope, seal};
use domain::ids::SecretId;
use domain::name::SecretName;
use domain::ports::{DecryptDataKey, GenerateDataKey, Randomness};
use domain::value::SecretValue;
use keys_kms::{KmsOpener, KmsSealer};
use serde_json::{Value, json};

const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
/// 32 × `K`.
const PLAIN: &str = "S0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0s=";

fn context() -> EncryptionContext {
    EncryptionContext {
        deployment: "prod".into(),
        owner: "WS#42".parse().unwrap(),
        secret: SecretId::new(7).unwrap(),
        name: SecretName::parse("NCBI_API_KEY").unwrap(),
        version: 3,
    }
}

fn context_json() -> Value {
    json!({ "deployment": "prod", "name": "NCBI_API_KEY", "scope": "WS#42", "secret": "7", "version": "3" })
}

fn sealer(aws: &FakeAws) -> KmsSealer {
    KmsSealer::new(aws_sdk_kms::Client::new(&aws.sdk_config()), KEY)
}

fn opener(aws: &FakeAws) -> KmsOpener {
    KmsOpener::new(aws_sdk_kms::Client::new(&aws.sdk_config()), KEY)
}

struct AllNines;
impl Randomness for AllNines {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(9);
    }
}

#[tokio::test(start_paused = true)]
async fn a_data_key_is_requested_with_the_whole_encryption_context() {
    let aws = FakeAws::answering([Answer::ok(
        json!({ "CiphertextBlob": "AQID", "Plaintext": PLAIN, "KeyId": KEY }),
    )]);
    let key = sealer(&aws).generate_data_key(&context()).await.unwrap();
    assert_eq!(key.encrypted, [1, 2, 3]);
    let request = &aws.seen()[0];
    assert_eq!(request.operation, "GenerateDataKey");
    assert_eq!(
        request.body,
        json!({ "KeyId": KEY, "KeySpec": "AES_256", "EncryptionContext": context_json() })
    );
}

#[tokio::test(start_paused = true)]
async fn a_data_key_is_decrypted_under_the_named_key_and_context_only() {
    let aws = FakeAws::answering([Answer::ok(json!({ "Plaintext": PLAIN, "KeyId": KEY }))]);
    opener(&aws).decrypt_data_key(&[1, 2, 3], &context()).await.unwrap();
    let request = &aws.seen()[0];
    assert_eq!(request.operation, "Decrypt");
    assert_eq!(
        request.body,
        json!({
            "KeyId": KEY,
            "CiphertextBlob": "AQID",
            "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "EncryptionContext": context_json(),
        })
    );
}

#[tokio::test(start_paused = true)]
async fn the_opener_opens_what_the_sealer_sealed() {
    let aws = FakeAws::answering([Answer::ok(
        json!({ "CiphertextBlob": "AQID", "Plaintext": PLAIN, "KeyId": KEY }),
    )]);
    let value = SecretValue::new("v".to_owned().into()).unwrap();
    let key = sealer(&aws).generate_data_key(&context()).await.unwrap();
    let sealed = seal(&value, &context(), &key, &AllNines).unwrap();
    let envelope = Envelope::parse(&sealed).unwrap();
    let key = opener(&aws).decrypt_data_key(envelope.encrypted_key(), &context()).await.unwrap();
    assert_eq!(envelope.open(&context(), &key).unwrap().expose(), "v");
}

/// The code and state of an error.
fn summary(error: &Error) -> String {
    match error {
        Error::KeyUnusable { state } => format!("key-unusable {state}"),
        error => error.code().to_owned(),
    }
}

/// KMS's answer, the domain error, and the number of calls by the SDK.
type Row = (u16, &'static str, &'static str, &'static str, u32);

const COMMON: [Row; 13] = [
    (400, "DisabledException", "", "key-unusable Disabled", 1),
    (400, "NotFoundException", "", "key-unusable NotFound", 1),
    (400, "InvalidKeyUsageException", "", "key-unusable InvalidKeyUsage", 1),
    (400, "KMSInvalidStateException", "arn:x is pending deletion.", "key-unusable PendingDeletion", 1),
    (400, "KMSInvalidStateException", "arn:x is pending import.", "key-unusable PendingImport", 1),
    (400, "KMSInvalidStateException", "canary", "key-unusable InvalidState", 1),
    (400, "AccessDeniedException", "canary", "key-unusable AccessDenied", 1),
    (400, "ThrottlingException", "Rate exceeded", "unavailable", ATTEMPTS),
    (400, "LimitExceededException", "", "unavailable", ATTEMPTS),
    (503, "DependencyTimeoutException", "", "unavailable", ATTEMPTS),
    (500, "KMSInternalException", "", "unavailable", ATTEMPTS),
    (500, "KeyUnavailableException", "", "unavailable", ATTEMPTS),
    (400, "ValidationException", "canary", "unavailable", 1),
];

const DECRYPT: [Row; 2] = [
    (400, "InvalidCiphertextException", "canary", "envelope-refused", 1),
    (400, "IncorrectKeyException", "canary", "envelope-refused", 1),
];

#[tokio::test(start_paused = true)]
async fn every_generate_error_maps_to_a_domain_error_after_bounded_retries() {
    for (status, code, message, expected, calls) in COMMON {
        let aws = FakeAws::answering([Answer::error(status, code, message)]);
        let error = sealer(&aws).generate_data_key(&context()).await.err().unwrap();
        assert_eq!((summary(&error).as_str(), aws.seen().len()), (expected, calls as usize), "{code}");
        assert!(!printed(&error).contains("canary"), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_decrypt_error_maps_to_a_domain_error_after_bounded_retries() {
    for (status, code, message, expected, calls) in COMMON.into_iter().chain(DECRYPT) {
        let aws = FakeAws::answering([Answer::error(status, code, message)]);
        let error = opener(&aws).decrypt_data_key(&[1], &context()).await.err().unwrap();
        assert_eq!((summary(&error).as_str(), aws.seen().len()), (expected, calls as usize), "{code}");
        assert!(!printed(&error).contains("canary"), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttle_and_a_lost_answer_are_retried() {
    let aws = FakeAws::answering([
        Answer::error(400, "ThrottlingException", ""),
        Answer::Lost,
        Answer::ok(json!({ "Plaintext": PLAIN })),
    ]);
    opener(&aws).decrypt_data_key(&[1], &context()).await.unwrap();
    assert_eq!(aws.seen().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_key_in_a_malformed_answer_appears_in_no_error() {
    for body in [format!(r#"{{"Plaintext":"{PLAIN}""#), format!(r#"{{"Plaintext":["{PLAIN}"]}}"#)] {
        let aws = FakeAws::answering([Answer::Reply(200, body)]);
        let error = opener(&aws).decrypt_data_key(&[1], &context()).await.err().unwrap();
        assert_eq!(error.code(), "unavailable");
        let text = printed(&error);
        assert!(!text.contains(&PLAIN[..8]), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_32_byte_key_is_an_error() {
    let aws = FakeAws::answering([Answer::ok(json!({ "KeyId": KEY }))]);
    assert_eq!(summary(&opener(&aws).decrypt_data_key(&[1], &context()).await.err().unwrap()), "unavailable");
    assert_eq!(summary(&sealer(&aws).generate_data_key(&context()).await.err().unwrap()), "unavailable");
    let aws = FakeAws::answering([Answer::ok(json!({ "Plaintext": "S0s=", "CiphertextBlob": "AQID" }))]);
    assert_eq!(
        summary(&opener(&aws).decrypt_data_key(&[1], &context()).await.err().unwrap()),
        "envelope-refused"
    );
    assert_eq!(summary(&sealer(&aws).generate_data_key(&context()).await.err().unwrap()), "unavailable");
}

#[tokio::test(start_paused = true)]
async fn warm_up_describes_the_key_and_decrypts_nothing() {
    let aws = FakeAws::answering([Answer::ok(json!({ "KeyMetadata": { "KeyId": "k" } }))]);
    sealer(&aws).warm().await.unwrap();
    opener(&aws).warm().await.unwrap();
    let operations: Vec<_> = aws.seen().into_iter().map(|seen| seen.operation).collect();
    assert_eq!(operations, ["DescribeKey", "DescribeKey"]);
}
