//! A function that fails while it processes a value: by a panic, an error, or an event that cannot
//! be read. Neither its output nor its report to Lambda contains the value.
//!
//! This program is also the function, if its environment contains a Runtime API
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Trial};
use runtime::{Clients, Failed, Invocation};

/// The value that every event contains and no output may contain.
const VALUE: &str = "kAnArIeNvOgEl";
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

fn main() -> ExitCode {
    match std::env::var_os(RUNTIME_API) {
        Some(_) => function(),
        None => tests(),
    }
}

/// Fails in the way that the event names.
fn function() -> ExitCode {
    runtime::run(async |_: &Clients| {
        Ok(async |invocation: Invocation| {
            let event = invocation.payload().get();
            match event {
                _ if event.contains("\"panics\"") => panic!("{event}"),
                // The standard library quotes the text to cut, and the unexpected value.
                _ if event.contains("\"cuts\"") => panic!("{}", &event[..=event.len()]),
                _ if event.contains("\"expects\"") => {
                    let number: Result<u64, &str> = event.parse().map_err(|_| event);
                    panic!("{}", number.expect("a number"))
                }
                _ => Err(Failed::new("as-requested")),
            }
        })
    })
}

fn tests() -> ExitCode {
    let tests: [(_, fn()); 3] = [
        (
            "a_panic_shows_its_location_and_nothing_of_the_event",
            a_panic_shows_its_location_and_nothing_of_the_event,
        ),
        (
            "an_error_shows_its_code_and_nothing_of_the_event",
            an_error_shows_its_code_and_nothing_of_the_event,
        ),
        ("an_event_that_is_not_json_is_not_shown", an_event_that_is_not_json_is_not_shown),
    ];
    let trial = |(name, test): (&str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    libtest_mimic::run(&Arguments::from_args(), tests.map(trial).into()).exit_code()
}

fn a_panic_shows_its_location_and_nothing_of_the_event() {
    for how in ["panics", "cuts", "expects"] {
        let (printed, reported) = run(&format!("{{\"{how}\":\"{VALUE}\"}}"));
        assert!(reported.contains("the invocation failed (panicked)"), "{how}: {reported}");
        assert!(printed.contains(&format!("\"location\":\"{}", file!())), "{how}: {printed}");
        assert!(!printed.contains(VALUE) && !reported.contains(VALUE), "{how}: {printed} {reported}");
    }
}

fn an_error_shows_its_code_and_nothing_of_the_event() {
    let (printed, reported) = run(&format!("{{\"fails\":\"{VALUE}\"}}"));
    assert!(reported.contains("the invocation failed (as-requested)"), "{reported}");
    assert!(printed.contains("\"error.code\":\"as-requested\""), "{printed}");
    assert!(!printed.contains(VALUE) && !reported.contains(VALUE), "{printed} {reported}");
}

fn an_event_that_is_not_json_is_not_shown() {
    for event in [format!("{{\"fails\":\"{VALUE}"), VALUE.to_owned(), format!("[\"{VALUE}\",\u{1}]")] {
        let (printed, reported) = run(&event);
        assert!(!reported.is_empty(), "{event}: no report");
        assert!(!printed.contains(VALUE) && !reported.contains(VALUE), "{event}: {printed} {reported}");
    }
}

/// Runs the function for one event, with the most verbose settings. Returns its output and the body
/// of its report to Lambda.
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
    let reported = serve(&lambda, event);
    let _ = function.kill();
    let output = function.wait_with_output().expect("its output");
    let printed = [output.stdout, output.stderr].concat();
    (String::from_utf8(printed).expect("text"), reported)
}

/// Sends the event to the first connection that requests it, and returns the report. Keeps
/// connections open, as Lambda does.
fn serve(lambda: &TcpListener, event: &str) -> String {
    let mut events = Some(event);
    loop {
        let (stream, _) = lambda.accept().expect("a connection");
        if let Some(reported) = serve_connection(stream, &mut events) {
            return reported;
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
