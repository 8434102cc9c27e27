//! Logins at an OpenID Connect issuer: read by the authorizer, registered by identity.

use async_trait::async_trait;
use domain::Result;
use domain::audit::AuditRecord;
use domain::identity::{Change, Login, User};
use domain::ids::UserId;
use domain::ports::{ChangeIdentity, ReadLogins, RegisterLogins};

use crate::Store;
use crate::keys::Key;

#[async_trait(?Send)]
impl ReadLogins for Store {
    async fn user_of_login(&self, login: &Login) -> Result<Option<UserId>> {
        let row = self.get(Key::login(login)).await?;
        row.map(|row| row.field("user")).transpose()
    }
}

#[async_trait(?Send)]
impl RegisterLogins for Store {
    async fn is_email_taken(&self, email: &str) -> Result<bool> {
        Ok(self.get(Key::email(email)).await?.is_some())
    }

    async fn register_login(&self, user: &User, login: &Login, audit: &AuditRecord) -> Result<()> {
        let change = Change::CreateUser(user.clone(), Some(login.clone()));
        self.change_identity(&[change], std::slice::from_ref(audit), None).await
    }
}
