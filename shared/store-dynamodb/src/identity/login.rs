//! Logins from an OpenID Connect issuer: `authorizer` reads them, and `identity` registers them.

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

#[cfg(test)]
mod tests {
    use domain::Error;
    use domain::audit::AuditAction;
    use domain::owner::SecretOwner;
    use domain::ports::ReadIdentity;

    use super::*;
    use crate::testing::{TestStore, a_user, an_audit, user};

    fn login(subject: &str) -> Login {
        Login { issuer: "https://issuer.example".into(), subject: subject.into() }
    }

    async fn register(test: &TestStore, number: i64, name: &str, login: &Login) -> Result<()> {
        let new = a_user(number, name);
        let audit = an_audit(SecretOwner::User(new.id), AuditAction::UserCreated, &[]);
        test.store.register_login(&new, login, &audit).await
    }

    #[tokio::test]
    async fn a_login_finds_its_user_once_it_is_registered() {
        let test = TestStore::start().await;
        assert_eq!(test.store.user_of_login(&login("o")).await.unwrap(), None);
        assert!(!test.store.is_email_taken("olivia@example.org").await.unwrap());
        assert!(test.calls().iter().all(|call| call.body["ConsistentRead"] == true));
        test.table.faults.forget();
        register(&test, 9, "olivia", &login("o")).await.unwrap();
        assert_eq!((test.operations(), test.audits().await), (vec!["TransactWriteItems".to_owned()], 1));
        assert_eq!(test.store.user_of_login(&login("o")).await.unwrap(), Some(user(9)));
        assert_eq!(test.store.user_of_login(&login("O")).await.unwrap(), None);
        assert!(test.store.is_email_taken("Olivia@Example.org").await.unwrap());
    }

    #[tokio::test]
    async fn one_of_two_simultaneous_first_logins_creates_the_user() {
        let test = TestStore::start().await;
        register(&test, 9, "olivia", &login("o")).await.unwrap();
        let before = test.table.rows().await;
        let error = register(&test, 10, "olivia2", &login("o")).await.unwrap_err();
        assert!(matches!(error, Error::Contended), "{error}");
        assert_eq!(test.table.rows().await, before);
        assert_eq!(test.store.user(user(10)).await.unwrap(), None);
    }
}
