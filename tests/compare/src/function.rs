//! Runs one contender's process against a separate Lambda Runtime API
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>), and measures its processor
//! time and memory.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};

use crate::error::{Error, Result};

/// A program and how to start it.
#[derive(Clone)]
pub(crate) struct Program {
    /// Its name in tables and errors.
    pub(crate) name: String,
    /// The program and its arguments.
    pub(crate) command: Vec<OsString>,
    /// Its whole environment, except the Runtime API's address.
    pub(crate) environment: Vec<(String, OsString)>,
}

/// A process that serves invocations. Dropping this value stops it.
pub(crate) struct Function {
    name: String,
    child: Child,
    clock: ClockId,
    pid: i32,
    log: PathBuf,
    events: mpsc::UnboundedSender<String>,
    requests: mpsc::UnboundedReceiver<RuntimeRequest>,
    /// Time from its start to its first request for an event.
    pub(crate) init: Spent,
}

/// Elapsed time.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Spent {
    /// Wall-clock time.
    pub(crate) wall: Duration,
    /// Processor time of all threads.
    pub(crate) cpu: Duration,
}

/// A request of the process to the Runtime API.
enum RuntimeRequest {
    /// The process requests its next event.
    Ready(Instant),
    /// The answer to the last event.
    Answer(Instant, Bytes),
    /// The last event or the start failed.
    Failure(Bytes),
}

/// The time limit for a start or a call.
const TIMEOUT: Duration = Duration::from_mins(1);

impl Function {
    /// Starts a process and waits until it requests its first event.
    pub(crate) async fn start(program: &Program, folder: &Path) -> Result<Self> {
        let name = program.name.clone();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(Error::machine("a port on loopback for the Runtime API"))?;
        let address = listener.local_addr().map_err(Error::machine("the port of the Runtime API"))?;
        let (events, pending) = mpsc::unbounded_channel();
        let (sender, requests) = mpsc::unbounded_channel();
        tokio::task::spawn_local(listen(listener, Rc::new(Mutex::new(pending)), sender));

        let log = folder.join(format!("{}.log", name.replace(['/', ' '], "-")));
        let output = File::create(&log).map_err(Error::file(&log))?;
        let errors = output.try_clone().map_err(Error::file(&log))?;
        let started = Instant::now();
        let (executable, arguments) = program
            .command
            .split_first()
            .ok_or_else(|| Error::Machine { what: name.clone(), reason: "it has no command".to_owned() })?;
        let child = Command::new(executable)
            .args(arguments)
            .env_clear()
            .envs(program.environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::machine(format!("starting {name}, {}", executable.display())))?;
        let pid = i32::try_from(child.id().unwrap_or_default()).unwrap_or_default();
        let clock = clock_getcpuclockid(Pid::from_raw(pid)).map_err(Error::machine("a process's clock"))?;
        let mut function = Self { name, child, clock, pid, log, events, requests, init: Spent::default() };
        let ready = function.ready().await?;
        function.init = Spent { wall: ready - started, cpu: function.cpu()? };
        Ok(function)
    }

    /// Invokes the function, and returns its answer and the time it took. The processor time
    /// includes the work after the answer, until the process requests the next event.
    pub(crate) async fn invoke(&mut self, event: &Value) -> Result<(Value, Spent)> {
        let event = event.to_string();
        let before = self.cpu()?;
        let sent = Instant::now();
        let _ = self.events.send(event);
        let (answered, body) = match self.next().await? {
            RuntimeRequest::Answer(at, body) => (at, body),
            RuntimeRequest::Failure(body) => return Err(self.failed(&body)),
            RuntimeRequest::Ready(_) => {
                return Err(self.broken("requested an event before answering the last one"));
            }
        };
        self.ready().await?;
        let spent = Spent { wall: answered - sent, cpu: self.cpu()?.saturating_sub(before) };
        let answer =
            serde_json::from_slice(&body).map_err(|_| self.broken("returned an answer that is not JSON"))?;
        Ok((answer, spent))
    }

    /// Peak memory of the process so far, in bytes: `VmHWM` of
    /// <https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>.
    pub(crate) fn peak_memory(&self) -> Result<u64> {
        let path = PathBuf::from(format!("/proc/{}/status", self.pid));
        let status = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kilobytes
            .map(|kilobytes| kilobytes * 1024)
            .ok_or_else(|| self.broken("has no VmHWM in its /proc status"))
    }

    /// Processor time so far, all threads, user and system.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        self.clock.now().map(Duration::from).map_err(|_| self.broken("exited"))
    }

    async fn ready(&mut self) -> Result<Instant> {
        match self.next().await? {
            RuntimeRequest::Ready(at) => Ok(at),
            RuntimeRequest::Failure(body) => Err(self.failed(&body)),
            RuntimeRequest::Answer(..) => Err(self.broken("answered without an event")),
        }
    }

    async fn next(&mut self) -> Result<RuntimeRequest> {
        let request = tokio::select! {
            request = self.requests.recv() => request,
            status = self.child.wait() => {
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                return Err(self.broken(&format!("exited: {status}")));
            }
            () = tokio::time::sleep(TIMEOUT) => None,
        };
        request.ok_or_else(|| self.broken("did not respond for a minute"))
    }

    fn failed(&self, body: &Bytes) -> Error {
        self.broken(&format!(
            "failed: {}",
            String::from_utf8_lossy(body).chars().take(300).collect::<String>()
        ))
    }

    fn broken(&self, what: &str) -> Error {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let log = log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("empty").to_owned();
        Error::Contender { contender: self.name.clone(), what: what.to_owned(), log }
    }
}

type Events = Rc<Mutex<mpsc::UnboundedReceiver<String>>>;

async fn listen(listener: TcpListener, events: Events, sender: mpsc::UnboundedSender<RuntimeRequest>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let (events, sender) = (Rc::clone(&events), sender.clone());
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| {
                let (events, sender) = (Rc::clone(&events), sender.clone());
                async move { Ok::<_, Infallible>(answer(request, &events, &sender).await) }
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    events: &Events,
    sender: &mpsc::UnboundedSender<RuntimeRequest>,
) -> Response<Full<Bytes>> {
    if request.method() == Method::GET {
        let _ = sender.send(RuntimeRequest::Ready(Instant::now()));
        let event = events.lock().await.recv().await.unwrap_or_default();
        return next(event);
    }
    let failed = request.uri().path().ends_with("/error");
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes);
    let body = body.unwrap_or_default();
    let _ = sender.send(match failed {
        true => RuntimeRequest::Failure(body),
        false => RuntimeRequest::Answer(Instant::now(), body),
    });
    let mut response = Response::new(Full::new(Bytes::from_static(b"{\"status\":\"OK\"}")));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// An event with the headers that runtimes need.
fn next(event: String) -> Response<Full<Bytes>> {
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + Duration::from_secs(29);
    let mut response = Response::new(Full::new(Bytes::from(event)));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert(
        "lambda-runtime-aws-request-id",
        HeaderValue::from_static("8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
    );
    headers.insert(
        "lambda-runtime-invoked-function-arn",
        HeaderValue::from_static("arn:aws:lambda:eu-west-1:111122223333:function:compare"),
    );
    headers.insert(
        "lambda-runtime-deadline-ms",
        HeaderValue::from_str(&deadline.as_millis().to_string())
            .unwrap_or_else(|_| HeaderValue::from_static("0")),
    );
    response
}
