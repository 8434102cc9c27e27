//! `DeleteSecret`, without a recovery window.

use aws_failures::unavailable;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::delete_secret::DeleteSecretError;
use domain::Result;

/// That only what carries our deployment's tag is deleted is a condition of this role's right to delete; the use case
/// has compared the tags before. Secrets Manager deletes some time after it answers, and a forced delete of a missing
/// name succeeds too, so only a look tells what became of it.
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html>
pub(crate) async fn delete(client: &Client, name: &str) -> Result<()> {
    let answer = client.delete_secret().secret_id(name).force_delete_without_recovery(true).send().await;
    let Err(error) = answer else {
        return Ok(());
    };
    match error.as_service_error() {
        // Gone already, or going: the caller's next look tells which.
        Some(DeleteSecretError::ResourceNotFoundException(_)) => Ok(()),
        Some(DeleteSecretError::InvalidRequestException(refusal))
            if crate::is_scheduled_for_deletion(refusal.message()) =>
        {
            Ok(())
        }
        _ => Err(unavailable("secretsmanager DeleteSecret", &error)),
    }
}
