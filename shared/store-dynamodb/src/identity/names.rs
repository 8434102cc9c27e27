//! Reading the names of users, and nothing else of them.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use domain::Result;
use domain::ids::UserId;
use domain::ports::ReadUserNames;

use crate::Store;
use crate::keys::Key;

/// IAM allows `read-secrets` only these attributes of a user.
const NAME: &str = "id, userName";

#[async_trait(?Send)]
impl ReadUserNames for Store {
    async fn user_names(&self, users: &BTreeSet<UserId>) -> Result<BTreeMap<UserId, String>> {
        let keys: Vec<_> = users.iter().copied().map(Key::user).collect();
        let rows = self.get_attributes(&keys, Some(NAME)).await?;
        rows.into_iter().map(|row| Ok((row.field("id")?, row.field("userName")?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use domain::Error;
    use support::Fault;

    use super::*;
    use crate::rows::fields;
    use crate::testing::{OWNER, TestStore, VIEWER, a_user, user};

    #[tokio::test]
    async fn names_are_read_in_one_call_with_only_the_attributes_that_are_needed() {
        let test = TestStore::start().await;
        for (number, name) in [(OWNER, "olivia"), (VIEWER, "victor")] {
            let user = a_user(number, name);
            test.seed(Key::user(user.id).row(fields(&user).unwrap())).await;
        }
        test.table.faults.forget();
        let users = [user(OWNER), user(VIEWER), user(99)].into();
        let names = test.store.user_names(&users).await.unwrap();
        let expected = [(user(OWNER), "olivia".to_owned()), (user(VIEWER), "victor".to_owned())];
        assert_eq!(names, expected.into(), "a user who does not exist has no name");
        assert_eq!(test.operations(), ["BatchGetItem"]);
        let request = &test.calls()[0].body["RequestItems"]["pipeline-secrets"];
        assert_eq!(request["ProjectionExpression"], "id, userName");
        assert!(test.store.user_names(&BTreeSet::new()).await.unwrap().is_empty());
        assert_eq!(test.operations().len(), 1, "no call without users");
    }

    #[tokio::test]
    async fn a_hundred_and_one_users_are_two_calls() {
        let test = TestStore::start().await;
        let users = (1_000..1_101).map(user).collect();
        assert!(test.store.user_names(&users).await.unwrap().is_empty());
        assert_eq!(test.operations(), ["BatchGetItem"; 2]);
    }

    #[tokio::test]
    async fn a_failed_read_is_an_error_and_no_missing_name() {
        let test = TestStore::start().await;
        (0..3).for_each(|_| test.table.faults.fail_next(Fault::Internal));
        let error = test.store.user_names(&[user(OWNER)].into()).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    }
}
