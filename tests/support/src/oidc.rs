//! An OpenID Connect issuer on loopback that publishes the same as a Keycloak realm: a discovery
//! document, and keys of several kinds, one of them for encryption.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The audience of the issuer's tokens.
pub const AUDIENCE: &str = "pipeline-secrets";

/// Returns the entry of `OIDC_ISSUERS` for an issuer with sign-up for people, with these fields in
/// addition.
///
/// # Panics
///
/// If `fields` is not an object.
#[must_use]
pub fn entry(url: &str, fields: &Value) -> Value {
    let mut entry = json!({
        "issuer": url, "audience": AUDIENCE, "kind": "people", "authorizedParties": ["cli"], "signUp": true,
    });
    entry.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    entry
}

/// An issuer on loopback.
#[derive(Clone)]
pub struct Issuer {
    /// The URL of the issuer, as in its tokens.
    pub url: String,
    state: Arc<Mutex<Published>>,
}

struct Published {
    keys: Vec<Value>,
    discovery: Value,
    /// The answer to every request, if set.
    instead: Option<String>,
    requests: Vec<String>,
}

impl Issuer {
    /// Starts an issuer on a free port that publishes these keys. It runs as long as the test's
    /// runtime.
    pub async fn start(keys: &[&Key]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a working issuer");
        let url = format!("http://{}/realms/lab", listener.local_addr().expect("a working issuer"));
        let published = Published {
            keys: keys.iter().map(|key| key.jwk()).collect(),
            discovery: discovery(&url),
            instead: None,
            requests: Vec::new(),
        };
        let issuer = Self { url, state: Arc::new(Mutex::new(published)) };
        let serving = issuer.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        issuer
    }

    /// Returns the entry of `OIDC_ISSUERS` for this issuer, with these fields in addition.
    #[must_use]
    pub fn entry(&self, fields: &Value) -> Value {
        entry(&self.url, fields)
    }

    /// Replaces the published keys.
    pub fn publish(&self, keys: &[&Key]) {
        self.state.lock().expect("a working issuer").keys = keys.iter().map(|key| key.jwk()).collect();
    }

    /// Changes the discovery document.
    pub fn discover(&self, change: impl FnOnce(&mut Value)) {
        change(&mut self.state.lock().expect("a working issuer").discovery);
    }

    /// Answers every request with these bytes of HTTP, or never answers if they are empty.
    pub fn answer_instead(&self, http: Option<String>) {
        self.state.lock().expect("a working issuer").instead = http;
    }

    /// Returns the number of requests so far.
    pub fn requests(&self) -> usize {
        self.state.lock().expect("a working issuer").requests.len()
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut request = Vec::new();
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut bytes = [0; 1024];
            match stream.read(&mut bytes).await {
                Ok(read) if read > 0 => request.extend_from_slice(&bytes[..read]),
                _ => return,
            }
        }
        let request = String::from_utf8(request).expect("a working issuer");
        let path = request.split(' ').nth(1).expect("a working issuer").to_owned();
        let answer = {
            let mut state = self.state.lock().expect("a working issuer");
            state.requests.push(path.clone());
            match (&state.instead, path.as_str()) {
                (Some(instead), _) => instead.clone(),
                (None, "/realms/lab/.well-known/openid-configuration") => http(&state.discovery.to_string()),
                (None, "/realms/lab/protocol/openid-connect/certs") => {
                    let mut keys =
                        vec![encryption_key(), json!({ "kid": "future", "kty": "LATTICE", "alg": "X9" })];
                    keys.extend(state.keys.clone());
                    http(&json!({ "keys": keys }).to_string())
                }
                _ => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
            }
        };
        if answer.is_empty() {
            // Never answer: the connection stays open as long as the client waits.
            let _ = stream.read(&mut [0; 1]).await;
        }
        let _ = stream.write_all(answer.as_bytes()).await;
    }

    /// Returns the claims of a token that is valid for a minute.
    pub fn claims(&self, subject: &str) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
        json!({
            "iss": self.url, "sub": subject, "aud": [AUDIENCE, "account"], "exp": now + 60, "iat": now, "nbf": now,
            "typ": "Bearer", "azp": "cli", "scope": "openid email", "preferred_username": "admin",
        })
    }
}

/// Returns an HTTP response with this JSON.
pub fn http(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn discovery(issuer: &str) -> Value {
    let endpoint = |name: &str| format!("{issuer}/protocol/openid-connect/{name}");
    json!({
        "issuer": issuer,
        "authorization_endpoint": endpoint("auth"),
        "token_endpoint": endpoint("token"),
        "introspection_endpoint": endpoint("token/introspect"),
        "userinfo_endpoint": endpoint("userinfo"),
        "end_session_endpoint": endpoint("logout"),
        "jwks_uri": endpoint("certs"),
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "response_types_supported": ["code", "id_token"],
        "subject_types_supported": ["public", "pairwise"],
        "id_token_signing_alg_values_supported": ["PS384", "RS384", "EdDSA", "ES384", "HS256", "HS512", "ES256", "RS256", "none"],
        "claims_supported": ["aud", "sub", "iss", "auth_time", "name", "preferred_username", "email", "acr"],
        "scopes_supported": ["openid", "email", "profile"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "frontchannel_logout_supported": true,
    })
}

fn encryption_key() -> Value {
    json!({ "kid": "enc-1", "kty": "RSA", "alg": "RSA-OAEP", "use": "enc", "n": "AQAB", "e": "AQAB", "x5c": ["MIIC"], "x5t": "x" })
}

/// A signing key of this or another issuer.
pub struct Key {
    /// The key id, `kid`.
    pub id: &'static str,
    /// The signature algorithm, `alg`.
    pub algorithm: &'static str,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Key {
    /// Generates a key for this algorithm of JSON Web Signatures.
    pub fn make(id: &'static str, algorithm: &'static str) -> Self {
        let pair = match algorithm {
            "ES256" => {
                Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a working issuer"))
            }
            "ES384" => {
                Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a working issuer"))
            }
            "EdDSA" => Pair::Ed(Ed25519KeyPair::generate().expect("a working issuer")),
            _ => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a working issuer")),
        };
        Self { id, algorithm, pair }
    }

    /// Returns the key as the issuer publishes it.
    pub fn jwk(&self) -> Value {
        let mut key = match &self.pair {
            Pair::Rsa(pair) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({ "kty": "RSA", "n": encode(&public.n), "e": encode(&public.e), "x5c": ["MIIC"] })
            }
            Pair::Ec(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if self.algorithm == "ES256" { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) })
            }
            Pair::Ed(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref()) })
            }
        };
        key["kid"] = json!(self.id);
        key["use"] = json!("sig");
        key["alg"] = json!(self.algorithm);
        key
    }

    /// Returns a token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        self.sign(&json!({ "alg": self.algorithm, "typ": "JWT", "kid": self.id }), claims)
    }

    /// Returns a token with this header, signed with the key's algorithm.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let message =
            format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Ec(pair) => {
                pair.sign(&random, message.as_bytes()).expect("a working issuer").as_ref().to_vec()
            }
            Pair::Ed(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let padding: &dyn signature::RsaEncoding = match self.algorithm {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message.as_bytes(), &mut signature).expect("a working issuer");
                signature
            }
        };
        format!("{message}.{}", encode(&signature))
    }
}

/// Encodes bytes as JSON Web Tokens do.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
