//! A proxy between the functions and AWS that injects a fault into one call of one function.
//! HTTP/1.1, with one connection per request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::process;

/// A fault of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The call is throttled; the SDK's retry is not.
    Throttled,
    /// The call and the SDK's retries are throttled.
    ThrottledForGood,
    /// The service returns status 500.
    Internal,
    /// The connection is reset before the call takes effect, and so are those of the SDK's retries.
    ResetForGood,
    /// The call takes effect, and the connection is reset before the answer.
    LostAnswer,
    /// Like [`Fault::LostAnswer`], and the SDK's retries are reset without effect.
    LostForGood,
    /// The call takes effect and is never answered.
    TimedOut,
    /// The call takes effect and is answered late.
    Slow,
    /// The answer of an index or a list is stale: empty.
    StalePage,
    /// The function's process is killed before the call takes effect.
    KilledBefore,
    /// The function's process is killed after the call took effect.
    KilledAfter,
}

impl Fault {
    pub(crate) const ALL: [Self; 11] = [
        Self::Throttled,
        Self::ThrottledForGood,
        Self::Internal,
        Self::ResetForGood,
        Self::LostAnswer,
        Self::LostForGood,
        Self::TimedOut,
        Self::Slow,
        Self::StalePage,
        Self::KilledBefore,
        Self::KilledAfter,
    ];

    /// Whether the function's process is killed, so that its client does not get an answer from the
    /// function.
    pub(crate) fn kills(self) -> bool {
        matches!(self, Self::KilledBefore | Self::KilledAfter)
    }

    fn of_retries(self) -> Option<Self> {
        match self {
            Self::ThrottledForGood => Some(Self::ThrottledForGood),
            Self::ResetForGood | Self::LostForGood => Some(Self::ResetForGood),
            _ => None,
        }
    }
}

/// The proxy. Clones share its state.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) endpoint: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    upstream: Option<SocketAddr>,
    /// The access key whose calls are counted.
    access_key: String,
    planned: Option<(usize, Fault)>,
    calls: Vec<String>,
    retries: HashMap<String, Fault>,
    occurred: bool,
    /// The limit of creations: one in this many is allowed; and the number of creations so far.
    creations: Option<(usize, usize)>,
    throttled: usize,
}

struct Request {
    head: Vec<String>,
    body: Vec<u8>,
}

