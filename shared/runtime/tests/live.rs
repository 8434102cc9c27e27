//! The entry point under `lambda_runtime`, against a fake Runtime API: what is printed and sent
//! when a handler answers, fails or panics while it processes a value, and when an event is not
//! JSON.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use runtime::{Clients, Failed, Invocation};
use serde_json::value::RawValue;

const CANARY: &str = "canary-71c2";

/// The function. The tests below start this test program again.
#[test]
#[ignore = "started by the other tests"]
fn function() {
    let code = runtime::run(async |_: &Clients| {
        let table = runtime::config::load::<runtime::config::Table>(runtime::config::process)?;
        Ok(async move |invocation: Invocation| {
            assert_eq!(table.name, "prod-Table");
            assert!(domain::ports::Backoff::remaining(invocation.deadline()).as_secs() > 60);
            match invocation.payload().get() {
                text if text.contains("panic") => panic!("{text}"),
                text if text.contains("fail") => Err(Failed::from(&domain::Error::Invalid(text.to_owned()))),
                text => {
                    Ok(RawValue::from_string(format!(r#"{{"{}":{text}}}"#, invocation.request_id())).unwrap())
                }
            }
        })
    });
    std::process::exit(i32::from(code != std::process::ExitCode::SUCCESS));
}

/// The path and body of a report.
type Posted = (String, String);

fn start(api: &str, table: Option<&str>) -> Child {
    let mut function = Command::new(std::env::current_exe().unwrap());
    function
        .args(["function", "--exact", "--ignored", "--nocapture"])
        .env("AWS_LAMBDA_RUNTIME_API", api)
        .env("AWS_LAMBDA_FUNCTION_NAME", "f")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("LOG_LEVEL", "TRACE")
        .env("RUST_LOG", "trace")
        .env("AWS_REGION", "eu-central-1")
        .env_remove("TABLE_NAME")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(table) = table {
        function.env("TABLE_NAME", table);
    }
    function.spawn().unwrap()
}

/// Sends these events to the function and closes the connection. Returns its reports and its
/// output.
fn play(events: &[&str]) -> (Vec<Posted>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let function = start(&address.to_string(), Some("prod-Table"));
    // If the function exits without a call, this connection ends `accept`.
    let ended = std::thread::spawn(move || {
        let output = function.wait_with_output().unwrap();
        let _ = TcpStream::connect(address);
        output
    });
    let (stream, _) = listener.accept().unwrap();
    let mut posted = Vec::new();
    let mut events = events.iter();
    let mut requests = BufReader::new(stream.try_clone().unwrap());
    while let Some((line, body)) = request(&mut requests) {
        if line.starts_with("GET ") {
            let Some(event) = events.next() else { break };
            reply(&stream, event);
        } else {
            posted.push((line, body));
            reply(&stream, "{}");
        }
    }
    drop((stream, requests, listener));
    let output = ended.join().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (posted, String::from_utf8(printed).unwrap())
}

fn request(stream: &mut BufReader<TcpStream>) -> Option<Posted> {
    let mut first = String::new();
    stream.read_line(&mut first).ok().filter(|read| *read > 0)?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((first.trim().to_owned(), String::from_utf8(body).unwrap()))
}

fn reply(mut stream: &TcpStream, body: &str) {
    let headers = "lambda-runtime-aws-request-id: r-1\r\nlambda-runtime-invoked-function-arn: arn\r\n\
                   lambda-runtime-deadline-ms: 9999999999999\r\nlambda-runtime-trace-id: t-1";
    write!(stream, "HTTP/1.1 200 OK\r\n{headers}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
}

#[test]
fn an_answer_is_sent_unchanged_and_not_printed() {
    let event = format!(r#"{{ "a" : "{CANARY}" }}"#);
    let (posted, printed) = play(&[&event]);
    assert!(posted[0].0.contains("/invocation/r-1/response"));
    assert_eq!(posted[0].1, format!(r#"{{"r-1":{event}}}"#));
    assert!(!printed.contains(CANARY), "{printed}");
}

#[test]
fn failures_panics_and_events_that_are_not_json_show_only_a_code_and_a_location() {
    let fail = format!(r#"{{"fail":"{CANARY}"}}"#);
    let panic = format!(r#"{{"panic":"{CANARY}"}}"#);
    let broken = format!(r#"{{"a":"{CANARY}","b":{CANARY}}}"#);
    let (posted, printed) = play(&[&fail, &panic, &broken, &fail]);
    assert_eq!(posted.len(), 4, "{posted:?}");
    assert!(posted.iter().all(|(line, _)| line.contains("/invocation/r-1/error")), "{posted:?}");
    assert!(posted[0].1.contains("the invocation failed (invalid)"), "{posted:?}");
    assert!(posted[1].1.contains("the invocation failed (panicked)"), "{posted:?}");
    assert!(posted[3].1.contains("invalid"), "it continues after a panic");
    assert!(!format!("{posted:?}").contains(CANARY), "{posted:?}");
    assert!(!printed.contains(CANARY), "{printed}");
    assert!(printed.contains(r#""message":"panicked""#) && printed.contains("live.rs"), "{printed}");
    assert!(printed.contains(r#""requestId":"r-1""#), "{printed}");
}

#[test]
fn a_missing_variable_ends_the_process_and_is_named() {
    let output = start("127.0.0.1:1", None).wait_with_output().unwrap();
    assert!(!output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("TABLE_NAME is missing and must be a table name"), "{printed}");
}
