//! Fetches the issuer's discovery document and the keys to which it points.

use std::net::IpAddr;
use std::time::Duration;

use domain::Result;
use jsonwebtoken::jwk::Jwk;
use reqwest::{Client, Url, redirect};
use serde::Deserialize;
use serde_json::Value;

use super::unavailable;

/// The location of an issuer's documents.
pub(super) struct Source {
    issuer: String,
    discovery: Url,
}

/// The limit for both fetches together. The authorizer has a timeout of five seconds.
const TIME: Duration = Duration::from_secs(3);
const CONNECT: Duration = Duration::from_millis(1_500);
/// Maximum size of a document: a hundred keys with their certificates.
const MAX_BYTES: usize = 256 * 1024;
/// Maximum number of an issuer's keys that are read.
const MAX_KEYS: usize = 100;

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

impl Source {
    /// Creates the source of an issuer. Returns `None` unless the issuer's URL uses HTTPS, or HTTP
    /// on loopback.
    pub(super) fn of(issuer: &str) -> Option<Self> {
        // OpenID Connect Discovery §4: a trailing slash of the issuer is removed first.
        let discovery = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let discovery = trusted(&discovery)?;
        Some(Self { issuer: issuer.to_owned(), discovery })
    }

    /// Fetches the keys that the issuer publishes. Omits keys of unknown kinds.
    pub(super) async fn keys(&self) -> Result<Vec<Jwk>> {
        match tokio::time::timeout(TIME, self.fetch_keys()).await {
            Ok(keys) => keys,
            Err(_) => Err(unavailable("the issuer did not answer in time")),
        }
    }

    async fn fetch_keys(&self) -> Result<Vec<Jwk>> {
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(TIME)
            // A redirect would bypass the check of the address.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|_| unavailable("the HTTP client could not be created"))?;
        let discovery: Discovery = parse(&fetch(&client, self.discovery.clone()).await?)?;
        if discovery.issuer != self.issuer {
            return Err(unavailable("the discovery document has another issuer"));
        }
        let keys = trusted(&discovery.jwks_uri)
            .ok_or_else(|| unavailable("the URL of the issuer's keys is not https"))?;
        let published: Published = parse(&fetch(&client, keys).await?)?;
        Ok(published
            .keys
            .into_iter()
            .take(MAX_KEYS)
            .filter_map(|key| serde_json::from_value(key).ok())
            .collect())
    }
}

/// Returns the URL of an address if it is safe to fetch.
fn trusted(address: &str) -> Option<Url> {
    let url = Url::parse(address).ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    let is_allowed = match url.scheme() {
        "https" => true,
        "http" => url.host_str().is_some_and(is_loopback),
        _ => false,
    };
    (is_plain && is_allowed).then_some(url)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

async fn fetch(client: &Client, url: Url) -> Result<Vec<u8>> {
    let broken = |_| unavailable("the issuer did not answer");
    let mut answer = client.get(url).send().await.map_err(broken)?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(unavailable("the issuer did not answer with status 200"));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(unavailable("the issuer's document is too large"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn parse<'a, T: Deserialize<'a>>(document: &'a [u8]) -> Result<T> {
    serde_json::from_slice(document).map_err(|_| unavailable("the issuer's document cannot be parsed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_accepted_only_on_loopback() {
        for address in [
            "https://login.example.org",
            "https://login.example.org/realms/a/",
            "http://127.0.0.1:80",
            "http://localhost:8",
            "http://[::1]/a",
        ] {
            assert!(Source::of(address).is_some(), "{address}");
        }
        for address in [
            "http://login.example.org",
            "http://169.254.169.254",
            "http://127.0.0.1.example.org",
            "http://localhost.example.org",
            "https://user@login.example.org",
            "file:///etc/passwd",
            "login.example.org",
        ] {
            assert!(Source::of(address).is_none(), "{address}");
        }
    }

    #[test]
    fn the_discovery_document_is_under_the_issuer_url() {
        for issuer in ["https://login.example.org/realms/a", "https://login.example.org/realms/a/"] {
            let source = Source::of(issuer).unwrap();
            assert_eq!(
                source.discovery.as_str(),
                "https://login.example.org/realms/a/.well-known/openid-configuration"
            );
        }
    }
}
