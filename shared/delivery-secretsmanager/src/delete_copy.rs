//! `DeleteSecret`, without a recovery window.

use aws_failures::unavailable;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::delete_secret::DeleteSecretError;
use domain::Result;

/// IAM lets this role delete only secrets with our deployment's tag, and the use case compares the
/// tags before it calls this. Secrets Manager deletes a secret some time after it answers, and a
/// forced delete of a missing name succeeds too. Only `DescribeSecret` shows the result.
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html>
pub(crate) async fn delete(client: &Client, name: &str) -> Result<()> {
    let answer = client.delete_secret().secret_id(name).force_delete_without_recovery(true).send().await;
    let Err(error) = answer else {
        return Ok(());
    };
    match error.as_service_error() {
        // Deleted or scheduled for deletion: the caller's next `DescribeSecret` shows which.
        Some(DeleteSecretError::ResourceNotFoundException(_)) => Ok(()),
        Some(DeleteSecretError::InvalidRequestException(refusal))
            if crate::is_scheduled_for_deletion(refusal.message()) =>
        {
            Ok(())
        }
        _ => Err(unavailable("secretsmanager DeleteSecret", &error)),
    }
}
