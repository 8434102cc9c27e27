//! The authorizer over the real store on a table in memory, and an issuer on loopback that publishes what a Keycloak
//! realm publishes: a discovery document, and keys of several kinds, one of them for encryption.
#![allow(dead_code, reason = "each test file uses its part")]

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use authorizer::Handler;
use authorizer::oidc::Jwts;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::settings::Settings;
use domain::use_cases::identity::apply::{Applied, apply};
use domain::use_cases::identity::document::Document;
use domain::{Context, Result, Timestamp};
use runtime::{Deadline, SystemRandomness};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use store_dynamodb::Store;
use support::Table;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Bench {
    pub(crate) table: Table,
    pub(crate) store: Store,
    pub(crate) handler: Handler,
    pub(crate) randomness: SystemRandomness,
    pub(crate) settings: Settings,
}

pub(crate) const AUDIENCE: &str = "pipeline-secrets";

impl Bench {
    /// With an issuer, or with none: then `issuer` is empty.
    pub(crate) async fn start(issuer: &str) -> Self {
        let table = Table::start().await;
        let store = Store::new(table.client.clone(), table.name.clone());
        // An address where nothing listens: what asks for no keys does not ask.
        let issuer = if issuer.is_empty() { "http://127.0.0.1:9" } else { issuer };
        let jwts = Jwts::of(issuer, AUDIENCE).unwrap();
        let handler = Handler { store: Rc::new(store.clone()), jwts: Rc::new(jwts) };
        let (randomness, settings) = (SystemRandomness::default(), Settings::new("test"));
        Self { table, store, handler, randomness, settings }
    }

    pub(crate) async fn apply(&self, document: &Value) -> Applied {
        let document = Document::parse(document).unwrap();
        apply(&self.store, &document, &self.context(Timestamp::now(), &deadline())).await.unwrap()
    }

    /// What the use cases are given.
    pub(crate) fn context<'a>(&'a self, now: Timestamp, deadline: &'a Deadline) -> Context<'a> {
        Context { now, randomness: &self.randomness, backoff: deadline, settings: &self.settings }
    }

    /// The answer to this `Authorization` header.
    pub(crate) async fn answer(&self, header: &str) -> Result<Value> {
        self.send(&event(header)).await
    }

    pub(crate) async fn send(&self, event: &Value) -> Result<Value> {
        let answer = self
            .handler
            .handle(&to_raw_value(event).unwrap(), &self.context(Timestamp::now(), &deadline()))
            .await?;
        Ok(serde_json::from_str(answer.get()).unwrap())
    }

    /// The user id of an answer that says "yes"; `None` for one that says "no".
    pub(crate) async fn user(&self, header: &str) -> Option<String> {
        let answer = self.answer(header).await.unwrap();
        if answer == json!({ "isAuthorized": false }) {
            return None;
        }
        assert_eq!(answer["isAuthorized"], true);
        Some(answer["context"]["userId"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn users(&self) -> usize {
        self.table
            .rows()
            .await
            .iter()
            .filter(|row| text(row, "pk").starts_with("USER#") && text(row, "sk") == "META")
            .count()
    }
}

pub(crate) fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

pub(crate) fn text(
    row: &std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue>,
    name: &str,
) -> String {
    row.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
}

pub(crate) fn event(header: &str) -> Value {
    json!({
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": "arn:aws:execute-api:eu-west-1:123456789012:abc/$default/GET/pipeline-secrets",
        "identitySource": [header],
        "routeKey": "GET /pipeline-secrets",
        "rawPath": "/pipeline-secrets",
        "headers": { "authorization": header },
        "requestContext": { "http": { "method": "GET" } },
    })
}

/// An issuer on loopback.
#[derive(Clone)]
pub(crate) struct Issuer {
    pub(crate) url: String,
    state: Arc<Mutex<Published>>,
}

struct Published {
    keys: Vec<Value>,
    discovery: Value,
    /// Answers every request so, instead.
    instead: Option<String>,
    requests: Vec<String>,
}

impl Issuer {
    pub(crate) async fn start(keys: &[&Key]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}/realms/lab", listener.local_addr().unwrap());
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

    pub(crate) fn publish(&self, keys: &[&Key]) {
        self.state.lock().unwrap().keys = keys.iter().map(|key| key.jwk()).collect();
    }

    pub(crate) fn discover(&self, change: impl FnOnce(&mut Value)) {
        change(&mut self.state.lock().unwrap().discovery);
    }

    /// Answers every request with these bytes of HTTP, or with none at all where they are empty.
    pub(crate) fn answer_instead(&self, http: Option<String>) {
        self.state.lock().unwrap().instead = http;
    }

    pub(crate) fn requests(&self) -> usize {
        self.state.lock().unwrap().requests.len()
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
        let request = String::from_utf8(request).unwrap();
        let path = request.split(' ').nth(1).unwrap().to_owned();
        let answer = {
            let mut state = self.state.lock().unwrap();
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
            // Never answers: the connection stays open as long as the client waits.
            let _ = stream.read(&mut [0; 1]).await;
        }
        let _ = stream.write_all(answer.as_bytes()).await;
    }

    /// Claims of a token that is good for a minute.
    pub(crate) fn claims(&self, subject: &str) -> Value {
        let now = Timestamp::now().as_second();
        json!({
            "iss": self.url, "sub": subject, "aud": [AUDIENCE, "account"], "exp": now + 60, "iat": now, "nbf": now,
            "typ": "Bearer", "azp": "cli", "scope": "openid email", "preferred_username": "admin",
        })
    }
}

pub(crate) fn http(body: &str) -> String {
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

/// A key of the issuer's, or of somebody else's.
pub(crate) struct Key {
    pub(crate) id: &'static str,
    pub(crate) algorithm: &'static str,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Key {
    pub(crate) fn make(id: &'static str, algorithm: &'static str) -> Self {
        let pair = match algorithm {
            "ES256" => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
            "ES384" => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()),
            "EdDSA" => Pair::Ed(Ed25519KeyPair::generate().unwrap()),
            _ => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
        };
        Self { id, algorithm, pair }
    }

    /// As the issuer publishes it.
    pub(crate) fn jwk(&self) -> Value {
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

    /// A token with these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.sign(&json!({ "alg": self.algorithm, "typ": "JWT", "kid": self.id }), claims)
    }

    /// A token with this header, signed by what the key is for.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let message =
            format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Ec(pair) => pair.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let padding: &dyn signature::RsaEncoding = match self.algorithm {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message.as_bytes(), &mut signature).unwrap();
                signature
            }
        };
        format!("{message}.{}", encode(&signature))
    }
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
