//! Personal access tokens, as the authorizer sees them.

use domain::identity::StoredToken;
use domain::ids::TokenId;
use domain::ports::ReadTokens;
use domain::{Result, Timestamp};

use crate::Store;
use crate::keys::Key;
use crate::rows::from_fields;

impl ReadTokens for Store {
    async fn token(&self, id: TokenId) -> Result<Option<StoredToken>> {
        let row = self.get(Key::token(id)).await?;
        row.map(|row| from_fields(&row, "token")).transpose()
    }

    async fn touch_token(&self, id: TokenId, at: Timestamp) -> Result<()> {
        self.note_last_used(Key::token(id), at).await
    }
}
