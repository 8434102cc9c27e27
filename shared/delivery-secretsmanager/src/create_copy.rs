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

/// Creates copies. It cannot read, change or delete them.
#[derive(Clone, Debug)]
pub struct CopyMaker {
    client: Client,
    key: Option<String>,
}

impl CopyMaker {
    /// Creates copies that Secrets Manager encrypts under this KMS key (id, ARN or alias), or under
    /// `aws/secretsmanager` if it is `None`.
    #[must_use]
    pub fn new(client: Client, key: Option<String>) -> Self {
        Self { client, key }
    }

    /// Warms up the connection with a cheap call, `secretsmanager:DescribeSecret` on this name.
    /// Choose a name that the deployment may describe (`tower-<prefix>`) and that no run uses. An
    /// error response warms it up too.
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
            // Moved, not copied: from here on, only the SDK's request holds the text, and it frees
            // it with the call. The SDK sends the same ClientRequestToken in every attempt. If an
            // answer is lost, Secrets Manager recognizes the retry by its token and value, and the
            // retry succeeds.
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

/// An exhausted quota and a missing permission are [`Error::Unavailable`]: operators can fix them,
/// callers cannot.
fn refused(error: &SdkError<CreateSecretError, HttpResponse>) -> Error {
    let taken = || Error::Conflict("A secret with the name of the run's copy already exists.".into());
    match error.as_service_error() {
        Some(CreateSecretError::ResourceExistsException(_)) => taken(),
        Some(CreateSecretError::InvalidRequestException(refusal))
            if crate::is_scheduled_for_deletion(refusal.message()) =>
        {
            taken()
        }
        _ => {
            let failure = Failure::of(error);
            // Secrets Manager limits calls that change secrets to 50 per second and account. Many
            // simultaneous launches reach this limit, and their clients are asked to retry later.
            // https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
            if failure.is_throttle() { Error::Contended } else { Error::unavailable(OPERATION, failure) }
        }
    }
}
