//! A function's process that fails with a value in its hands: by a panic, an error, an event that cannot be read. What it
//! prints and what it tells Lambda holds nothing of it.
//!
//! This program is the function as well, where it finds a Runtime API
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>) in its environment.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Trial};
use runtime::{Clients, Failed, Invocation};

/// What may be nowhere: every event holds it.
const VALUE: &str = "kAnArIeNvOgEl";
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

fn main() -> ExitCode {
    match std::env::var_os(RUNTIME_API) {
        Some(_) => function(),
        None => tests(),
    }
}

/// Fails as it is told.
fn function() -> ExitCode {
    runtime::run(async |_: &Clients| {
        Ok(async |invocation: Invocation| {
            let event = invocation.payload().get();
            match event {
                _ if event.contains("\"panics\"") => panic!("{event}"),
                // The standard library quotes what it was to cut, and what was not expected.
                _ if event.contains("\"cuts\"") => panic!("{}", &event[..=event.len()]),
                _ if event.contains("\"expects\"") => {
                    let number: Result<u64, &str> = event.parse().map_err(|_| event);
                    panic!("{}", number.expect("a number"))
                }
                _ => Err(Failed::new("as-told")),
            }
        })
    })
}

fn tests() -> ExitCode {
    let tests: [(_, fn()); 3] = [
        (
            "a_panic_shows_its_place_and_nothing_of_the_event",
            a_panic_shows_its_place_and_nothing_of_the_event,
        ),
        (
            "an_error_shows_its_code_and_nothing_of_the_event",
            an_error_shows_its_code_and_nothing_of_the_event,
        ),
        ("an_event_that_is_no_json_is_not_shown", an_event_that_is_no_json_is_not_shown),
    ];
    let trial = |(name, test): (&str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    libtest_mimic::run(&Arguments::from_args(), tests.map(trial).into()).exit_code()
}

fn a_panic_shows_its_place_and_nothing_of_the_event() {
    for how in ["panics", "cuts", "expects"] {
        let (printed, told) = run(&format!("{{\"{how}\":\"{VALUE}\"}}"));
        assert!(told.contains("the invocation failed (panicked)"), "{how}: {told}");
        assert!(printed.contains(&format!("\"location\":\"{}", file!())), "{how}: {printed}");
        assert!(!printed.contains(VALUE) && !told.contains(VALUE), "{how}: {printed} {told}");
    }
}

fn an_error_shows_its_code_and_nothing_of_the_event() {
    let (printed, told) = run(&format!("{{\"fails\":\"{VALUE}\"}}"));
    assert!(told.contains("the invocation failed (as-told)"), "{told}");
    assert!(printed.contains("\"error.code\":\"as-told\""), "{printed}");
    assert!(!printed.contains(VALUE) && !told.contains(VALUE), "{printed} {told}");
}

fn an_event_that_is_no_json_is_not_shown() {
    for event in [format!("{{\"fails\":\"{VALUE}"), VALUE.to_owned(), format!("[\"{VALUE}\",\u{1}]")] {
        let (printed, told) = run(&event);
        assert!(!told.is_empty(), "{event} was answered by nothing");
        assert!(!printed.contains(VALUE) && !told.contains(VALUE), "{event}: {printed} {told}");
    }
}

/// Runs the function for one event, at the most verbose that any setting makes it; gives what it printed, and the body of
/// what it told Lambda.
fn run(event: &str) -> (String, String) {
    let lambda = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut function = Command::new(std::env::current_exe().expect("this program"));
    function.env(RUNTIME_API, lambda.local_addr().expect("its address").to_string());
    function.envs([("LOG_LEVEL", "TRACE"), ("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full")]);
    function.envs([("AWS_LAMBDA_LOG_LEVEL", "TRACE"), ("AWS_LAMBDA_LOG_FORMAT", "JSON")]);
    function.envs([("AWS_LAMBDA_FUNCTION_NAME", "fails"), ("AWS_LAMBDA_FUNCTION_VERSION", "1")]);
    function.env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128");
    let mut function = function
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    let told = serve(&lambda, event);
    let _ = function.kill();
    let output = function.wait_with_output().expect("its output");
    let printed = [output.stdout, output.stderr].concat();
    (String::from_utf8(printed).expect("text"), told)
}

/// Gives the event to whoever asks first, and waits for what is said of it. Connections are kept, as Lambda does.
fn serve(lambda: &TcpListener, event: &str) -> String {
    let mut events = Some(event);
    loop {
        let (stream, _) = lambda.accept().expect("a connection");
        if let Some(told) = serve_connection(stream, &mut events) {
            return told;
        }
    }
}

fn serve_connection(mut stream: TcpStream, events: &mut Option<&str>) -> Option<String> {
    let mut reader = BufReader::new(stream.try_clone().expect("the connection"));
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if reader.read_until(b'\n', &mut head).ok()? == 0 {
                return None;
            }
        }
        let head = String::from_utf8(head).expect("a head").to_ascii_lowercase();
        if head.starts_with("get") {
            let event = events.take()?;
            let length = event.len();
            let headers = "lambda-runtime-aws-request-id: r-1\r\nlambda-runtime-deadline-ms: 4102444800000\r\n\
                           lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-west-1:111122223333:function:fails";
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{headers}\r\n\r\n{event}").ok()?;
            continue;
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.expect("a length")];
        reader.read_exact(&mut body).ok()?;
        return Some(String::from_utf8(body).expect("text"));
    }
}
