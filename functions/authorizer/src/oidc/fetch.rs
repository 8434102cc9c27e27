//! Reads the keys that an issuer publishes.

use domain::Result;
use jsonwebtoken::jwk::Jwk;
use oidc_discovery::Source;
use serde::Deserialize;
use serde_json::Value;

/// Maximum number of an issuer's keys that are read.
const MAX_KEYS: usize = 100;

#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

/// Fetches the keys that the issuer publishes. Omits keys of unknown kinds.
pub(super) async fn keys(source: &Source) -> Result<Vec<Jwk>> {
    let published: Published = source.keys().await?;
    Ok(published.keys.into_iter().take(MAX_KEYS).filter_map(|key| serde_json::from_value(key).ok()).collect())
}
