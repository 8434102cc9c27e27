//! Writing a new version of a secret.

use async_trait::async_trait;
use domain::audit::AuditRecord;
use domain::owner::Scope;
use domain::ports::UpdateSecrets;
use domain::secret::{OldVersion, SealedValue, Secret};
use domain::{Error, Result};

use super::row::{old_version_row, sealed_row};
use super::{Part, check, check_value, refused, write_version};
use crate::Store;
use crate::transaction::Transaction;

#[async_trait(?Send)]
impl UpdateSecrets for Store {
    async fn update_secret(
        &self,
        scope: &Scope,
        secret: &Secret,
        sealed: &SealedValue,
        replaced: &OldVersion,
        audit: &AuditRecord,
    ) -> Result<()> {
        check(scope, secret)?;
        let mut transaction = self.transaction();
        transaction.still_member(scope);
        let parts = (Part::Version, Part::Row);
        replace_version(self, &mut transaction, parts, secret, sealed, replaced)?;
        transaction.audited(audit)?;
        transaction.send().await?.map_err(|refusal| refused(&refusal))
    }
}

/// Adds the writes that replace a version: the secret, its value and the history. The first part is
/// the secret, which must have the version that is replaced.
pub(super) fn replace_version<P: PartialEq + Copy>(
    store: &Store,
    transaction: &mut Transaction<'_, P>,
    (version, row): (P, P),
    secret: &Secret,
    sealed: &SealedValue,
    replaced: &OldVersion,
) -> Result<()> {
    check_value(secret, sealed)?;
    if replaced.version + 1 != secret.version {
        return Err(Error::bug("a version that does not follow the one it replaces"));
    }
    write_version(transaction, version, secret, replaced.version)?;
    transaction.put(row, sealed_row(sealed));
    let history = old_version_row(secret, replaced, store.ttl(replaced.replaced))?;
    transaction.put_new(row, history);
    Ok(())
}

#[cfg(test)]
mod tests {
    use domain::audit::AuditAction;
    use domain::ports::{CreateSecrets, ReadSealedValues, ReadSecrets};
    use domain::role::{Permission, Role};
    use futures_util::future::join_all;
    use support::Fault;

    use super::*;
    use crate::keys::Key;
    use crate::rows::{holds, n, s};
    use crate::testing::{OWNER, TestStore, a_secret, an_audit, later, next_version, now};

    async fn stored(test: &TestStore, scope: &Scope) -> Secret {
        let (secret, sealed) = a_secret(scope, 7, "NCBI_API_KEY");
        let audit = an_audit(scope.owner(), AuditAction::SecretCreated, &[&secret]);
        test.store.create_secrets(scope, &[(secret.clone(), sealed)], None, &audit).await.unwrap();
        test.table.faults.forget();
        secret
    }

    async fn update(test: &TestStore, scope: &Scope, old: &Secret) -> Result<Secret> {
        let (secret, sealed, replaced) = next_version(old);
        let audit = an_audit(scope.owner(), AuditAction::SecretUpdated, &[&secret]);
        test.store.update_secret(scope, &secret, &sealed, &replaced, &audit).await?;
        Ok(secret)
    }

