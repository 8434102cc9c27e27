//! The fake AWS that every contender calls over HTTPS on loopback, with a certificate that its
//! process trusts.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use support::{Limit, Services, StoredSecret, refusal};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::error::{Error, Result};

/// The deployment of every contender.
pub(crate) const DEPLOYMENT: &str = "compare";

/// An AWS account, reachable at [`endpoint`](Self::endpoint). Clones share it.
#[derive(Clone)]
pub(crate) struct Aws {
    account: Rc<RefCell<Account>>,
    port: u16,
    roots: PathBuf,
}

/// The state behind the socket.
#[derive(Default)]
pub(crate) struct Account {
    /// The services themselves.
    pub(crate) services: Services,
    /// The operations that were called, in order.
    pub(crate) calls: Vec<String>,
    /// The minimum delay of each answer.
    pub(crate) delay: Duration,
    /// The actual delays, including the timer's lateness.
    pub(crate) delays: Vec<Duration>,
    /// The rate limits, by operation.
    pub(crate) limits: BTreeMap<&'static str, Limit>,
}

/// A state of the account from which a measurement starts.
#[derive(Clone, Default)]
pub(crate) struct Snapshot {
    rows: Vec<Value>,
    secrets: BTreeMap<String, StoredSecret>,
}

impl Aws {
    /// Listens on a free port, with a certificate from an authority that only this run's contenders
    /// trust.
    pub(crate) async fn start(folder: &Path) -> Result<Self> {
        let (config, authority) = certificate().map_err(Error::machine("a certificate for loopback"))?;
        let roots = folder.join("roots.pem");
        // As many roots as on a real machine, so that loading them costs as much.
        let mut all = std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
        all.push_str(&authority);
        std::fs::write(&roots, all).map_err(Error::file(&roots))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(Error::machine("a port on loopback for the fake AWS"))?;
        let port = listener.local_addr().map_err(Error::machine("the port of the fake AWS"))?.port();
        let aws = Self { account: Rc::default(), port, roots };
        tokio::task::spawn_local(aws.clone().accept(listener, TlsAcceptor::from(Arc::new(config))));
        Ok(aws)
    }

    /// The URL of every service.
    pub(crate) fn endpoint(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// The certificates that a client has to trust.
    pub(crate) fn roots(&self) -> &Path {
        &self.roots
    }

    /// Reads or changes the account.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Account) -> T) -> T {
        act(&mut self.account.borrow_mut())
    }

    /// Takes a snapshot of the account.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.with(|account| Snapshot {
            rows: account.services.database.rows(),
            secrets: account.services.target.secrets.clone(),
        })
    }

    /// Restores the account, without recorded calls, delays or limits.
    pub(crate) fn restore(&self, snapshot: &Snapshot) {
        let mut services = Services::default();
        DEPLOYMENT.clone_into(&mut services.target.deployment);
        services.target.secrets = snapshot.secrets.clone();
        for row in &snapshot.rows {
            services.database.put(row);
        }
        self.with(|account| *account = Account { services, ..Account::default() });
    }

    /// Restores a snapshot's rows and secrets, and leaves other rows unchanged.
    pub(crate) fn put_back(&self, snapshot: &Snapshot) {
        self.with(|account| {
            for row in &snapshot.rows {
                account.services.database.put(row);
            }
            account.services.target.secrets.clone_from(&snapshot.secrets);
        });
    }

    /// The operations called since the last time.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        self.with(|account| std::mem::take(&mut account.calls))
    }

    async fn accept(self, listener: TcpListener, tls: TlsAcceptor) {
        // A connection that fails is reported by its contender.
        while let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn_local(self.clone().serve(stream, tls.clone()));
        }
    }

    async fn serve(self, stream: TcpStream, tls: TlsAcceptor) {
        let _ = stream.set_nodelay(true);
        let Ok(stream) = tls.accept(stream).await else { return };
        let service = service_fn(|request| async { Ok::<_, Infallible>(self.answer(request).await) });
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let received = Instant::now();
        let operation = operation(&request);
        let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes);
        let body: Value = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
        let delay = self.with(|account| {
            account.calls.push(operation.clone());
            account.delay
        });
        let (status, answer) = self.with(|account| account.answer(&operation, &body));
        if !delay.is_zero() {
            // The delay includes the processing time, as it does for a real service.
            tokio::time::sleep_until((received + delay).into()).await;
            self.with(|account| account.delays.push(received.elapsed()));
        }
        let mut response = Response::new(Full::new(Bytes::from(answer.to_string())));
        *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
        let kind = hyper::header::HeaderValue::from_static("application/x-amz-json-1.1");
        response.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
        response
    }
}

impl Account {
    fn answer(&mut self, operation: &str, body: &Value) -> support::Answer {
        if self.limits.get_mut(operation).is_some_and(|limit| !limit.allows()) {
            return refusal("ThrottlingException");
        }
        self.services.answer(operation, body)
    }
}

/// The operation's name in JSON protocols; method and path in the others.
fn operation(request: &Request<Incoming>) -> String {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
    match target {
        Some(target) => target.rsplit('.').next().unwrap_or(target).to_owned(),
        None => format!("{} {}", request.method(), request.uri().path()),
    }
}

/// A server's configuration for `localhost`, and the authority's certificate as PEM.
fn certificate() -> std::result::Result<(ServerConfig, String), Box<dyn std::error::Error>> {
    let authority_key = rcgen::KeyPair::generate()?;
    let mut authority = rcgen::CertificateParams::new(Vec::new())?;
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    // OpenSSL treats a certificate whose issuer and subject have the same name as self-signed.
    authority.distinguished_name.push(rcgen::DnType::CommonName, "the fake AWS's authority");
    authority.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let authority_certificate = authority.self_signed(&authority_key)?;
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate()?;
    let mut leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?;
    leaf.use_authority_key_identifier_extension = true;
    let leaf = leaf.signed_by(&key, &issuer)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((config, authority_certificate.pem()))
}
