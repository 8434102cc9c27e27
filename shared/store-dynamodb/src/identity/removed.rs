//! Deletions that are not finished.

use async_trait::async_trait;
use domain::Result;
use domain::owner::{Removed, SecretOwner};
use domain::ports::{FindRemoved, FinishRemovals};
use domain::secret::Secret;

use super::keys::REMOVED;
use crate::Store;
use crate::keys::{Key, SECRETS, secrets_of};
use crate::read::all;
use crate::rows::FromRow as _;

#[async_trait(?Send)]
impl FindRemoved for Store {
    async fn removed(&self) -> Result<Vec<Removed>> {
        let rows = all(self.partition(REMOVED)).await?;
        let removed = |row: &crate::rows::Row| {
            let scope = row.field::<String>("sk")?.parse()?;
            Ok(Removed { scope, at: row.field("removedAt")? })
        };
        rows.iter().map(removed).collect()
    }
}

#[async_trait(?Send)]
impl FinishRemovals for Store {
    async fn stored_secrets(&self, owner: SecretOwner) -> Result<Vec<Secret>> {
        let rows = all(self.with_prefix(secrets_of(owner), SECRETS)).await?;
        rows.into_iter().map(Secret::from_row).collect()
    }

    async fn forget_removed(&self, scope: SecretOwner) -> Result<()> {
        let mut transaction = self.transaction::<()>();
        transaction.delete((), Key::removed(scope));
        transaction.send().await?.or_else(|refusal| refusal.unless_contended())
    }
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use domain::audit::AuditAction;
    use domain::identity::Change;
    use domain::ports::{ChangeIdentity as _, CreateSecrets as _};
    use domain::role::Permission;

    use super::*;
    use crate::testing::{OWNER, TestStore, VIEWER, a_secret, a_workspace, an_audit, now, user, workspace};

    async fn delete(test: &TestStore) {
        let audit = an_audit(SecretOwner::Workspace(workspace()), AuditAction::WorkspaceDeleted, &[]);
        test.seed(Key::workspace_name(a_workspace().org, "lab").with([("id", crate::rows::n(workspace()))]))
            .await;
        let members = vec![user(OWNER), user(VIEWER)];
        let change = Change::DeleteWorkspace { workspace: a_workspace(), members, at: now() };
        test.store.change_identity(&[change], &[audit], None).await.unwrap();
        test.table.faults.forget();
    }

    #[tokio::test]
    async fn a_deleted_workspace_is_listed_consistently_until_it_is_forgotten() {
        let test = TestStore::start().await;
        assert_eq!(test.store.removed().await.unwrap(), []);
        delete(&test).await;
        let scope = SecretOwner::Workspace(workspace());
        let at: Timestamp = now();
        assert_eq!(test.store.removed().await.unwrap(), [Removed { scope, at }]);
        assert_eq!(
            (test.operations(), test.calls()[0].body["ConsistentRead"].clone()),
            (vec!["Query".into()], true.into())
        );
        for _ in 0..2 {
            test.store.forget_removed(scope).await.unwrap();
            assert_eq!(test.store.removed().await.unwrap(), []);
        }
    }

    #[tokio::test]
    async fn the_secrets_of_a_scope_are_found_without_a_membership() {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::WriteSecrets).await;
        let (secret, sealed) = a_secret(&scope, 7, "NCBI_API_KEY");
        let audit = an_audit(scope.owner(), AuditAction::SecretCreated, &[&secret]);
        test.store.create_secrets(&scope, &[(secret.clone(), sealed)], None, &audit).await.unwrap();
        delete(&test).await;
        assert_eq!(test.store.stored_secrets(scope.owner()).await.unwrap(), [secret]);
        let elsewhere = "USER#1".parse().unwrap();
        assert_eq!(test.store.stored_secrets(elsewhere).await.unwrap(), []);
    }
}
