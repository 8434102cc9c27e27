//! The copies of runs in AWS Secrets Manager: one type that makes them and one that removes them.
//!
//! Nothing here can read a copy: the operation that would is not called anywhere, and no role has the right to.

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

/// Whether an `InvalidRequestException` says that the secret waits for its deletion: the exception has other meanings,
/// and only the message tells them apart.
fn is_scheduled_for_deletion(message: Option<&str>) -> bool {
    let message = message.unwrap_or_default().to_ascii_lowercase();
    message.contains("scheduled for deletion") || message.contains("marked for deletion")
}
