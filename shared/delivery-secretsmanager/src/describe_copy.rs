//! `DescribeSecret`: metadata and tags, never the value.

use aws_failures::unavailable;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretError;
use domain::Result;
use domain::ports::CopyStatus;

use crate::decode;

/// A secret that is scheduled for deletion is still found. It is deleted once Secrets Manager no
/// longer finds it.
pub(crate) async fn describe(client: &Client, name: &str) -> Result<CopyStatus> {
    match client.describe_secret().secret_id(name).send().await {
        Ok(secret) => {
            let tags = decode(secret.tags());
            Ok(CopyStatus::Found { deployment: tags.deployment, run: tags.run })
        }
        Err(error) => match error.as_service_error() {
            Some(DescribeSecretError::ResourceNotFoundException(_)) => Ok(CopyStatus::Gone),
            _ => Err(unavailable("secretsmanager DescribeSecret", &error)),
        },
    }
}
