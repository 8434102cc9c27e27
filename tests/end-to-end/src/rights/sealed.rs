//! A stored secret's encrypted data key, with the context that opens it: so that a refusal is IAM's alone.

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kms::error::ProvideErrorMetadata;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use domain::envelope::Envelope;

use crate::rights::Outcome;

/// A data key as a row keeps it.
#[derive(Clone)]
pub struct Sealed {
    /// The envelope key.
    pub key: String,
    /// The encrypted data key.
    pub encrypted: Vec<u8>,
    /// What it was made under.
    pub context: Vec<(String, String)>,
}

/// What became of a call: the error's code where it failed.
pub type CallResult = Result<(), String>;

/// The outcome of an SDK call, by its error's code.
pub fn tried<T, E: ProvideErrorMetadata>(answer: Result<T, E>) -> CallResult {
    answer.map(drop).map_err(|error| error.code().unwrap_or("no code").to_owned())
}

impl Sealed {
    /// The data key of the first version of a secret.
    pub async fn of(
        operator: &SdkConfig,
        (key, table, deployment): (&str, &str, &str),
        (scope, secret, name): (&str, i64, &str),
    ) -> Outcome<Self> {
        let row = aws_sdk_dynamodb::Client::new(operator).get_item().table_name(table);
        let row = row.key("pk", AttributeValue::S(format!("SECRETS#{scope}")));
        let row = row.key("sk", AttributeValue::S(format!("VALUE#{secret}"))).send().await?;
        let row = row.item.ok_or("no such value")?;
        let envelope = row["envelope"].as_b().map_err(|_| "the envelope is no bytes")?;
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

    /// The same data key, asked for with another deployment's name.
    #[must_use]
    pub fn of_deployment(&self, deployment: &str) -> Self {
        let mut other = self.clone();
        if let Some(entry) = other.context.iter_mut().find(|(name, _)| name == "deployment") {
            deployment.clone_into(&mut entry.1);
        }
        other
    }

    /// `kms:Decrypt`.
    pub async fn open(&self, role: &SdkConfig) -> CallResult {
        let call = aws_sdk_kms::Client::new(role).decrypt().key_id(&self.key);
        let call = call.ciphertext_blob(Blob::new(self.encrypted.clone()));
        tried(call.set_encryption_context(Some(self.context.iter().cloned().collect())).send().await)
    }

    /// `kms:GenerateDataKey` under the same context.
    pub async fn generate(&self, role: &SdkConfig) -> CallResult {
        let call = aws_sdk_kms::Client::new(role).generate_data_key().key_id(&self.key);
        let call = call.key_spec(DataKeySpec::Aes256);
        tried(call.set_encryption_context(Some(self.context.iter().cloned().collect())).send().await)
    }

    /// Every other use of a key.
    pub async fn other_uses(&self, role: &SdkConfig) -> Vec<(&'static str, CallResult)> {
        let kms = aws_sdk_kms::Client::new(role);
        let context = || Some(self.context.iter().cloned().collect());
        let plain = || Blob::new(b"text".to_vec());
        let encrypt = kms.encrypt().key_id(&self.key).plaintext(plain()).set_encryption_context(context());
        let without = kms.generate_data_key_without_plaintext().key_id(&self.key);
        let without = without.key_spec(DataKeySpec::Aes256).set_encryption_context(context());
        let again = kms.re_encrypt().ciphertext_blob(Blob::new(self.encrypted.clone()));
        let again = again.source_key_id(&self.key).set_source_encryption_context(context());
        let again = again.destination_key_id(&self.key);
        let grant =
            kms.create_grant().key_id(&self.key).grantee_principal("arn:aws:iam::123456789012:role/any");
        let grant = grant.operations(aws_sdk_kms::types::GrantOperation::Decrypt);
        vec![
            ("kms:Encrypt", tried(encrypt.send().await)),
            ("kms:GenerateDataKeyWithoutPlaintext", tried(without.send().await)),
            ("kms:ReEncrypt", tried(again.send().await)),
            ("kms:CreateGrant", tried(grant.send().await)),
        ]
    }

    /// What administrators may do and no function.
    pub async fn management(&self, role: &SdkConfig) -> Vec<(&'static str, CallResult)> {
        let kms = aws_sdk_kms::Client::new(role);
        let policy = kms.put_key_policy().key_id(&self.key).policy("{}");
        vec![
            ("kms:PutKeyPolicy", tried(policy.send().await)),
            ("kms:DisableKey", tried(kms.disable_key().key_id(&self.key).send().await)),
            ("kms:ScheduleKeyDeletion", tried(kms.schedule_key_deletion().key_id(&self.key).send().await)),
        ]
    }
}
