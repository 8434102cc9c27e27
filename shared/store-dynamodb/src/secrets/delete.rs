//! Deleting a secret: its row, its value and its name guard. Its replaced versions stay until their retention is over.

use domain::Result;
use domain::audit::AuditRecord;
use domain::owner::Scope;
use domain::secret::Secret;

use super::update::{Part, refused};
use crate::Store;
use crate::keys::Key;
use crate::rows::n;
use crate::terms::{Changes, Terms};
use crate::transaction::{Outcome, PRESENT};

/// Deletes this version; `scope` is `None` where an operator does it.
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
    let mut terms = Terms::default();
    let condition = format!("{} = {}", terms.name("version"), terms.value(n(secret.version)));
    transaction.delete_if(Part::Version, Key::secret(secret.owner, secret.id), &condition, terms);
    transaction.delete(Part::Row, Key::value(secret.owner, secret.id));
    transaction.delete(Part::Row, Key::name(secret.owner, &secret.name));
    let mut changes = Changes::default();
    changes.add("secretCount", n(-1));
    transaction.change_if(Part::Count, Key::meta(secret.owner), changes, PRESENT);
    transaction.audited(audit)?;
    match transaction.send().await? {
        Outcome::Done => Ok(()),
        Outcome::Refused(refusal) => refused(&refusal),
    }
}

#[cfg(test)]
mod tests {
    use domain::Error;
    use domain::audit::AuditAction;
    use domain::ports::{Created, ReadSealedValues, ReadSecrets, WriteSecrets};
    use domain::role::{Permission, Role};
    use futures_util::future::join_all;
    use support::Fault;

    use super::*;
    use crate::testing::{Bench, OWNER, a_secret, an_audit, next_version};

    async fn stored(bench: &Bench, scope: &Scope, id: i64) -> Secret {
        let (secret, sealed) = a_secret(scope, id, "NCBI_API_KEY");
        let audit = an_audit(scope.owner(), AuditAction::SecretCreated, &[&secret]);
        let secrets = [(secret.clone(), sealed)];
        let created = bench.store.create_secrets(scope, &secrets, None, &audit).await.unwrap();
        assert_eq!(created, Created::Done);
        bench.table.faults.forget();
        secret
    }

    async fn delete(bench: &Bench, scope: &Scope, secret: &Secret) -> Result<()> {
        let audit = an_audit(scope.owner(), AuditAction::SecretDeleted, &[secret]);
        bench.store.delete_secret(scope, secret, &audit).await
    }

    #[tokio::test]
    async fn value_row_and_name_go_in_one_call_and_the_name_is_free_again() {
        let bench = Bench::start().await;
        let scope = bench.scope(Permission::DeleteSecrets).await;
        let secret = stored(&bench, &scope, 7).await;
        delete(&bench, &scope, &secret).await.unwrap();
        assert_eq!(bench.operations(), ["TransactWriteItems"]);
        assert_eq!(bench.store.secret(&scope, secret.id).await.unwrap(), None);
        assert_eq!(bench.store.sealed_values(&[(scope.owner(), secret.id)]).await.unwrap(), []);
        assert!(!bench.store.is_name_taken(&scope, &secret.name).await.unwrap());
        assert_eq!((bench.count(scope.owner()).await, bench.audits().await), (Some(0), 2));
        stored(&bench, &scope, 8).await;
    }

    #[tokio::test]
    async fn another_version_is_a_conflict_and_a_gone_secret_is_not_found() {
        let bench = Bench::start().await;
        let scope = bench.scope(Permission::DeleteSecrets).await;
        let first = stored(&bench, &scope, 7).await;
        let (second, sealed, replaced) = next_version(&first);
        let audit = an_audit(scope.owner(), AuditAction::SecretUpdated, &[&second]);
        bench.store.update_secret(&scope, &second, &sealed, &replaced, &audit).await.unwrap();
        let error = delete(&bench, &scope, &first).await.unwrap_err();
        assert!(matches!(error, Error::VersionConflict), "{error}");
        delete(&bench, &scope, &second).await.unwrap();
        let error = delete(&bench, &scope, &second).await.unwrap_err();
        assert!(matches!(error, Error::NotFound), "{error}");
        assert_eq!((bench.count(scope.owner()).await, bench.audits().await), (Some(0), 3));
    }

    #[tokio::test]
    async fn a_lost_membership_stops_it() {
        let bench = Bench::start().await;
        let scope = bench.scope(Permission::DeleteSecrets).await;
        let secret = stored(&bench, &scope, 7).await;
        bench.join(OWNER, Role::View).await;
        let error = delete(&bench, &scope, &secret).await.unwrap_err();
        assert!(matches!(error, Error::NotFound), "{error}");
        assert_eq!(bench.store.secret(&scope, secret.id).await.unwrap(), Some(secret));
    }

    #[tokio::test]
    async fn of_parallel_deletions_one_counts() {
        let bench = Bench::start().await;
        let scope = bench.own_scope(Permission::DeleteSecrets).await;
        let secret = stored(&bench, &scope, 7).await;
        let deleted = join_all((0..8).map(|_| delete(&bench, &scope, &secret))).await;
        assert_eq!(deleted.iter().filter(|deleted| deleted.is_ok()).count(), 1);
        assert!(deleted.iter().all(|deleted| matches!(deleted, Ok(()) | Err(Error::NotFound))));
        assert_eq!((bench.count(scope.owner()).await, bench.audits().await), (Some(0), 2));
    }

    #[tokio::test]
    async fn a_lost_answer_is_asked_for_again_and_has_one_effect() {
        let bench = Bench::start().await;
        let scope = bench.scope(Permission::DeleteSecrets).await;
        let secret = stored(&bench, &scope, 7).await;
        bench.table.faults.fail_next(Fault::LostReply);
        delete(&bench, &scope, &secret).await.unwrap();
        assert_eq!((bench.count(scope.owner()).await, bench.audits().await), (Some(0), 2));
    }
}
