//! The copies of runs in AWS Secrets Manager: one type creates them and another removes them.
//!
//! Nothing here can read a copy's value: no code calls `GetSecretValue`, and no role has the
//! permission.

mod create_copy;
mod delete_copy;
mod describe_copy;
mod list_copies;
mod remover;

pub use create_copy::CopyMaker;
pub use remover::CopyRemover;

use aws_sdk_secretsmanager::types::Tag;
use domain::copies::FoundTags;

fn decode(tags: &[Tag]) -> FoundTags {
    FoundTags::decode(tags.iter().filter_map(|tag| tag.key().zip(tag.value())))
}

/// Whether an `InvalidRequestException` means that the secret is scheduled for deletion. The
/// exception has other meanings too, and only the message distinguishes them.
fn is_scheduled_for_deletion(message: Option<&str>) -> bool {
    let message = message.unwrap_or_default().to_ascii_lowercase();
    message.contains("scheduled for deletion") || message.contains("marked for deletion")
}
