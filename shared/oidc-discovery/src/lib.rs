//! Reads documents of OpenID Connect issuers: only over HTTPS, or HTTP on loopback, without
//! redirects, within a time and a size.

use std::time::Duration;

use domain::issuer::is_loopback;
use domain::{Error, Result};
use reqwest::{Client, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use reqwest::Url;

/// The location of an issuer's documents.
pub struct Source {
    issuer: String,
    discovery: Url,
}

/// The limit for all documents of a call together. The functions have a timeout of five seconds.
const TIME: Duration = Duration::from_secs(3);
const CONNECT: Duration = Duration::from_millis(1_500);
/// Maximum size of a document: a hundred keys with their certificates.
const MAX_BYTES: usize = 256 * 1024;

/// The parts of a discovery document that the service reads:
/// <https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata>.
#[derive(Deserialize)]
pub struct Discovery {
    /// The issuer's name. It is that of the [`Source`].
    pub issuer: String,
    /// Where the issuer publishes its keys.
    pub jwks_uri: String,
    /// Where users sign in.
    #[serde(default)]
    pub authorization_endpoint: Option<String>,
    /// Where a client gets tokens for a code.
    #[serde(default)]
    pub token_endpoint: Option<String>,
    /// The supported methods of PKCE (RFC 8414).
    #[serde(default)]
    pub code_challenge_methods_supported: Option<Vec<String>>,
    /// Whether answers to authorization requests name the issuer (RFC 9207).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

impl Discovery {
    /// Returns the URL of an endpoint if it is safe to use. Only an issuer that itself uses HTTP on
    /// loopback can name such an endpoint: in a function, loopback has Lambda's runtime API.
    #[must_use]
    pub fn endpoint(&self, address: &str) -> Option<Url> {
        trusted(address).filter(|url| url.scheme() == "https" || self.issuer.starts_with("http://"))
    }
}

impl Source {
    /// Creates the source of an issuer. Returns `None` unless the issuer's URL uses HTTPS, or HTTP
    /// on loopback.
    #[must_use]
    pub fn of(issuer: &str) -> Option<Self> {
        // OpenID Connect Discovery §4: a trailing slash of the issuer is removed first.
        let discovery = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let discovery = trusted(&discovery)?;
        Some(Self { issuer: issuer.to_owned(), discovery })
    }

    /// Reads the discovery document.
    pub async fn discover(&self) -> Result<Discovery> {
        in_time(async { self.read_discovery(&client()?).await }).await
    }

    /// Reads the discovery document, then the document of the issuer's keys.
    pub async fn keys<T: DeserializeOwned>(&self) -> Result<T> {
        in_time(async {
            let client = client()?;
            let discovery = self.read_discovery(&client).await?;
            let keys = discovery
                .endpoint(&discovery.jwks_uri)
                .ok_or_else(|| unavailable("the URL of the issuer's keys is not https"))?;
            fetch(&client, keys).await
        })
        .await
    }

    async fn read_discovery(&self, client: &Client) -> Result<Discovery> {
        let discovery: Discovery = fetch(client, self.discovery.clone()).await?;
        match discovery.issuer == self.issuer {
            true => Ok(discovery),
            false => Err(unavailable("the discovery document has another issuer")),
        }
    }
}

/// Returns the URL of an address if it is safe to fetch, and its origin is safe in a
/// Content-Security-Policy, where `;`, `,` and `*` have a meaning.
fn trusted(address: &str) -> Option<Url> {
    let url = Url::parse(address).ok()?;
    let is_name =
        |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let is_literal = |host: &str| host.starts_with('[');
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.host_str().is_some_and(|host| is_literal(host) || is_name(host));
    let is_allowed = match url.scheme() {
        "https" => true,
        "http" => url.host_str().is_some_and(|host| is_loopback(host.trim_matches(['[', ']']))),
        _ => false,
    };
    (is_plain && is_allowed).then_some(url)
}

/// Creates the error for an issuer that cannot be used at the moment.
#[must_use]
pub fn unavailable(what: &'static str) -> Error {
    Error::unavailable("OpenID Connect issuer", what)
}

async fn in_time<T>(read: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(TIME, read).await {
        Ok(read) => read,
        Err(_) => Err(unavailable("the issuer did not answer in time")),
    }
}

fn client() -> Result<Client> {
    Client::builder()
        .connect_timeout(CONNECT)
        .timeout(TIME)
        // A redirect would bypass the check of the address.
        .redirect(redirect::Policy::none())
        .build()
        .map_err(|_| unavailable("the HTTP client could not be created"))
}

async fn fetch<T: DeserializeOwned>(client: &Client, url: Url) -> Result<T> {
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
    serde_json::from_slice(&body).map_err(|_| unavailable("the issuer's document cannot be parsed"))
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
            "https://login.example.org;sandbox",
            "https://login.example.org%3bsandbox",
            "https://*",
            "https://a,b",
        ] {
            assert!(Source::of(address).is_none(), "{address}");
        }
    }

    #[test]
    fn an_issuer_with_https_names_no_endpoint_with_http() {
        let runtime_api = "http://127.0.0.1:9001/2018-06-01/runtime/invocation/next";
        for (issuer, address, is_safe) in [
            ("https://login.example.org", "https://keys.example.org", true),
            ("https://login.example.org", runtime_api, false),
            ("https://localhost", runtime_api, false),
            ("http://localhost:8", runtime_api, true),
            ("http://localhost:8", "http://login.example.org", false),
        ] {
            let document = serde_json::json!({ "issuer": issuer, "jwks_uri": address });
            let discovery: Discovery = serde_json::from_value(document).unwrap();
            assert_eq!(discovery.endpoint(address).is_some(), is_safe, "{issuer} {address}");
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
