//! A proxy between the functions and AWS that makes one call of one function go wrong. HTTP/1.1, a connection for each
//! request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::process;

/// What becomes of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// It is throttled; the SDK's repeat is not.
    Throttled,
    /// It and the SDK's repeats of it are throttled.
    ThrottledForGood,
    /// The service fails with status 500.
    Internal,
    /// The connection is reset before anything happens; so are the SDK's repeats.
    ResetForGood,
    /// It takes effect, and the connection is reset before the answer.
    LostAnswer,
    /// As [`Way::LostAnswer`]; the SDK's repeats are reset without effect.
    LostForGood,
    /// It takes effect, and there is never an answer.
    TimedOut,
    /// It takes effect, and is answered late.
    Slow,
    /// An index or a list is answered as it was before anything was there.
    StalePage,
    /// The function's process is killed before it takes effect.
    DiesBefore,
    /// The function's process is killed after it took effect.
    DiesAfter,
}

impl Way {
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
        Self::DiesBefore,
        Self::DiesAfter,
    ];

    /// Whether the function's process ends: its client is told nothing that the function said.
    pub(crate) fn kills(self) -> bool {
        matches!(self, Self::DiesBefore | Self::DiesAfter)
    }

    fn of_repeats(self) -> Option<Self> {
        match self {
            Self::ThrottledForGood => Some(Self::ThrottledForGood),
            Self::ResetForGood | Self::LostForGood => Some(Self::ResetForGood),
            _ => None,
        }
    }
}

/// The proxy. Clones are one.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) endpoint: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    upstream: Option<SocketAddr>,
    /// Whose calls are counted: an access key.
    whose: String,
    planned: Option<(usize, Way)>,
    met: Vec<String>,
    repeats: HashMap<String, Way>,
    happened: bool,
    /// One creation of a secret in how many goes through, and how many came.
    creations: Option<(usize, usize)>,
    throttled: usize,
}

struct Request {
    head: Vec<String>,
    body: Vec<u8>,
}

impl Proxy {
    /// Listens on a free port of loopback.
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

    /// What is behind it.
    pub(crate) fn forward_to(&self, endpoint: &str) {
        let address = endpoint.trim_start_matches("http://").parse().expect("an address");
        self.state().upstream = Some(address);
    }

    /// Counts the calls that carry this access key from here on, and makes the `nth` go this way.
    pub(crate) fn arm(&self, whose: &str, planned: Option<(usize, Way)>) {
        let upstream = self.state().upstream;
        *self.state() = State { upstream, whose: whose.to_owned(), planned, ..State::default() };
    }

    /// Throttles all creations of secrets but one in so many, whosever they are; gives how many were until now. By number
    /// and not by time, so that a slow machine sees the same.
    pub(crate) fn limit_creations(&self, one_in: Option<usize>) -> usize {
        let mut state = self.state();
        state.creations = one_in.map(|many| (many, 0));
        std::mem::take(&mut state.throttled)
    }

    /// Lets everything pass; gives what was called, and whether the fault happened.
    pub(crate) fn disarm(&self) -> (Vec<String>, bool) {
        let mut state = self.state();
        let upstream = state.upstream;
        let was = std::mem::replace(&mut *state, State { upstream, ..State::default() });
        (was.met, was.happened)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client or an emulator that goes away in the middle is no failure of the proxy.
    async fn serve(&self, mut client: TcpStream) {
        let Some(request) = read(&mut client).await else {
            return;
        };
        match self.meet(&request) {
            None => self.pass(&request, &mut client).await,
            Some(Way::Throttled | Way::ThrottledForGood) => {
                reply(&mut client, 400, &json!({ "__type": "ThrottlingException" })).await;
            }
            Some(Way::Internal) => {
                reply(&mut client, 500, &json!({ "__type": "InternalServerError" })).await;
            }
            Some(Way::ResetForGood) => reset(&client),
            Some(Way::LostAnswer | Way::LostForGood) => {
                let _ = self.ask(&request).await;
                reset(&client);
            }
            Some(Way::TimedOut) => {
                let _ = self.ask(&request).await;
                // Until the caller gives up.
                let _ = client.read(&mut [0]).await;
            }
            Some(Way::Slow) => {
                let answer = self.ask(&request).await.unwrap_or_default();
                tokio::time::sleep(Duration::from_millis(600)).await;
                let _ = client.write_all(&answer).await;
            }
            Some(way @ (Way::DiesBefore | Way::DiesAfter)) => {
                if way == Way::DiesAfter {
                    let _ = self.ask(&request).await;
                }
                process::kill(&client);
            }
            Some(Way::StalePage) => {
                let empty = json!({ "Items": [], "Count": 0, "ScannedCount": 0, "SecretList": [] });
                reply(&mut client, 200, &empty).await;
            }
        }
    }

    fn meet(&self, request: &Request) -> Option<Way> {
        let mut state = self.state();
        if request.operation() == "CreateSecret" && !state.allows_creation() {
            state.throttled += 1;
            return Some(Way::Throttled);
        }
        let authorization = request.header("authorization").unwrap_or_default();
        if state.whose.is_empty() || !authorization.contains(&format!("Credential={}/", state.whose)) {
            return None;
        }
        let invocation = request.header("amz-sdk-invocation-id").unwrap_or_default().to_owned();
        if let Some(way) = state.repeats.get(&invocation) {
            return Some(*way);
        }
        state.met.push(request.operation());
        let (nth, way) = state.planned?;
        let may_be_stale =
            request.header("x-amz-target").is_some_and(|target| target.ends_with("ListSecrets"))
                || String::from_utf8_lossy(&request.body).contains("\"IndexName\"");
        if nth != state.met.len() || way == Way::StalePage && !may_be_stale {
            return None;
        }
        state.happened = true;
        if let Some(repeats) = way.of_repeats() {
            state.repeats.insert(invocation, repeats);
        }
        Some(way)
    }

    async fn pass(&self, request: &Request, client: &mut TcpStream) {
        if let Some(answer) = self.ask(request).await {
            let _ = client.write_all(&answer).await;
        }
    }

    async fn ask(&self, request: &Request) -> Option<Vec<u8>> {
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
        let Some((many, came)) = &mut self.creations else {
            return true;
        };
        *came += 1;
        came.is_multiple_of(*many)
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

/// A request whose body has a stated length, as all of the SDK's have.
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

/// Closes so that the other side sees a reset.
fn reset(client: &TcpStream) {
    let _ = client.set_zero_linger();
}
