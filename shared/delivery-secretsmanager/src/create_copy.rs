//! `CreateSecret`.

use async_trait::async_trait;
use aws_failures::Failure;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::SdkError;
use aws_sdk_secretsmanager::operation::create_secret::CreateSecretError;
use aws_sdk_secretsmanager::types::Tag;
use domain::copies::{CopyTags, RunCopy};
use domain::ports::CreateCopies;
use domain::{Error, Result};
use zeroize::Zeroizing;

const OPERATION: &str = "secretsmanager CreateSecret";

/// Makes copies. It can neither read, change nor delete one.
#[derive(Clone, Debug)]
pub struct CopyMaker {
    client: Client,
    key: Option<String>,
}

impl CopyMaker {
    /// Makes copies that Secrets Manager encrypts under this KMS key (id, ARN or alias), or under `aws/secretsmanager`
    /// where there is none.
    #[must_use]
    pub fn new(client: Client, key: Option<String>) -> Self {
        Self { client, key }
    }

    /// Opens the connection with a cheap call, `secretsmanager:DescribeSecret` on this name, which should be one that
    /// the deployment may describe (`tower-<prefix>`) and that no run has. A refusal warms as well.
    pub async fn warm(&self, name: &str) -> Result<()> {
        crate::describe_copy::describe(&self.client, name).await.map(drop)
    }
}

#[async_trait(?Send)]
impl CreateCopies for CopyMaker {
    async fn create_copy(
        &self,
        copy: &RunCopy,
        mut body: Zeroizing<String>,
        tags: &CopyTags,
    ) -> Result<String> {
        let answer = self
            .client
            .create_secret()
            .name(&copy.name)
            // Moved, not copied: the SDK's request is the only holder of the text from here on, and frees it with the
            // call. It adds a ClientRequestToken, the same in every attempt: where the answer to a creation was lost,
            // the repeat finds it by token and value and succeeds.
            // https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
            .secret_string(std::mem::take(&mut *body))
            .set_kms_key_id(self.key.clone())
            .set_tags(Some(aws_tags(tags)))
            .send()
            .await
            .map_err(|error| refused(&error))?;
        answer.arn.ok_or_else(|| Error::unavailable(OPERATION, Failure::incomplete(None)))
    }
}

fn aws_tags(tags: &CopyTags) -> Vec<Tag> {
    tags.encode().into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// A quota that is used up and a right that is missing are [`Error::Unavailable`]: operators can put them right, and no
/// caller can.
fn refused(error: &SdkError<CreateSecretError, HttpResponse>) -> Error {
    let taken = || Error::Conflict("The name of a run's copy is taken.".into());
    match error.as_service_error() {
        Some(CreateSecretError::ResourceExistsException(_)) => taken(),
        Some(CreateSecretError::InvalidRequestException(refusal))
            if crate::is_scheduled_for_deletion(refusal.message()) =>
        {
            taken()
        }
        _ => {
            let failure = Failure::of(error);
            // Calls that change secrets are limited to 50 a second in an account, so this is what many launches at
            // once run into, and what their callers are told to wait for.
            // https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
            if failure.is_throttle() { Error::Contended } else { Error::unavailable(OPERATION, failure) }
        }
    }
}
