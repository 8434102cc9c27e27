//! The copies of a run in AWS Secrets Manager.

use async_trait::async_trait;
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::Result;
use crate::copies::{CopyTags, RunCopy};
use crate::owner::SecretOwner;

/// Creates copies in AWS Secrets Manager.
#[async_trait(?Send)]
pub trait CreateCopies {
    /// Creates a copy with its tags and returns its ARN. Retries within the call have the same
    /// client request token, so that a retry after a lost answer finds the copy. Returns
    /// [`Error::Conflict`](crate::Error::Conflict) if another secret has this name.
    async fn create_copy(&self, copy: &RunCopy, body: Zeroizing<String>, tags: &CopyTags) -> Result<String>;
}

/// The secret under a copy's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CopyStatus {
    /// No secret has this name.
    Gone,
    /// A secret with these tags.
    Found {
        /// Its deployment tag.
        deployment: Option<String>,
        /// Its run tag.
        run: Option<String>,
    },
}

/// A copy that was found by its tags.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoundCopy {
    /// Its name.
    pub name: String,
    /// Its scope tag.
    pub scope: Option<SecretOwner>,
    /// Its run tag.
    pub run: Option<String>,
    /// Its latest end.
    pub not_after: Option<Timestamp>,
}

/// Finds and deletes copies, without the right to read them.
#[async_trait(?Send)]
pub trait RemoveCopies {
    /// Returns the secret under this name.
    async fn describe_copy(&self, name: &str) -> Result<CopyStatus>;

    /// Deletes the secret under this name immediately, if it has the tag of our deployment. It is
    /// deleted only once [`describe_copy`](Self::describe_copy) returns [`CopyStatus::Gone`].
    async fn delete_copy(&self, name: &str) -> Result<()>;

    /// Lists all secrets with exactly this deployment tag.
    async fn list_copies(&self, deployment: &str) -> Result<Vec<FoundCopy>>;
}
