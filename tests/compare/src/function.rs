//! One contender's process under a Lambda Runtime API of its own
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>), with its processor time and its memory.

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

/// A program, and how it is started.
#[derive(Clone)]
pub(crate) struct Program {
    /// Its name in tables and errors.
    pub(crate) name: String,
    /// The program and its arguments.
    pub(crate) command: Vec<OsString>,
    /// Its whole environment, but for the Runtime API's address.
    pub(crate) environment: Vec<(String, OsString)>,
}

/// A process that serves invocations. It ends with this.
pub(crate) struct Function {
    name: String,
    child: Child,
    clock: ClockId,
    pid: i32,
    log: PathBuf,
    events: mpsc::UnboundedSender<String>,
    told: mpsc::UnboundedReceiver<Told>,
    /// From its start to its first request for an event: wall and processor time.
    pub(crate) init: Spent,
}

/// Time that went by.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Spent {
    /// On the wall.
    pub(crate) wall: Duration,
    /// On processors, all threads.
    pub(crate) cpu: Duration,
}

/// What a process tells the Runtime API.
enum Told {
    /// It asks for an event.
    Ready(Instant),
    /// The answer to the last one.
    Answer(Instant, Bytes),
    /// The last one failed, or the start.
    Failure(Bytes),
}

/// No start and no call takes as long.
const PATIENCE: Duration = Duration::from_mins(1);

impl Function {
    /// Starts a process, and waits until it asks for its first event.
    pub(crate) async fn start(program: &Program, folder: &Path) -> Result<Self> {
        let name = program.name.clone();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(Error::machine("a port on loopback for the Runtime API"))?;
        let address = listener.local_addr().map_err(Error::machine("the port of the Runtime API"))?;
        let (events, to_come) = mpsc::unbounded_channel();
        let (tell, told) = mpsc::unbounded_channel();
        tokio::task::spawn_local(listen(listener, Rc::new(Mutex::new(to_come)), tell));

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
        let mut function = Self { name, child, clock, pid, log, events, told, init: Spent::default() };
        let ready = function.ready().await?;
        function.init = Spent { wall: ready - started, cpu: function.cpu()? };
        Ok(function)
    }

    /// One invocation: its answer, and what it took. The processor time includes what comes after the answer, until the
    /// process asks for the next event.
    pub(crate) async fn invoke(&mut self, event: &Value) -> Result<(Value, Spent)> {
        let event = event.to_string();
        let before = self.cpu()?;
        let asked = Instant::now();
        let _ = self.events.send(event);
        let (answered, body) = match self.next().await? {
            Told::Answer(at, body) => (at, body),
            Told::Failure(body) => return Err(self.failed(&body)),
            Told::Ready(_) => return Err(self.broken("asked for an event before it answered the last one")),
        };
        self.ready().await?;
        let spent = Spent { wall: answered - asked, cpu: self.cpu()?.saturating_sub(before) };
        let answer = serde_json::from_slice(&body).map_err(|_| self.broken("answered what is no JSON"))?;
        Ok((answer, spent))
    }

    /// The most memory that the process held so far, in bytes: `VmHWM` of
    /// <https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>.
    pub(crate) fn peak_memory(&self) -> Result<u64> {
        let path = PathBuf::from(format!("/proc/{}/status", self.pid));
        let status = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kilobytes.map(|kilobytes| kilobytes * 1024).ok_or_else(|| self.broken("has no peak of memory"))
    }

    /// Processor time so far, all threads, user and system.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        self.clock.now().map(Duration::from).map_err(|_| self.broken("ended"))
    }

    async fn ready(&mut self) -> Result<Instant> {
        match self.next().await? {
            Told::Ready(at) => Ok(at),
            Told::Failure(body) => Err(self.failed(&body)),
            Told::Answer(..) => Err(self.broken("answered before it was asked")),
        }
    }

    async fn next(&mut self) -> Result<Told> {
        let told = tokio::select! {
            told = self.told.recv() => told,
            status = self.child.wait() => {
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                return Err(self.broken(&format!("ended: {status}")));
            }
            () = tokio::time::sleep(PATIENCE) => None,
        };
        told.ok_or_else(|| self.broken("did nothing for a minute"))
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

async fn listen(listener: TcpListener, events: Events, tell: mpsc::UnboundedSender<Told>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let (events, tell) = (Rc::clone(&events), tell.clone());
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| {
                let (events, tell) = (Rc::clone(&events), tell.clone());
                async move { Ok::<_, Infallible>(answer(request, &events, &tell).await) }
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    events: &Events,
    tell: &mpsc::UnboundedSender<Told>,
) -> Response<Full<Bytes>> {
    if request.method() == Method::GET {
        let _ = tell.send(Told::Ready(Instant::now()));
        let event = events.lock().await.recv().await.unwrap_or_default();
        return next(event);
    }
    let failed = request.uri().path().ends_with("/error");
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes);
    let body = body.unwrap_or_default();
    let _ = tell.send(if failed { Told::Failure(body) } else { Told::Answer(Instant::now(), body) });
    let mut response = Response::new(Full::new(Bytes::from_static(b"{\"status\":\"OK\"}")));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// An event with the headers that runtimes ask for.
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
