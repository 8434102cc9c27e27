//! A scope's secrets.

mod create;
mod delete;
mod read;
mod reconcile;
mod update;

use async_trait::async_trait;
use domain::audit::AuditRecord;
use domain::idempotency::Idempotency;
use domain::owner::Scope;
use domain::ports::{Created, WriteSecrets};
use domain::role::Permission;
use domain::secret::{OldVersion, SealedValue, Secret};
use domain::{Error, Result};

use crate::Store;

#[async_trait(?Send)]
impl WriteSecrets for Store {
    async fn create_secrets(
        &self,
        scope: &Scope,
        secrets: &[(Secret, SealedValue)],
        idempotency: Option<&Idempotency>,
        audit: &AuditRecord,
    ) -> Result<Created> {
        for (secret, sealed) in secrets {
            check(scope, secret)?;
            check_value(secret, sealed)?;
        }
        create::create(self, scope, secrets, idempotency, audit).await
    }

    async fn update_secret(
        &self,
        scope: &Scope,
        secret: &Secret,
        sealed: &SealedValue,
        replaced: &OldVersion,
        audit: &AuditRecord,
    ) -> Result<()> {
        check(scope, secret)?;
        check_value(secret, sealed)?;
        update::update(self, scope, secret, sealed, replaced, audit).await
    }

    async fn delete_secret(&self, scope: &Scope, secret: &Secret, audit: &AuditRecord) -> Result<()> {
        check(scope, secret)?;
        delete::delete(self, Some(scope), secret, audit).await
    }
}

/// That the scope is one to write in, and the secret is in it: a scope made for reading checks for other roles.
fn check(scope: &Scope, secret: &Secret) -> Result<()> {
    let writes = matches!(scope.permission(), Permission::WriteSecrets | Permission::DeleteSecrets);
    if writes && secret.owner == scope.owner() {
        Ok(())
    } else {
        Err(Error::bug("a secret written outside its scope"))
    }
}

fn check_value(secret: &Secret, sealed: &SealedValue) -> Result<()> {
    if (sealed.owner, sealed.secret, sealed.version) == (secret.owner, secret.id, secret.version) {
        Ok(())
    } else {
        Err(Error::bug("a sealed value of another secret or version"))
    }
}
