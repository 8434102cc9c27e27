//! Reading sealed values, and the small rows of secrets that a launch chose.

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

/// Each key once: DynamoDB refuses a batch that names a row twice.
fn keys(secrets: &[(SecretOwner, SecretId)], key: fn(SecretOwner, SecretId) -> Key) -> Vec<Key> {
    let mut keys: Vec<_> = secrets.iter().map(|&(owner, id)| key(owner, id)).collect();
    keys.sort();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use domain::Error;
    use domain::role::Permission;
    use serde_json::{Value, json};
    use support::Fault;

    use super::*;
    use crate::secrets::row::{sealed_row, secret_row};
    use crate::testing::{TestStore, a_secret, secret_id};

    /// Secrets 1 to `count`, odd ones in the workspace and even ones the user's own.
    async fn stored(test: &TestStore, count: i64) -> Vec<(SecretOwner, SecretId)> {
        let scopes = [test.own_scope(Permission::Launch).await, test.scope(Permission::Launch).await];
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

    /// An answer that leaves out all that was asked for.
    fn nothing(test: &TestStore) -> Fault {
        let asked: Value = test.calls()[0].body["RequestItems"].clone();
        Fault::Answer { status: 200, body: json!({ "Responses": {}, "UnprocessedKeys": asked }) }
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
        assert_eq!(test.operations().len(), 2, "nothing is asked for where nothing is wanted");
    }

    #[tokio::test]
    async fn more_than_a_batch_are_read_in_batches_of_100() {
        let test = TestStore::start().await;
        let keys = stored(&test, 101).await;
        assert_eq!(test.store.sealed_values(&keys).await.unwrap().len(), 101);
        assert_eq!(test.operations().len(), 2);
    }

    #[tokio::test]
    async fn what_an_answer_leaves_out_is_asked_for_again_and_not_for_ever() {
        let test = TestStore::start().await;
        let keys = stored(&test, 3).await;
        test.store.sealed_values(&keys).await.unwrap();
        let nothing = nothing(&test);
        test.table.faults.fail_next(nothing.clone());
        test.table.faults.fail_next(nothing.clone());
        assert_eq!(test.store.sealed_values(&keys).await.unwrap().len(), 3);
        for _ in 0..6 {
            test.table.faults.fail_next(nothing.clone());
        }
        let error = test.store.sealed_values(&keys).await.unwrap_err();
        assert!(matches!(error, Error::Contended), "{error}");
    }
}
