//! Reading secrets without their values: small rows only, in one query per scope.

use async_trait::async_trait;
use domain::Result;
use domain::ids::SecretId;
use domain::name::SecretName;
use domain::owner::Scope;
use domain::ports::ReadSecrets;
use domain::secret::{MAX_IN_SCOPE, OldVersion, Secret};

use crate::Store;
use crate::keys::{Key, SECRETS, history_of, secrets_of};
use crate::read::{all, at_most, page};
use crate::rows::{FromRow, Row};

#[async_trait(?Send)]
impl ReadSecrets for Store {
    async fn secrets(&self, scope: &Scope) -> Result<Vec<Secret>> {
        let rows = all(self.with_prefix(secrets_of(scope.owner()), SECRETS)).await?;
        // Recording a use can create a row with nothing else in it: it is not a secret.
        let named = rows.into_iter().filter(|row| row.0.contains_key("name"));
        let mut secrets = named.map(Secret::from_row).collect::<Result<Vec<_>>>()?;
        secrets.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(secrets)
    }

    async fn secret(&self, scope: &Scope, id: SecretId) -> Result<Option<Secret>> {
        self.find(Key::secret(scope.owner(), id)).await
    }

    async fn secret_named(&self, scope: &Scope, name: &SecretName) -> Result<Option<Secret>> {
        match self.get(Key::name(scope.owner(), name)).await? {
            Some(row) => self.secret(scope, row.field("secretId")?).await,
            None => Ok(None),
        }
    }

    async fn history(&self, scope: &Scope, id: SecretId) -> Result<Vec<OldVersion>> {
        let versions = self.with_prefix(secrets_of(scope.owner()), history_of(id));
        let newest_first = versions.scan_index_forward(false).limit(page(MAX_HISTORY));
        let rows = at_most(MAX_HISTORY, newest_first, "dynamodb Query").await?;
        rows.into_iter().map(Row::read).collect()
    }
}

/// The maximum number of replaced versions returned.
const MAX_HISTORY: u32 = MAX_IN_SCOPE;

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
    use domain::ids::SecretId;
    use domain::role::Permission;

    use super::*;
    use crate::rows::{Attributes, s};
    use crate::secrets::row::{sealed_row, secret_row};
    use crate::testing::{TestStore, a_secret, name, sealed_value, secret_id};

    async fn seed_all(test: &TestStore, rows: Vec<Attributes>) {
        for batch in rows.chunks(25) {
            let puts = batch.iter().map(|row| {
                let put = PutRequest::builder().set_item(Some(row.clone())).build().unwrap();
                WriteRequest::builder().put_request(put).build()
            });
            let request = test.table.quiet().batch_write_item();
            request.request_items(&test.table.name, puts.collect()).send().await.unwrap();
        }
    }

    /// Stores a thousand secrets with values of 4 KiB: 4 MB that a list must not read.
    async fn a_thousand(test: &TestStore, scope: &Scope, extra: usize) {
        let mut rows = Vec::new();
        for number in 1..=1_000 {
            let (secret, _) = a_secret(scope, number, &format!("NAME_{}", 2_000 - number));
            rows.push(sealed_row(&sealed_value(&secret, 4_096)));
            let mut row = secret_row(&secret).unwrap();
            row.insert("description".into(), s("x".repeat(256)));
            if extra > 0 {
                row.insert("later".into(), s("y".repeat(extra)));
            }
            rows.push(row);
        }
        seed_all(test, rows).await;
    }

    #[tokio::test]
    async fn a_row_with_only_a_last_use_is_not_a_secret() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::ReadSecrets).await;
        let (secret, _) = a_secret(&scope, 7, "NCBI_API_KEY");
        test.seed(secret_row(&secret).unwrap()).await;
        test.set(Key::secret(scope.owner(), secret_id(99)), "lastUsed", s("2026-01-01T00:00:00Z")).await;
        assert_eq!(test.store.secrets(&scope).await.unwrap(), [secret]);
    }

    #[tokio::test]
    async fn a_thousand_secrets_with_large_values_are_listed_by_name_in_one_consistent_query() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::ReadSecrets).await;
        a_thousand(&test, &scope, 0).await;
        let secrets = test.store.secrets(&scope).await.unwrap();
        assert_eq!(secrets.len(), 1_000);
        assert!(secrets.is_sorted_by(|a, b| a.name < b.name));
        let calls = test.calls();
        assert_eq!(test.operations(), ["Query"]);
        assert_eq!(calls[0].body["ConsistentRead"], true);
        assert!(calls[0].body["ExpressionAttributeValues"].to_string().contains("SECRET#"));
    }

    #[tokio::test]
    async fn a_list_continues_past_one_megabyte() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::ReadSecrets).await;
        a_thousand(&test, &scope, 2_048).await;
        assert_eq!(test.store.secrets(&scope).await.unwrap().len(), 1_000);
        assert_eq!(test.operations(), ["Query"; 3]);
    }

    #[tokio::test]
    async fn another_scopes_secrets_are_not_found() {
        let test = TestStore::start().await;
        let (workspace, of_user) =
            (test.scope(Permission::ReadSecrets).await, test.user_scope(Permission::ReadSecrets).await);
        let (secret, _) = a_secret(&of_user, 7, "OWN");
        test.seed(secret_row(&secret).unwrap()).await;
        assert_eq!(test.store.secret(&workspace, secret.id).await.unwrap(), None);
        assert_eq!(test.store.secret(&of_user, secret.id).await.unwrap(), Some(secret));
        assert_eq!(test.store.secrets(&workspace).await.unwrap(), []);
        assert_eq!(test.store.secret_named(&workspace, &name("OWN")).await.unwrap(), None);
        assert_eq!(test.store.history(&workspace, secret_id(7)).await.unwrap(), []);
        assert!(test.calls().iter().all(|call| call.body["ConsistentRead"] == true));
    }

    #[tokio::test]
    async fn a_row_of_another_version_is_read_as_far_as_possible() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::ReadSecrets).await;
        let (secret, _) = a_secret(&scope, 7, "NAME");
        let mut row = secret_row(&secret).unwrap();
        for optional in ["lastUsed", "expires", "description", "nextflowStore"] {
            row.remove(optional);
        }
        row.insert("later".into(), s("unknown"));
        test.seed(row).await;
        let read = test.store.secret(&scope, SecretId::new(7).unwrap()).await.unwrap().unwrap();
        assert_eq!((read.expires, read.description, read.last_used), (None, None, None));
        assert!(!read.properties.nextflow_store, "a missing attribute counts as false");
    }
}
