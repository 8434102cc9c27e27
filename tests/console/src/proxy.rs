//! A proxy between the browser and the API. It records every request and injects failures.
//! HTTP/1.1, with one connection per request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A request of the browser.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The method and the path with the query.
    pub line: String,
    /// The headers, one per line, with names as they were sent.
    pub headers: String,
    /// The body.
    pub body: String,
}

impl Sent {
    /// Returns a header, or an empty text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let line = self.headers.lines().filter_map(|line| line.split_once(": "));
        line.filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .next()
            .unwrap_or_default()
    }
}

/// A failure of one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This answer, without the request having reached the API: status, `Retry-After`, body.
    Answer(u16, Option<u32>, String),
    /// The request takes effect, and the connection breaks before the answer.
    LostAnswer,
}

/// The proxy. Clones share its state.
#[derive(Clone)]
pub struct Proxy {
    /// Its base URL.
    pub endpoint: String,
    upstream: String,
    http: reqwest::Client,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    sent: Vec<Sent>,
    planned: Vec<(String, Fault)>,
}

impl Proxy {
    /// Listens on a free loopback port in front of the API.
    pub async fn start(api: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        let proxy = Self { endpoint, upstream: api.to_owned(), http, state: Arc::default() };
        let accepting = proxy.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let proxy = accepting.clone();
                // A browser may close a connection at any time.
                tokio::spawn(async move { proxy.serve(stream).await.ok() });
            }
        });
        proxy
    }

    /// Lets the next request fail whose method and path begin with `line`.
    pub fn fail_next(&self, line: &str, fault: Fault) {
        self.state().planned.push((line.to_owned(), fault));
    }

    /// Returns all requests so far.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.state().sent.clone()
    }

    /// Returns the requests whose method and path begin with `line`.
    #[must_use]
    pub fn sent_to(&self, line: &str) -> Vec<Sent> {
        self.sent().into_iter().filter(|sent| sent.line.starts_with(line)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let Some(sent) = read_request(&mut stream).await? else { return Ok(()) };
        let fault = {
            let mut state = self.state();
            state.sent.push(sent.clone());
            let found = state.planned.iter().position(|(line, _)| sent.line.starts_with(line));
            found.map(|index| state.planned.remove(index).1)
        };
        let answer = match fault {
            Some(Fault::Answer(status, after, body)) => {
                let after = after.map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
                write_answer(status, &format!("content-type: application/json\r\n{after}"), body.as_bytes())
            }
            fault => {
                let answer = self.forward(&sent).await;
                if matches!(fault, Some(Fault::LostAnswer)) {
                    return Ok(());
                }
                answer
            }
        };
        stream.write_all(&answer).await?;
        stream.shutdown().await
    }

    async fn forward(&self, sent: &Sent) -> Vec<u8> {
        let (method, path) = sent.line.split_once(' ').unwrap_or_default();
        let mut request =
            self.http.request(method.parse().expect("a method"), format!("{}{path}", self.upstream));
        for line in sent.headers.lines() {
            let (name, value) = line.split_once(": ").unwrap_or_default();
            if !["host", "connection", "content-length", "accept-encoding"]
                .contains(&name.to_lowercase().as_str())
            {
                request = request.header(name, value);
            }
        }
        let Ok(answer) = request.body(sent.body.clone()).send().await else {
            return write_answer(502, "", b"");
        };
        let status = answer.status().as_u16();
        let mut headers = String::new();
        for (name, value) in answer.headers() {
            if !["connection", "content-length", "transfer-encoding"].contains(&name.as_str()) {
                headers.extend([name.as_str(), ": ", &String::from_utf8_lossy(value.as_bytes()), "\r\n"]);
            }
        }
        write_answer(status, &headers, &answer.bytes().await.unwrap_or_default())
    }
}

async fn read_request(stream: &mut TcpStream) -> std::io::Result<Option<Sent>> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let (line, headers) = text.split_once("\r\n").unwrap_or_default();
    let line = line.trim_end_matches(" HTTP/1.1").to_owned();
    let mut sent = Sent { line, headers: headers.replace("\r\n", "\n"), body: String::new() };
    let length: usize = sent.header("content-length").parse().unwrap_or_default();
    while bytes.len() < head + 4 + length {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    sent.body = String::from_utf8_lossy(&bytes[head + 4..]).into_owned();
    Ok(Some(sent))
}

fn write_answer(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = if status == 204 { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let mut answer =
        format!("HTTP/1.1 {status} x\r\n{headers}{length}connection: close\r\n\r\n").into_bytes();
    answer.extend_from_slice(body);
    answer
}
