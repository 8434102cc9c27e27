//! Calls that exceed the permissions of each function's role.

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use domain::envelope::Envelope;

use crate::{Error, Result, Stack};

/// The number of calls that IAM must deny.
pub(super) const EXPECTED: usize = 2 + FUNCTIONS.len() + 4;

const FUNCTIONS: [&str; 9] = [
    "authorizer",
    "identity",
    "read-secrets",
    "write-secrets",
    "launch-run",
    "claim-run",
    "report-run",
    "cleanup-run",
    "console",
];

/// The items that the roles try to access.
pub(super) struct Targets {
    /// The copy of a live run.
    pub(super) copy: String,
    /// The workspace whose secret the roles try to open.
    pub(super) scope: String,
}

/// Tries every role and returns the denied calls. A call that succeeds, or fails for another
/// reason, is not denied.
pub(super) async fn denied_calls(
    stack: &Stack,
    operator: &SdkConfig,
    targets: &Targets,
) -> Result<Vec<String>> {
    let sealed = Sealed::of(stack, operator, &targets.scope).await?;
    let mut denied = Vec::new();

    let opener = role(stack, "launch-run").await?;
    if let Err(code) = sealed.open(&opener).await {
        return Err(Error::answer("launch-run could not decrypt a secret that it may decrypt", &code));
    }
    for function in ["read-secrets", "write-secrets"] {
        let outcome = sealed.open(&role(stack, function).await?).await;
        note(&mut denied, function, "kms:Decrypt", outcome);
    }
    for function in FUNCTIONS {
        let secrets = aws_sdk_secretsmanager::Client::new(&role(stack, function).await?);
        let read = secrets.get_secret_value().secret_id(&targets.copy).send().await;
        note(&mut denied, function, "secretsmanager:GetSecretValue", read.map(drop).map_err(|e| code(&e)));
    }

    let cleaner = role(stack, "cleanup-run").await?;
    let kms = aws_sdk_kms::Client::new(&cleaner);
    note(&mut denied, "cleanup-run", "kms:Decrypt", sealed.open(&cleaner).await);
    let mut call = kms.generate_data_key().key_id(&sealed.key).key_spec(DataKeySpec::Aes256);
    for (name, value) in &sealed.context {
        call = call.encryption_context(name, value);
    }
    let generated = call.send().await.map(drop).map_err(|e| code(&e));
    note(&mut denied, "cleanup-run", "kms:GenerateDataKey", generated);
    let described = kms.describe_key().key_id(&sealed.key).send().await.map(drop).map_err(|e| code(&e));
    note(&mut denied, "cleanup-run", "kms:DescribeKey", described);

    let untagged = format!("{}-not-ours", targets.copy);
    let secrets = aws_sdk_secretsmanager::Client::new(operator);
    secrets
        .create_secret()
        .name(&untagged)
        .secret_string("untagged")
        .send()
        .await
        .map_err(|e| Error::answer("creating an untagged secret", &code(&e)))?;
    let deleted = aws_sdk_secretsmanager::Client::new(&cleaner)
        .delete_secret()
        .secret_id(&untagged)
        .force_delete_without_recovery(true)
        .send()
        .await;
    note(
        &mut denied,
        "cleanup-run",
        "secretsmanager:DeleteSecret (secret without the deployment's tag)",
        deleted.map(drop).map_err(|e| code(&e)),
    );
    secrets
        .delete_secret()
        .secret_id(&untagged)
        .force_delete_without_recovery(true)
        .send()
        .await
        .map_err(|e| Error::answer("removing the untagged secret", &code(&e)))?;
    Ok(denied)
}

fn note(denied: &mut Vec<String>, function: &str, call: &str, outcome: std::result::Result<(), String>) {
    if outcome.is_err_and(|code| code.contains("AccessDenied")) {
        denied.push(format!("{function} {call}"));
    }
}

fn code<E: aws_sdk_kms::error::ProvideErrorMetadata>(error: &E) -> String {
    error.code().unwrap_or("no code").to_owned()
}

async fn role(stack: &Stack, function: &str) -> Result<SdkConfig> {
    let credentials = stack.credentials(function).await?;
    Ok(stack.sdk_config(&credentials).await)
}

/// The encrypted data key of a stored secret and its encryption context, so that only IAM can be
/// the reason for a denial.
struct Sealed {
    key: String,
    encrypted: Vec<u8>,
    context: Vec<(String, String)>,
}

impl Sealed {
    async fn of(stack: &Stack, operator: &SdkConfig, scope: &str) -> Result<Self> {
        let rows = aws_sdk_dynamodb::Client::new(operator)
            .query()
            .table_name(stack.output("TableName")?)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(format!("SECRETS#{scope}")))
            .send()
            .await
            .map_err(|e| Error::answer("reading the table", &code(&e)))?;
        let missing = || Error::answer("the table", &"no secret in the expected format was found");
        let text = |name: &'static str, prefix: &str| {
            rows.items().iter().find_map(|row| {
                let sort_key = row.get("sk")?.as_s().ok()?;
                let id = sort_key.strip_prefix(prefix)?;
                Some((id.to_owned(), row.get(name)?.clone()))
            })
        };
        let (id, envelope) = text("envelope", "VALUE#").ok_or_else(missing)?;
        let envelope = envelope.as_b().map_err(|_| missing())?.as_ref().to_vec();
        let (_, name) = text("name", &format!("SECRET#{id}")).ok_or_else(missing)?;
        let name = name.as_s().map_err(|_| missing())?.clone();
        let envelope = Envelope::parse(&envelope).map_err(|_| missing())?;
        let context = [
            ("deployment", stack.name()),
            ("name", &name),
            ("scope", scope),
            ("secret", &id),
            ("version", "1"),
        ];
        Ok(Self {
            key: stack.output("EnvelopeKeyArn")?.to_owned(),
            encrypted: envelope.encrypted_key().to_vec(),
            context: context.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        })
    }

    async fn open(&self, role: &SdkConfig) -> std::result::Result<(), String> {
        let mut call = aws_sdk_kms::Client::new(role)
            .decrypt()
            .key_id(&self.key)
            .ciphertext_blob(Blob::new(self.encrypted.clone()));
        for (name, value) in &self.context {
            call = call.encryption_context(name, value);
        }
        call.send().await.map(drop).map_err(|error| code(&error))
    }
}