    #[tokio::test]
    async fn a_new_version_replaces_the_value_and_leaves_a_history_without_one() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::WriteSecrets).await;
        let first = stored(&test, &scope).await;
        let second = update(&test, &scope, &Secret { expires: None, ..first.clone() }).await.unwrap();
        assert_eq!(test.operations(), ["TransactWriteItems"]);
        assert_eq!(test.store.secret(&scope, first.id).await.unwrap().unwrap(), second);
        let sealed = test.store.sealed_values(&[(scope.owner(), first.id)]).await.unwrap();
        assert_eq!((sealed[0].version, sealed[0].envelope[0]), (2, 2));
        let third = update(&test, &scope, &second).await.unwrap();
        let history = test.store.history(&scope, third.id).await.unwrap();
        assert_eq!(history.iter().map(|old| old.version).collect::<Vec<_>>(), [2, 1]);
        assert_eq!((history[1].written, history[1].replaced), (now(), later(60)));
        let row = test.row(Key::history(scope.owner(), first.id, 1)).await.unwrap();
        assert!(!row.0.contains_key("envelope"));
        assert!(holds(&row, "ttl", &n(later(60 + 400 * 86_400).as_second())));
    }

    #[tokio::test]
    async fn a_version_that_was_replaced_in_the_meantime_is_a_conflict() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::WriteSecrets).await;
        let first = stored(&test, &scope).await;
        update(&test, &scope, &first).await.unwrap();
        let before = test.table.rows().await;
        let error = update(&test, &scope, &first).await.unwrap_err();
        assert!(matches!(error, Error::VersionConflict), "{error}");
        assert_eq!(test.table.rows().await, before);
    }

    #[tokio::test]
    async fn a_deleted_secret_is_not_found_and_not_recreated() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::WriteSecrets).await;
        let first = stored(&test, &scope).await;
        test.remove(Key::secret(scope.owner(), first.id)).await;
        let before = test.table.rows().await;
        let error = update(&test, &scope, &first).await.unwrap_err();
        assert!(matches!(error, Error::NotFound), "{error}");
        assert_eq!(test.table.rows().await, before);
    }

    #[tokio::test]
    async fn a_lowered_role_stops_the_write() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::WriteSecrets).await;
        let first = stored(&test, &scope).await;
        test.join(OWNER, Role::Maintain).await;
        let error = update(&test, &scope, &first).await.unwrap_err();
        assert!(matches!(error, Error::NotFound), "{error}");
        assert_eq!(test.store.secret(&scope, first.id).await.unwrap().unwrap(), first);
    }

    #[tokio::test]
    async fn a_disabled_user_stops_the_write() {
        for workspace in [true, false] {
            let test = TestStore::start().await;
            let scope = match workspace {
                true => test.scope(Permission::WriteSecrets).await,
                false => test.user_scope(Permission::WriteSecrets).await,
            };
            let first = stored(&test, &scope).await;
            let key = match workspace {
                true => Key::member(crate::testing::workspace(), crate::testing::user(OWNER)),
                false => Key::meta(scope.owner()),
            };
            test.set(key, "disabled", crate::rows::s("2026-11-23T10:20:30Z")).await;
            let error = update(&test, &scope, &first).await.unwrap_err();
            assert!(matches!(error, Error::NotFound), "{error}");
            assert_eq!(test.store.secret(&scope, first.id).await.unwrap().unwrap(), first);
        }
    }

    #[tokio::test]
    async fn parallel_writers_lose_no_update() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::WriteSecrets).await;
        let first = stored(&test, &scope).await;
        let (test, scope, id) = (&test, &scope, first.id);
        join_all((0..8).map(async |_| {
            loop {
                let current = test.store.secret(scope, id).await.unwrap().unwrap();
                match update(test, scope, &current).await {
                    Ok(_) => return,
                    Err(error) => assert!(matches!(error, Error::VersionConflict), "{error}"),
                }
            }
        }))
        .await;
        assert_eq!(test.store.secret(scope, id).await.unwrap().unwrap().version, 9);
        assert_eq!(test.store.history(scope, id).await.unwrap().len(), 8);
        assert_eq!(test.audits().await, 9);
    }

    #[tokio::test]
    async fn unknown_attributes_and_the_last_use_survive() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::WriteSecrets).await;
        let first = stored(&test, &scope).await;
        let key = Key::secret(scope.owner(), first.id);
        test.set(key.clone(), "later", s("kept")).await;
        test.set(key.clone(), "lastUsed", s("2026-11-23T10:20:30Z")).await;
        update(&test, &scope, &first).await.unwrap();
        let row = test.row(key).await.unwrap();
        assert!(holds(&row, "later", &s("kept")) && holds(&row, "lastUsed", &s("2026-11-23T10:20:30Z")));
    }

    #[tokio::test]
    async fn a_lost_answer_is_retried_and_has_one_effect() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::WriteSecrets).await;
        let first = stored(&test, &scope).await;
        test.table.faults.fail_next(Fault::LostReply);
        update(&test, &scope, &first).await.unwrap();
        assert_eq!(test.store.secret(&scope, first.id).await.unwrap().unwrap().version, 2);
        assert_eq!((test.keys_beginning("HISTORY#").await, test.audits().await), (1, 2));
    }

    #[tokio::test]
    async fn a_transaction_conflict_is_contended() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::WriteSecrets).await;
        let first = stored(&test, &scope).await;
        let codes = &["None", "TransactionConflict", "None", "None", "None"];
        test.table.faults.fail_next(Fault::Cancelled(codes));
        let error = update(&test, &scope, &first).await.unwrap_err();
        assert!(matches!(error, Error::Contended), "{error}");
    }
}
