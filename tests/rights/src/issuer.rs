//! An OpenID Connect issuer on loopback, for the one right that only a login's first sight uses.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::Outcome;

/// The audience that its tokens name.
pub const AUDIENCE: &str = "pipeline-secrets";

/// An issuer that lives as long as the test's runtime.
#[derive(Clone)]
pub struct Issuer {
    /// Its URL, as its tokens name it.
    pub url: String,
    pair: Arc<EcdsaKeyPair>,
}

impl Issuer {
    /// Starts one on a free port.
    pub async fn start() -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let issuer = Self { url, pair: Arc::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?) };
        let serving = issuer.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        Ok(issuer)
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
        let discovery =
            String::from_utf8_lossy(&request).starts_with("GET /.well-known/openid-configuration ");
        let body = match discovery {
            true => json!({"issuer": self.url, "jwks_uri": format!("{}/keys", self.url)}),
            false => json!({ "keys": [self.key()] }),
        };
        let body = body.to_string();
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        // Who hung up needs no answer.
        let _ = stream.write_all(answer.as_bytes()).await;
    }

    fn key(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        json!({"kid": "1", "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "x": encode(x), "y": encode(y)})
    }

    /// A token of this subject that is good for ten minutes.
    pub fn token(&self, subject: &str) -> Outcome<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": "1"});
        let claims = json!({"iss": self.url, "sub": subject, "aud": AUDIENCE, "iat": now, "exp": now + 600,
            "email": format!("{subject}@issuer.example.org"), "email_verified": true});
        let message =
            format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes())?;
        Ok(format!("{message}.{}", encode(signature.as_ref())))
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
