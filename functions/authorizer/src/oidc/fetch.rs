//! Fetching what the issuer publishes: its discovery document, and the keys that this points to.

use std::net::IpAddr;
use std::time::Duration;

use domain::Result;
use jsonwebtoken::jwk::Jwk;
use reqwest::{Client, Url, redirect};
use serde::Deserialize;
use serde_json::Value;

use super::unavailable;

/// Where an issuer's documents are.
pub(super) struct Source {
    issuer: String,
    discovery: Url,
}

/// Both fetches together. The authorizer has five seconds for everything.
const TIME: Duration = Duration::from_secs(3);
const CONNECT: Duration = Duration::from_millis(1_500);
/// Bytes of a document: a hundred keys with their certificates.
const MAX_BYTES: usize = 256 * 1024;
/// Keys of an issuer that are looked at.
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
    /// The documents of this issuer; `None` where it is not to be reached over HTTPS, or over HTTP on loopback.
    pub(super) fn of(issuer: &str) -> Option<Self> {
        // OpenID Connect Discovery §4: a slash at the issuer's end is taken away first.
        let discovery = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let discovery = trusted(&discovery)?;
        Some(Self { issuer: issuer.to_owned(), discovery })
    }

    /// The keys that the issuer publishes now. Those of a kind that is not known here are left out.
    pub(super) async fn keys(&self) -> Result<Vec<Jwk>> {
        match tokio::time::timeout(TIME, self.fetch_keys()).await {
            Ok(keys) => keys,
            Err(_) => Err(unavailable("it did not answer in time")),
        }
    }

    async fn fetch_keys(&self) -> Result<Vec<Jwk>> {
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(TIME)
            // A redirect would lead past the rule for addresses.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|_| unavailable("no HTTP client"))?;
        let discovery: Discovery = parse(&fetch(&client, self.discovery.clone()).await?)?;
        if discovery.issuer != self.issuer {
            return Err(unavailable("its discovery document is another issuer's"));
        }
        let keys = trusted(&discovery.jwks_uri)
            .ok_or_else(|| unavailable("its keys are not published over https"))?;
        let published: Published = parse(&fetch(&client, keys).await?)?;
        Ok(published
            .keys
            .into_iter()
            .take(MAX_KEYS)
            .filter_map(|key| serde_json::from_value(key).ok())
            .collect())
    }
}

/// An address that may be fetched.
fn trusted(address: &str) -> Option<Url> {
    let url = Url::parse(address).ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    let may = match url.scheme() {
        "https" => true,
        "http" => url.host_str().is_some_and(is_loopback),
        _ => false,
    };
    (is_plain && may).then_some(url)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

async fn fetch(client: &Client, url: Url) -> Result<Vec<u8>> {
    let broken = |_| unavailable("it did not answer");
    let mut answer = client.get(url).send().await.map_err(broken)?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(unavailable("it answered with another status than 200"));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(unavailable("its document is too large"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn parse<'a, T: Deserialize<'a>>(document: &'a [u8]) -> Result<T> {
    serde_json::from_slice(document).map_err(|_| unavailable("its document cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_alone() {
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
    fn the_discovery_document_stands_below_the_issuer() {
        for issuer in ["https://login.example.org/realms/a", "https://login.example.org/realms/a/"] {
            let source = Source::of(issuer).unwrap();
            assert_eq!(
                source.discovery.as_str(),
                "https://login.example.org/realms/a/.well-known/openid-configuration"
            );
        }
    }
}
