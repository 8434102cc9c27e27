//! A fake of the service for the script: planned answers, and otherwise those of a successful run.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

/// The id of the first launched run.
pub const WORKFLOW: &str = "a1b2XYZ0123456";
/// The user's token, in the service's format.
pub const USER_TOKEN: &str = "eyJ0aWQiOiA3fS4wMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";
/// The run's claim token.
pub const CLAIM_TOKEN: &str = "claim-3q2-7wTokenOnlyOnce_0123456789";
/// The run token, which can only report.
pub const RUN_TOKEN: &str = "eyJ0aWQiOiJhMWIyWFlaMDEyMzQ1NiJ9LmZlZGNiYTk4NzY1NDMyMTA=";
/// The store in the answer to a claim. Its values must not appear anywhere else.
pub const STORE: &str = r#"[{"name":"ANNOTATION_DB_PASSWORD","value":"canary 'db' é !#%"},{"name":"NCBI_API_KEY","value":"canary-7f3a"},{"name":"SENTIEON_LICENSE_BASE64","value":"canary+bGljZW5jZQ=="}]"#;

/// The time limit for waiting in tests.
pub(crate) const TIMEOUT: Duration = Duration::from_mins(3);

/// A received request.
#[derive(Clone, Debug)]
pub struct Request {
    /// `METHOD path?query`.
    pub line: String,
    /// Headers by lower-case name.
    pub headers: HashMap<String, String>,
    /// The body as text.
    pub body: String,
}

