//! The copies of a run in AWS Secrets Manager.

use async_trait::async_trait;
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::Result;
use crate::copies::{CopyTags, RunCopy};

/// Making copies in the target.
#[async_trait(?Send)]
pub trait CreateCopies {
    /// Creates a copy with its tags and gives its ARN. Repeats within the call carry one client request token, so that
    /// a lost answer is found again; a copy of this name that is not that one is
    /// [`Error::Conflict`](crate::Error::Conflict).
    async fn create_copy(&self, copy: &RunCopy, body: Zeroizing<String>, tags: &CopyTags) -> Result<String>;
}

/// What stands under a copy's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CopyStatus {
    /// Nothing.
    Gone,
    /// A secret with these tags.
    Found {
        /// Its deployment tag, where it has one.
        deployment: Option<String>,
        /// Its run tag, where it has one.
        run: Option<String>,
    },
}

/// A copy met in the target by its tags.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoundCopy {
    /// Its name.
    pub name: String,
    /// Its run tag.
    pub run: Option<String>,
    /// Its latest end.
    pub not_after: Option<Timestamp>,
}

/// Looking for copies and removing them. Nothing here can read one.
#[async_trait(?Send)]
pub trait RemoveCopies {
    /// What stands under this name.
    async fn describe_copy(&self, name: &str) -> Result<CopyStatus>;

    /// Deletes at once what stands under this name, provided that it carries our deployment's tag. It is gone only when
    /// [`describe_copy`](Self::describe_copy) says so.
    async fn delete_copy(&self, name: &str) -> Result<()>;

    /// Every secret whose deployment tag is exactly this.
    async fn list_copies(&self, deployment: &str) -> Result<Vec<FoundCopy>>;
}
