//! Reading sealed values, and the small rows of the secrets that a launch resolved.

use async_trait::async_trait;
use domain::Result;
use domain::ids::SecretId;
use domain::owner::SecretOwner;
use domain::ports::ReadSealedValues;
use domain::secret::{SealedValue, Secret};

use crate::Store;
use crate::keys::Key;

#[async_trait(?Send)]
impl ReadSealedValues for Store {
    async fn sealed_values(&self, secrets: &[(SecretOwner, SecretId)]) -> Result<Vec<SealedValue>> {
        self.find_many(&keys(secrets, Key::value)).await
    }

    async fn current_secrets(&self, secrets: &[(SecretOwner, SecretId)]) -> Result<Vec<Secret>> {
        self.find_many(&keys(secrets, Key::secret)).await
    }
}

/// Each key once: DynamoDB rejects a batch that names a row twice.
fn keys(secrets: &[(SecretOwner, SecretId)], key: fn(SecretOwner, SecretId) -> Key) -> Vec<Key> {
    let mut keys: Vec<_> = secrets.iter().map(|&(owner, id)| key(owner, id)).collect();
    keys.sort();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::Error;
    use domain::role::Permission;
    use serde_json::{Value, json};
    use support::Fault;

    use super::*;
    use crate::secrets::row::{sealed_row, secret_row};
    use crate::testing::{TestStore, a_secret, secret_id};

    /// Secrets 1 to `count`: workspace secrets with odd numbers, user secrets with even ones.
    async fn stored(test: &TestStore, count: i64) -> Vec<(SecretOwner, SecretId)> {
        let scopes = [test.user_scope(Permission::Launch).await, test.scope(Permission::Launch).await];
        let mut keys = Vec::new();
        for number in 1..=count {
            let scope = &scopes[usize::from(number % 2 == 1)];
            let (secret, sealed) = a_secret(scope, number, &format!("NAME_{number}"));
            test.seed(secret_row(&secret).unwrap()).await;
            test.seed(sealed_row(&sealed)).await;
            keys.push((secret.owner, secret.id));
        }
        keys
    }

    /// An answer that leaves all requested keys unprocessed.
    fn unprocessed(test: &TestStore) -> Fault {
        let requested: Value = test.calls()[0].body["RequestItems"].clone();
        Fault::Answer { status: 200, body: json!({ "Responses": {}, "UnprocessedKeys": requested }) }
    }

    #[tokio::test]
    async fn values_and_rows_of_both_owners_are_one_consistent_call_each() {
        let test = TestStore::start().await;
        let mut keys = stored(&test, 64).await;
        keys.push(keys[0]);
        keys.push((keys[0].0, secret_id(999)));
        assert_eq!(test.store.sealed_values(&keys).await.unwrap().len(), 64);
        let secrets = test.store.current_secrets(&keys).await.unwrap();
        assert!(secrets.iter().all(|secret| keys.contains(&(secret.owner, secret.id))));
        assert_eq!(secrets.len(), 64);
        assert_eq!(test.operations(), ["BatchGetItem", "BatchGetItem"]);
        let consistent =
            |call: &support::Call| call.body["RequestItems"]["pipeline-secrets"]["ConsistentRead"] == true;
        assert!(test.calls().iter().all(consistent));
        assert_eq!(test.store.sealed_values(&[]).await.unwrap(), []);
        assert_eq!(test.operations().len(), 2, "no keys, no call");
    }

    #[tokio::test]
    async fn more_than_a_batch_are_read_in_batches_of_100() {
        let test = TestStore::start().await;
        let keys = stored(&test, 101).await;
        assert_eq!(test.store.sealed_values(&keys).await.unwrap().len(), 101);
        assert_eq!(test.operations().len(), 2);
    }

    #[tokio::test]
    async fn a_complete_batch_waits_for_no_timer() {
        let test = TestStore::start().await;
        let keys = stored(&test, 1).await;
        let body = json!({ "Responses": { "pipeline-secrets": [] }, "UnprocessedKeys": {} });
        test.table.faults.fail_next(Fault::Answer { status: 200, body });
        tokio::time::pause();
        let before = tokio::time::Instant::now();
        assert_eq!(test.store.sealed_values(&keys).await.unwrap(), []);
        assert_eq!(before.elapsed(), Duration::ZERO, "the paused clock advances only for a timer");
    }

    #[tokio::test]
    async fn unprocessed_keys_are_retried_a_limited_number_of_times() {
        let test = TestStore::start().await;
        let keys = stored(&test, 3).await;
        test.store.sealed_values(&keys).await.unwrap();
        let unprocessed = unprocessed(&test);
        test.table.faults.fail_next(unprocessed.clone());
        test.table.faults.fail_next(unprocessed.clone());
        assert_eq!(test.store.sealed_values(&keys).await.unwrap().len(), 3);
        for _ in 0..6 {
            test.table.faults.fail_next(unprocessed.clone());
        }
        let error = test.store.sealed_values(&keys).await.unwrap_err();
        assert!(matches!(error, Error::Contended), "{error}");
    }
}
