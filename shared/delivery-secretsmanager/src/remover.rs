//! The type behind `RemoveCopies`. Each operation has its own file.

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use domain::Result;
use domain::ports::{CopyStatus, FoundCopy, RemoveCopies};

use crate::{delete_copy, describe_copy, list_copies};

/// Finds copies and removes them.
#[derive(Clone, Debug)]
pub struct CopyRemover {
    client: Client,
}

impl CopyRemover {
    /// Creates a remover with this client's permissions.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Warms up the connection with a cheap call, `secretsmanager:DescribeSecret` on this name.
    /// Choose a name that the deployment may describe (`tower-<prefix>`) and that no run uses. An
    /// error response warms it up too.
    pub async fn warm(&self, name: &str) -> Result<()> {
        describe_copy::describe(&self.client, name).await.map(drop)
    }
}

#[async_trait(?Send)]
impl RemoveCopies for CopyRemover {
    async fn describe_copy(&self, name: &str) -> Result<CopyStatus> {
        describe_copy::describe(&self.client, name).await
    }

    async fn delete_copy(&self, name: &str) -> Result<()> {
        delete_copy::delete(&self.client, name).await
    }

    async fn list_copies(&self, deployment: &str) -> Result<Vec<FoundCopy>> {
        list_copies::list(&self.client, deployment).await
    }
}
