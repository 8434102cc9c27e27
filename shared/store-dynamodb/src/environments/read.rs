//! Reading environments. A row that cannot be read is an error, except in the list of all
//! environments: there it affects only itself.

use async_trait::async_trait;
use domain::Result;
use domain::environment::{
    CredentialsId, EnvironmentId, ListedEnvironment, StoredCredentials, StoredEnvironment,
};
use domain::ids::WorkspaceId;
use domain::ports::{ListTargets, ReadEnvironments};

use crate::Store;
use crate::keys::{CREDENTIALS, ENVIRONMENT, ENVIRONMENTS, Key, environments_of};
use crate::read::{all, readable};
use crate::rows::{FromRow, Row};

#[async_trait(?Send)]
impl ReadEnvironments for Store {
    async fn environment(
        &self,
        workspace: WorkspaceId,
        id: &EnvironmentId,
    ) -> Result<Option<StoredEnvironment>> {
        self.find(Key::environment(workspace, id)).await
    }

    async fn environments(&self, workspace: WorkspaceId) -> Result<Vec<StoredEnvironment>> {
        self.in_workspace(workspace, ENVIRONMENT).await
    }

    async fn credentials(
        &self,
        workspace: WorkspaceId,
        id: &CredentialsId,
    ) -> Result<Option<StoredCredentials>> {
        self.find(Key::credentials(workspace, id)).await
    }

    async fn all_credentials(&self, workspace: WorkspaceId) -> Result<Vec<StoredCredentials>> {
        self.in_workspace(workspace, CREDENTIALS).await
    }
}

#[async_trait(?Send)]
impl ListTargets for Store {
    async fn targets(&self) -> Result<Vec<ListedEnvironment>> {
        Ok(readable(all(self.partition(ENVIRONMENTS)).await?, Row::read))
    }
}

impl Store {
    async fn in_workspace<T: FromRow>(&self, workspace: WorkspaceId, prefix: &str) -> Result<Vec<T>> {
        let rows = all(self.with_prefix(environments_of(workspace), prefix)).await?;
        rows.into_iter().map(T::from_row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environments::row::{credentials_row, environment_row, listed_row};
    use crate::keys::Key;
    use crate::rows::{Row, n, s};
    use crate::testing::{TestStore, a_stored_environment, some_credentials, workspace};

    #[tokio::test]
    async fn environments_and_credentials_are_read_back_exactly_and_only_in_their_workspace() {
        let test = TestStore::start().await;
        let other = WorkspaceId::new(43).unwrap();
        let (environment, credentials) = (a_stored_environment("a"), some_credentials("a"));
        test.seed(environment_row(&environment).unwrap()).await;
        test.seed(environment_row(&a_stored_environment("b")).unwrap()).await;
        test.seed(credentials_row(&credentials).unwrap()).await;
        let id = &environment.environment.id;
        test.table.faults.forget();
        assert_eq!(test.store.environment(workspace(), id).await.unwrap(), Some(environment.clone()));
        assert_eq!(test.store.environment(other, id).await.unwrap(), None);
        assert_eq!(
            test.store.credentials(workspace(), &credentials.id).await.unwrap(),
            Some(credentials.clone())
        );
        assert_eq!(test.store.credentials(other, &credentials.id).await.unwrap(), None);
        assert_eq!(test.operations(), ["GetItem"; 4]);
        assert!(test.calls().iter().all(|call| call.body["ConsistentRead"] == true));
        let all = test.store.environments(workspace()).await.unwrap();
        assert_eq!(all, [environment, a_stored_environment("b")]);
        assert_eq!(test.store.all_credentials(workspace()).await.unwrap(), [credentials]);
        assert_eq!(test.store.environments(other).await.unwrap(), []);
        assert_eq!(test.store.all_credentials(other).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_row_that_cannot_be_read_is_an_error_and_in_the_list_it_is_skipped() {
        let test = TestStore::start().await;
        let stored = a_stored_environment("a");
        let environment = stored.environment.clone();
        let listed = ListedEnvironment { environment, workspace: workspace(), kept_until: None };
        test.seed(listed_row(&listed).unwrap()).await;
        let mut ends = listed_row(&listed).unwrap();
        ends.extend([("sk".to_owned(), s("ends")), ("ttl".to_owned(), n(7))]);
        test.seed(ends).await;
        let mut damaged = listed_row(&listed).unwrap();
        damaged.insert("sk".into(), s("damaged"));
        damaged.insert("role".into(), s("arn:aws:iam::210987654321:role/admin"));
        test.seed(damaged).await;
        let ends = ListedEnvironment { kept_until: Some(7), ..listed.clone() };
        assert_eq!(test.store.targets().await.unwrap(), [listed, ends]);
        test.seed(environment_row(&stored).unwrap()).await;
        let key = Key::environment(workspace(), &stored.environment.id);
        test.set(key, "externalId", s("too short")).await;
        let outcome = test.store.environment(workspace(), &stored.environment.id).await;
        assert!(matches!(outcome, Err(domain::Error::Bug { .. })), "{outcome:?}");
        test.store.environments(workspace()).await.unwrap_err();
        let row = Row(Key::new("x", "y").attributes());
        assert!(row.read::<ListedEnvironment>().is_err());
    }
}
