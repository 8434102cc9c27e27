//! Personal access tokens, as `authorizer` reads them.

use async_trait::async_trait;
use domain::identity::StoredToken;
use domain::ids::TokenId;
use domain::ports::ReadTokens;
use domain::{Result, Timestamp};

use crate::Store;
use crate::keys::Key;

#[async_trait(?Send)]
impl ReadTokens for Store {
    async fn token(&self, id: TokenId) -> Result<Option<StoredToken>> {
        let Some(mut row) = self.get(Key::token(id)).await? else {
            return Ok(None);
        };
        // No decision depends on it, and a corrupt value must not disable the token.
        if row.some_field::<Timestamp>("lastUsed").is_err() {
            row.0.remove("lastUsed");
        }
        row.read().map(Some)
    }

    async fn record_token_use(&self, id: TokenId, at: Timestamp) -> Result<()> {
        self.record_last_used(Key::token(id), at).await
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::UserId;
    use domain::token::TokenKey;
    use domain::token_scope::TokenScope;

    use super::*;
    use crate::rows::{fields, s};
    use crate::testing::{Fixed, TestStore, later, now};

    async fn stored(test: &TestStore) -> StoredToken {
        let token = StoredToken {
            id: TokenId::new(5).unwrap(),
            user: UserId::new(1).unwrap(),
            name: "ci".into(),
            hash: TokenKey::make_random(&Fixed).hash(),
            created: now(),
            last_used: None,
            expires: Some(later(60)),
            workspace: None,
            scope: TokenScope::All,
            created_with: None,
        };
        test.seed(Key::token(token.id).row(fields(&token).unwrap())).await;
        token
    }

    #[tokio::test]
    async fn a_token_is_read_consistently_in_one_call() {
        let test = TestStore::start().await;
        let token = stored(&test).await;
        assert_eq!(test.store.token(token.id).await.unwrap(), Some(token));
        assert_eq!(test.store.token(TokenId::new(6).unwrap()).await.unwrap(), None);
        assert_eq!(test.operations(), ["GetItem", "GetItem"]);
        assert!(test.calls().iter().all(|call| call.body["ConsistentRead"] == true));
    }

    #[tokio::test]
    async fn a_corrupt_last_use_does_not_disable_a_token() {
        let test = TestStore::start().await;
        let token = stored(&test).await;
        test.set(Key::token(token.id), "lastUsed", s("x")).await;
        assert_eq!(test.store.token(token.id).await.unwrap(), Some(token));
    }

    #[tokio::test]
    async fn a_use_is_recorded_and_a_revoked_token_stays_revoked() {
        let test = TestStore::start().await;
        let token = stored(&test).await;
        test.store.record_token_use(token.id, later(30)).await.unwrap();
        let used = test.store.token(token.id).await.unwrap().unwrap().last_used.unwrap();
        assert_eq!(used.as_second(), later(30).as_second());
        test.remove(Key::token(token.id)).await;
        test.store.record_token_use(token.id, later(31)).await.unwrap();
        assert_eq!(test.store.token(token.id).await.unwrap(), None);
    }
}