impl Request {
    /// Returns a header's value, or an empty string.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// The answer to a request.
pub enum Answer {
    /// A complete answer: status and body.
    Whole(u16, String),
    /// A complete answer with `Retry-After`: status, seconds and body.
    Later(u16, String, String),
    /// An answer whose body is shorter than its `Content-Length`.
    Cut(u16, String),
    /// The connection is closed without an answer.
    Lost,
}

impl Answer {
    /// Creates an error in the service's format.
    #[must_use]
    pub fn error(status: u16, message: &str) -> Self {
        Self::Whole(status, serde_json::json!({ "message": message }).to_string())
    }
}

type Plan = Box<dyn FnOnce(&Request) -> Answer + Send>;

#[derive(Default)]
struct State {
    plans: HashMap<String, VecDeque<Plan>>,
    fixed: HashMap<String, (u16, String)>,
    requests: Vec<Request>,
    runs: BTreeMap<String, &'static str>,
}

/// The fake service. It runs until the test process exits.
#[derive(Clone)]
pub struct Service {
    port: u16,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Service {
    /// Starts on a free loopback port.
    ///
    /// # Panics
    /// If there is no free loopback port.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
        let port = listener.local_addr().expect("the address just bound").port();
        let service = Self { port, state: Arc::default() };
        let serving = service.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                thread::spawn(move || serving.serve(stream));
            }
        });
        service
    }

    /// Returns the base URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Plans the answer to the next request with this line (without query). Several plans are used
    /// in order.
    pub fn next(&self, line: &str, plan: impl FnOnce(&Request) -> Answer + Send + 'static) {
        self.lock().plans.entry(line.to_owned()).or_default().push_back(Box::new(plan));
    }

    /// Replaces the plans for this line (without query).
    pub fn replace_next(&self, line: &str, answer: Answer) {
        self.lock().plans.remove(line);
        self.next(line, |_| answer);
    }

    /// Sets the answer to every request with this line (without query) that has no plan.
    pub fn always(&self, line: &str, status: u16, body: &str) {
        self.lock().fixed.insert(line.to_owned(), (status, body.to_owned()));
    }

    /// Returns all requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    /// Counts the requests whose line starts with this text.
    #[must_use]
    pub fn count(&self, line: &str) -> usize {
        self.requests().iter().filter(|request| request.line.starts_with(line)).count()
    }

    /// Waits until this many requests started with this line.
    ///
    /// # Panics
    /// If they do not arrive in time.
    pub fn wait_for(&self, line: &str, number: usize) {
        let deadline = Instant::now() + TIMEOUT;
        let mut state = self.lock();
        while state.requests.iter().filter(|request| request.line.starts_with(line)).count() < number {
            assert!(
                Instant::now() < deadline,
                "timed out waiting for {number} × {line}: {:?}",
                state.requests
            );
            state = self.state.1.wait_timeout(state, Duration::from_millis(100)).expect("no holder panics").0;
        }
    }

    /// Returns the body of the only request that reported the run's end.
    ///
    /// # Panics
    /// If there is not exactly one.
    #[must_use]
    pub fn end(&self) -> serde_json::Value {
        let line = format!("POST /runs/{WORKFLOW}/end");
        let ends: Vec<_> = self.requests().into_iter().filter(|request| request.line == line).collect();
        assert_eq!(ends.len(), 1, "{ends:?}");
        assert_eq!(ends[0].header("authorization"), format!("Bearer {RUN_TOKEN}"));
        serde_json::from_str(&ends[0].body).expect("a JSON body")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().expect("no holder panics")
    }

    fn serve(&self, mut stream: TcpStream) {
        let Some(request) = read_request(&stream) else { return };
        let path = request.line.split('?').next().unwrap_or_default().to_owned();
        let plan = {
            let mut state = self.lock();
            state.requests.push(request.clone());
            state.plans.get_mut(&path).and_then(VecDeque::pop_front)
        };
        self.state.1.notify_all();
        let answer = plan.map_or_else(|| self.default_answer(&path), |plan| plan(&request));
        // A disconnected client is not an error of the fake service.
        let _ = write_answer(&mut stream, &answer);
        let _ = stream.shutdown(Shutdown::Both);
    }

    fn default_answer(&self, path: &str) -> Answer {
        let mut state = self.lock();
        if let Some((status, body)) = state.fixed.get(path) {
            return Answer::Whole(*status, body.clone());
        }
        if path == "POST /launches" {
            let workflow = match state.runs.len() {
                0 => WORKFLOW.to_owned(),
                number => format!("{}{number:04}", &WORKFLOW[..10]),
            };
            state.runs.insert(workflow.clone(), "pending");
            return Answer::Whole(200, launch_text(&workflow));
        }
        let (method, path) = path.split_once(" /runs/").unwrap_or_default();
        let (workflow, action) = path.split_once('/').unwrap_or((path, ""));
        // Runs that were launched elsewhere exist as well.
        let run = state.runs.entry(workflow.to_owned()).or_insert("pending");
        match (method, action, *run) {
            ("POST", "claim", "pending") => {
                *run = "running";
                Answer::Whole(200, STORE.to_owned())
            }
            ("POST", "claim", _) => Answer::error(410, "claimed already"),
            ("POST", "heartbeat", run) | ("GET", "", run) => Answer::Whole(200, state_text(workflow, run)),
            ("POST", "end", _) => {
                *run = "ended";
                Answer::Whole(200, state_text(workflow, run))
            }
            _ => Answer::error(404, "no such run"),
        }
    }
}

/// The state of a run in the text format for shells.
fn state_text(workflow: &str, state: &str) -> String {
    format!("workflowId={workflow}\nstate={state}\n")
}

/// The answer to a launch in the text format for shells.
fn launch_text(workflow: &str) -> String {
    format!(
        "workflowId={workflow}\nstate=pending\nexpires=2026-12-24T00:00:00Z\nrunToken={RUN_TOKEN}\nclaimToken={CLAIM_TOKEN}\n"
    )
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let line = first.rsplit_once(' ')?.0.to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { line, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

fn write_answer(stream: &mut TcpStream, answer: &Answer) -> std::io::Result<()> {
    let (status, body, missing, header) = match answer {
        Answer::Whole(status, body) => (status, body, 0, String::new()),
        Answer::Later(status, pause, body) => (status, body, 0, format!("Retry-After: {pause}\r\n")),
        Answer::Cut(status, body) => (status, body, 10, String::new()),
        Answer::Lost => return Ok(()),
    };
    let length = body.len() + missing;
    write!(
        stream,
        "HTTP/1.1 {status} Status\r\n{header}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}
