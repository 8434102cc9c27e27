//! A stored secret's encrypted data key with its correct encryption context, so that only IAM can
//! deny its use.

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kms::error::ProvideErrorMetadata;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use domain::envelope::Envelope;

use crate::rights::Outcome;

/// An encrypted data key from a row.
#[derive(Clone)]
pub struct Sealed {
    /// The ARN of the envelope key.
    pub key: String,
    /// The encrypted data key.
    pub encrypted: Vec<u8>,
    /// The encryption context.
    pub context: Vec<(String, String)>,
}

/// The result of a call, or its error code.
pub type CallResult = Result<(), String>;

/// Converts the result of an SDK call.
pub fn call_result<T, E: ProvideErrorMetadata>(answer: Result<T, E>) -> CallResult {
    answer.map(drop).map_err(|error| error.code().unwrap_or("no code").to_owned())
}

impl Sealed {
    /// Reads the data key of the first version of a secret.
    pub async fn of(
        operator: &SdkConfig,
        (key, table, deployment): (&str, &str, &str),
        (scope, secret, name): (&str, i64, &str),
    ) -> Outcome<Self> {
        let row = aws_sdk_dynamodb::Client::new(operator).get_item().table_name(table);
        let row = row.key("pk", AttributeValue::S(format!("SECRETS#{scope}")));
        let row = row.key("sk", AttributeValue::S(format!("VALUE#{secret}"))).send().await?;
        let row = row.item.ok_or("no such value")?;
        let envelope = row["envelope"].as_b().map_err(|_| "the envelope is not binary")?;
        let encrypted = Envelope::parse(envelope.as_ref())?.encrypted_key().to_vec();
        let secret = secret.to_string();
        let context = [
            ("deployment", deployment),
            ("name", name),
            ("scope", scope),
            ("secret", &secret),
            ("version", "1"),
        ];
        let context = context.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Ok(Self { key: key.to_owned(), encrypted, context })
    }

    /// Returns the same data key with another deployment in its encryption context.
    #[must_use]
    pub fn of_deployment(&self, deployment: &str) -> Self {
        let mut other = self.clone();
        if let Some(entry) = other.context.iter_mut().find(|(name, _)| name == "deployment") {
            deployment.clone_into(&mut entry.1);
        }
        other
    }

    /// Calls `kms:Decrypt`.
    pub async fn open(&self, role: &SdkConfig) -> CallResult {
        let call = aws_sdk_kms::Client::new(role).decrypt().key_id(&self.key);
        let call = call.ciphertext_blob(Blob::new(self.encrypted.clone()));
        call_result(call.set_encryption_context(Some(self.context.iter().cloned().collect())).send().await)
    }

    /// Calls `kms:GenerateDataKey` with the same context.
    pub async fn generate(&self, role: &SdkConfig) -> CallResult {
        let call = aws_sdk_kms::Client::new(role).generate_data_key().key_id(&self.key);
        let call = call.key_spec(DataKeySpec::Aes256);
        call_result(call.set_encryption_context(Some(self.context.iter().cloned().collect())).send().await)
    }

    /// Calls every other cryptographic operation.
    pub async fn other_uses(&self, role: &SdkConfig) -> Vec<(&'static str, CallResult)> {
        let kms = aws_sdk_kms::Client::new(role);
        let context = || Some(self.context.iter().cloned().collect());
        let plain = || Blob::new(b"text".to_vec());
        let encrypt = kms.encrypt().key_id(&self.key).plaintext(plain()).set_encryption_context(context());
        let without = kms.generate_data_key_without_plaintext().key_id(&self.key);
        let without = without.key_spec(DataKeySpec::Aes256).set_encryption_context(context());
        let re_encrypt = kms.re_encrypt().ciphertext_blob(Blob::new(self.encrypted.clone()));
        let re_encrypt = re_encrypt.source_key_id(&self.key).set_source_encryption_context(context());
        let re_encrypt = re_encrypt.destination_key_id(&self.key);
        let grant =
            kms.create_grant().key_id(&self.key).grantee_principal("arn:aws:iam::123456789012:role/any");
        let grant = grant.operations(aws_sdk_kms::types::GrantOperation::Decrypt);
        vec![
            ("kms:Encrypt", call_result(encrypt.send().await)),
            ("kms:GenerateDataKeyWithoutPlaintext", call_result(without.send().await)),
            ("kms:ReEncrypt", call_result(re_encrypt.send().await)),
            ("kms:CreateGrant", call_result(grant.send().await)),
        ]
    }

    /// Calls key management operations, which no function may use.
    pub async fn management(&self, role: &SdkConfig) -> Vec<(&'static str, CallResult)> {
        let kms = aws_sdk_kms::Client::new(role);
        let policy = kms.put_key_policy().key_id(&self.key).policy("{}");
        vec![
            ("kms:PutKeyPolicy", call_result(policy.send().await)),
            ("kms:DisableKey", call_result(kms.disable_key().key_id(&self.key).send().await)),
            (
                "kms:ScheduleKeyDeletion",
                call_result(kms.schedule_key_deletion().key_id(&self.key).send().await),
            ),
        ]
    }
}
