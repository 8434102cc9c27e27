//! Deleting a secret: its row, its value and its name guard. Its replaced versions remain until
//! their retention ends.

use async_trait::async_trait;
use domain::Result;
use domain::audit::AuditRecord;
use domain::owner::Scope;
use domain::ports::DeleteSecrets;
use domain::secret::Secret;

use super::{Part, check, refused};
use crate::Store;
use crate::expression_attributes::{Changes, ExpressionAttributes};
use crate::keys::Key;
use crate::rows::n;
use crate::transaction::PRESENT;

#[async_trait(?Send)]
impl DeleteSecrets for Store {
    async fn delete_secret(&self, scope: &Scope, secret: &Secret, audit: &AuditRecord) -> Result<()> {
        check(scope, secret)?;
        delete(self, Some(scope), secret, audit).await
    }
}

/// Deletes this version. `scope` is `None` if an operator deletes it.
pub(super) async fn delete(
    store: &Store,
    scope: Option<&Scope>,
    secret: &Secret,
    audit: &AuditRecord,
) -> Result<()> {
    let mut transaction = store.transaction();
    if let Some(scope) = scope {
        transaction.still_member(scope);
    }
    let mut attributes = ExpressionAttributes::default();
    let condition = attributes.equals("version", n(secret.version));
    transaction.delete_if(Part::Version, Key::secret(secret.owner, secret.id), &condition, attributes);
    transaction.delete(Part::Row, Key::value(secret.owner, secret.id));
    transaction.delete(Part::Row, Key::name(secret.owner, &secret.name));
    let mut changes = Changes::default();
    changes.add("secretCount", n(-1));
    transaction.change_if(Part::Count, Key::count(secret.owner), changes, PRESENT);
    transaction.audited(audit)?;
    transaction.send().await?.map_err(|refusal| refused(&refusal))
}

#[cfg(test)]
mod tests {
    use domain::Error;
    use domain::audit::AuditAction;
    use domain::ports::{CreateSecrets, Created, ReadSealedValues, ReadSecrets, UpdateSecrets};
    use domain::role::{Permission, Role};
    use futures_util::future::join_all;
    use support::Fault;

    use super::*;
    use crate::testing::{OWNER, TestStore, a_secret, an_audit, next_version};

    async fn stored(test: &TestStore, scope: &Scope, id: i64) -> Secret {
        let (secret, sealed) = a_secret(scope, id, "NCBI_API_KEY");
        let audit = an_audit(scope.owner(), AuditAction::SecretCreated, &[&secret]);
        let secrets = [(secret.clone(), sealed)];
        let created = test.store.create_secrets(scope, &secrets, None, &audit).await.unwrap();
        assert_eq!(created, Created::Created);
        test.table.faults.forget();
        secret
    }

    async fn delete(test: &TestStore, scope: &Scope, secret: &Secret) -> Result<()> {
        let audit = an_audit(scope.owner(), AuditAction::SecretDeleted, &[secret]);
        test.store.delete_secret(scope, secret, &audit).await
    }

    #[tokio::test]
    async fn value_row_and_name_are_deleted_in_one_call_and_the_name_is_free_again() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::DeleteSecrets).await;
        let secret = stored(&test, &scope, 7).await;
        delete(&test, &scope, &secret).await.unwrap();
        assert_eq!(test.operations(), ["TransactWriteItems"]);
        assert_eq!(test.store.secret(&scope, secret.id).await.unwrap(), None);
        assert_eq!(test.store.sealed_values(&[(scope.owner(), secret.id)]).await.unwrap(), []);
        assert_eq!(test.store.secret_named(&scope, &secret.name).await.unwrap(), None);
        assert_eq!((test.count(scope.owner()).await, test.audits().await), (Some(0), 2));
        stored(&test, &scope, 8).await;
    }

    #[tokio::test]
    async fn another_version_is_a_conflict_and_a_deleted_secret_is_not_found() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::DeleteSecrets).await;
        let first = stored(&test, &scope, 7).await;
        let (second, sealed, replaced) = next_version(&first);
        let audit = an_audit(scope.owner(), AuditAction::SecretUpdated, &[&second]);
        test.store.update_secret(&scope, &second, &sealed, &replaced, &audit).await.unwrap();
        let error = delete(&test, &scope, &first).await.unwrap_err();
        assert!(matches!(error, Error::VersionConflict), "{error}");
        delete(&test, &scope, &second).await.unwrap();
        let error = delete(&test, &scope, &second).await.unwrap_err();
        assert!(matches!(error, Error::NotFound), "{error}");
        assert_eq!((test.count(scope.owner()).await, test.audits().await), (Some(0), 3));
    }

    #[tokio::test]
    async fn a_lost_membership_stops_the_deletion() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::DeleteSecrets).await;
        let secret = stored(&test, &scope, 7).await;
        test.join(OWNER, Role::View).await;
        let error = delete(&test, &scope, &secret).await.unwrap_err();
        assert!(matches!(error, Error::NotFound), "{error}");
        assert_eq!(test.store.secret(&scope, secret.id).await.unwrap(), Some(secret));
    }

    #[tokio::test]
    async fn one_of_several_parallel_deletions_counts() {
        let test = TestStore::start().await;
        let scope = test.user_scope(Permission::DeleteSecrets).await;
        let secret = stored(&test, &scope, 7).await;
        let deleted = join_all((0..8).map(|_| delete(&test, &scope, &secret))).await;
        assert_eq!(deleted.iter().filter(|deleted| deleted.is_ok()).count(), 1);
        assert!(deleted.iter().all(|deleted| matches!(deleted, Ok(()) | Err(Error::NotFound))));
        assert_eq!((test.count(scope.owner()).await, test.audits().await), (Some(0), 2));
    }

    #[tokio::test]
    async fn a_lost_answer_is_retried_and_has_one_effect() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::DeleteSecrets).await;
        let secret = stored(&test, &scope, 7).await;
        test.table.faults.fail_next(Fault::LostReply);
        delete(&test, &scope, &secret).await.unwrap();
        assert_eq!((test.count(scope.owner()).await, test.audits().await), (Some(0), 2));
    }
}
