//! Repeating changes that a restored table has lost. This is for operators, whose permissions come
//! from IAM, so no membership is checked.

use async_trait::async_trait;
use domain::Result;
use domain::audit::AuditRecord;
use domain::identity::Workspace;
use domain::ids::{SecretId, WorkspaceId};
use domain::owner::SecretOwner;
use domain::ports::Reconcile;
use domain::secret::Secret;

use super::delete::delete;
use super::{Part, refused, write_version};
use crate::Store;
use crate::keys::Key;

#[async_trait(?Send)]
impl Reconcile for Store {
    async fn stored_secret(&self, owner: SecretOwner, id: SecretId) -> Result<Option<Secret>> {
        self.find(Key::secret(owner, id)).await
    }

    async fn workspace(&self, id: WorkspaceId) -> Result<Option<Workspace>> {
        self.find(Key::meta(SecretOwner::Workspace(id))).await
    }

    async fn delete_secret_unscoped(&self, secret: &Secret, audit: &AuditRecord) -> Result<()> {
        delete(self, None, secret, audit).await
    }

    async fn mark_value_lost(&self, secret: &Secret, lost: &Secret, audit: &AuditRecord) -> Result<()> {
        let mut transaction = self.transaction();
        write_version(&mut transaction, Part::Version, lost, secret.version)?;
        transaction.delete(Part::Row, Key::value(secret.owner, secret.id));
        transaction.audited(audit)?;
        transaction.send().await?.map_err(|refusal| refused(&refusal))
    }
}

#[cfg(test)]
mod tests {
    use domain::audit::AuditAction;
    use domain::ports::{CreateSecrets, ReadSealedValues, ReadSecrets, UpdateSecrets};
    use domain::role::Permission;

    use super::*;
    use crate::testing::{TestStore, a_secret, an_audit, next_version};

    #[tokio::test]
    async fn a_lost_version_has_no_value_until_it_is_written_again() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::WriteSecrets).await;
        let (secret, sealed) = a_secret(&scope, 7, "NCBI_API_KEY");
        let created = an_audit(scope.owner(), AuditAction::SecretCreated, &[&secret]);
        test.store.create_secrets(&scope, &[(secret.clone(), sealed)], None, &created).await.unwrap();
        let mut lost = secret.clone();
        (lost.version, lost.properties.lost) = (4, true);
        let audit = an_audit(scope.owner(), AuditAction::SecretUpdated, &[&lost]);
        test.store.mark_value_lost(&secret, &lost, &audit).await.unwrap();
        assert_eq!(test.store.secret(&scope, secret.id).await.unwrap(), Some(lost.clone()));
        assert_eq!(test.store.sealed_values(&[(scope.owner(), secret.id)]).await.unwrap(), []);
        let repeated = test.store.mark_value_lost(&secret, &lost, &audit).await.unwrap_err();
        assert!(matches!(repeated, domain::Error::VersionConflict), "{repeated}");

        let (mut again, sealed, replaced) = next_version(&lost);
        again.properties.lost = false;
        let audit = an_audit(scope.owner(), AuditAction::SecretUpdated, &[&again]);
        test.store.update_secret(&scope, &again, &sealed, &replaced, &audit).await.unwrap();
        let stored = test.store.stored_secret(scope.owner(), secret.id).await.unwrap().unwrap();
        assert_eq!((stored.version, stored.properties.lost), (5, false));
    }
}
