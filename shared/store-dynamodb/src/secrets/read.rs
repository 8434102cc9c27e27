//! Reading secrets without their values: small rows only, in one query for all of a scope.

use domain::Result;
use domain::ids::SecretId;
use domain::name::SecretName;
use domain::owner::Scope;
use domain::ports::ReadSecrets;
use domain::secret::{MAX_IN_SCOPE, OldVersion, Secret};

use crate::Store;
use crate::keys::{Key, SECRETS, history_of};
use crate::read::Search;
use crate::rows::{old_version_from, secret_from};

impl ReadSecrets for Store {
    async fn secrets(&self, scope: &Scope) -> Result<Vec<Secret>> {
        let rows = self
            .search(Search {
                pk: scope.owner().to_string(),
                prefix: SECRETS.to_owned(),
                newest_first: false,
                limit: None,
            })
            .await?;
        let mut secrets = rows.iter().map(secret_from).collect::<Result<Vec<_>>>()?;
        secrets.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(secrets)
    }

    async fn secret(&self, scope: &Scope, id: SecretId) -> Result<Option<Secret>> {
        let row = self.get(Key::secret(scope.owner(), id)).await?;
        row.as_ref().map(secret_from).transpose()
    }

    async fn is_name_taken(&self, scope: &Scope, name: &SecretName) -> Result<bool> {
        Ok(self.get(Key::name(scope.owner(), name)).await?.is_some())
    }

    async fn history(&self, scope: &Scope, id: SecretId) -> Result<Vec<OldVersion>> {
        let rows = self
            .search(Search {
                pk: scope.owner().to_string(),
                prefix: history_of(id),
                newest_first: true,
                limit: Some(MAX_HISTORY),
            })
            .await?;
        rows.iter().map(old_version_from).collect()
    }
}

/// Replaced versions that are shown, at most.
const MAX_HISTORY: u32 = MAX_IN_SCOPE;