impl Proxy {
    /// Listens on a free loopback port.
    pub(crate) async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let proxy = Self { endpoint, state: Arc::default() };
        let accepting = proxy.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let proxy = accepting.clone();
                tokio::spawn(async move { proxy.serve(stream).await });
            }
        });
        proxy
    }

    /// Sets the address of AWS.
    pub(crate) fn forward_to(&self, endpoint: &str) {
        let address = endpoint.trim_start_matches("http://").parse().expect("an address");
        self.state().upstream = Some(address);
    }

    /// Starts counting the calls with this access key, and injects the planned fault into the `nth`
    /// one.
    pub(crate) fn arm(&self, access_key: &str, planned: Option<(usize, Fault)>) {
        let upstream = self.state().upstream;
        *self.state() = State { upstream, access_key: access_key.to_owned(), planned, ..State::default() };
    }

    /// Throttles all creations of secrets except one in `one_in`, with any access key. Returns the
    /// number of throttled ones so far. Counts instead of measuring time, so that a slow machine
    /// behaves the same.
    pub(crate) fn limit_creations(&self, one_in: Option<usize>) -> usize {
        let mut state = self.state();
        state.creations = one_in.map(|one_in| (one_in, 0));
        std::mem::take(&mut state.throttled)
    }

    /// Stops counting and injecting. Returns the calls, and whether the fault occurred.
    pub(crate) fn disarm(&self) -> (Vec<String>, bool) {
        let mut state = self.state();
        let upstream = state.upstream;
        let before = std::mem::replace(&mut *state, State { upstream, ..State::default() });
        (before.calls, before.occurred)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves a connection. A client or an emulator that disconnects is not a failure of the proxy.
    async fn serve(&self, mut client: TcpStream) {
        let Some(request) = read(&mut client).await else {
            return;
        };
        match self.next_fault(&request) {
            None => self.forward_and_reply(&request, &mut client).await,
            Some(Fault::Throttled | Fault::ThrottledForGood) => {
                reply(&mut client, 400, &json!({ "__type": "ThrottlingException" })).await;
            }
            Some(Fault::Internal) => {
                reply(&mut client, 500, &json!({ "__type": "InternalServerError" })).await;
            }
            Some(Fault::ResetForGood) => reset(&client),
            Some(Fault::LostAnswer | Fault::LostForGood) => {
                let _ = self.forward(&request).await;
                reset(&client);
            }
            Some(Fault::TimedOut) => {
                let _ = self.forward(&request).await;
                // Wait until the caller times out.
                let _ = client.read(&mut [0]).await;
            }
            Some(Fault::Slow) => {
                let answer = self.forward(&request).await.unwrap_or_default();
                tokio::time::sleep(Duration::from_millis(600)).await;
                let _ = client.write_all(&answer).await;
            }
            Some(fault @ (Fault::KilledBefore | Fault::KilledAfter)) => {
                if fault == Fault::KilledAfter {
                    let _ = self.forward(&request).await;
                }
                process::kill(&client);
            }
            Some(Fault::StalePage) => {
                let empty = json!({ "Items": [], "Count": 0, "ScannedCount": 0, "SecretList": [] });
                reply(&mut client, 200, &empty).await;
            }
        }
    }

    fn next_fault(&self, request: &Request) -> Option<Fault> {
        let mut state = self.state();
        if request.operation() == "CreateSecret" && !state.allows_creation() {
            state.throttled += 1;
            return Some(Fault::Throttled);
        }
        let authorization = request.header("authorization").unwrap_or_default();
        if state.access_key.is_empty()
            || !authorization.contains(&format!("Credential={}/", state.access_key))
        {
            return None;
        }
        let invocation = request.header("amz-sdk-invocation-id").unwrap_or_default().to_owned();
        if let Some(fault) = state.retries.get(&invocation) {
            return Some(*fault);
        }
        state.calls.push(request.operation());
        let (nth, fault) = state.planned?;
        let may_be_stale =
            request.header("x-amz-target").is_some_and(|target| target.ends_with("ListSecrets"))
                || String::from_utf8_lossy(&request.body).contains("\"IndexName\"");
        if nth != state.calls.len() || fault == Fault::StalePage && !may_be_stale {
            return None;
        }
        state.occurred = true;
        if let Some(retries) = fault.of_retries() {
            state.retries.insert(invocation, retries);
        }
        Some(fault)
    }

    async fn forward_and_reply(&self, request: &Request, client: &mut TcpStream) {
        if let Some(answer) = self.forward(request).await {
            let _ = client.write_all(&answer).await;
        }
    }

    async fn forward(&self, request: &Request) -> Option<Vec<u8>> {
        let upstream = self.state().upstream?;
        let mut server = TcpStream::connect(upstream).await.ok()?;
        let kept = request.head.iter().filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
        let kept: Vec<_> = kept.map(String::as_str).collect();
        let sent = format!("{}\r\nconnection: close\r\n\r\n", kept.join("\r\n"));
        server.write_all(sent.as_bytes()).await.ok()?;
        server.write_all(&request.body).await.ok()?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).await.ok()?;
        Some(answer)
    }
}

impl State {
    fn allows_creation(&mut self) -> bool {
        let Some((one_in, count)) = &mut self.creations else {
            return true;
        };
        *count += 1;
        count.is_multiple_of(*one_in)
    }
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn operation(&self) -> String {
        let target = self.header("x-amz-target").and_then(|target| target.rsplit('.').next());
        target.or_else(|| self.head.first().map(String::as_str)).unwrap_or_default().to_owned()
    }
}

/// Reads a request with a `content-length`, which all requests of the SDK have.
async fn read(client: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).lines().map(str::to_owned).collect();
    let mut request = Request { head, body: bytes[end + 4..].to_vec() };
    let length: usize = request.header("content-length").map_or(Ok(0), str::parse).ok()?;
    while request.body.len() < length {
        if client.read_buf(&mut request.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(request)
}

async fn reply(client: &mut TcpStream, status: u16, body: &Value) {
    let body = body.to_string();
    let answer = format!(
        "HTTP/1.1 {status} Answer\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\nconnection: \
         close\r\n\r\n{body}",
        body.len()
    );
    let _ = client.write_all(answer.as_bytes()).await;
}

/// Makes closing the connection send a reset.
fn reset(client: &TcpStream) {
    let _ = client.set_zero_linger();
}
