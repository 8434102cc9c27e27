//! Timeouts, retries and endpoints of the clients, tested with a KMS client.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use aws_failures::fake::{Answer, FakeAws};
use runtime::Clients;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_ends_within_the_operation_timeout() {
    let aws = FakeAws::answering([Answer::Never]);
    let clients = Clients::of(&aws.sdk_config());
    for (config, limit) in [(clients.data(), 3), (clients.control(), 6)] {
        let before = Instant::now();
        aws_sdk_kms::Client::new(config).describe_key().key_id("k").send().await.unwrap_err();
        let took = before.elapsed();
        assert!(took <= Duration::from_millis(limit * 1_000 + 10), "{took:?}");
        assert!(aws.seen().len() > 1, "retried");
    }
}

#[tokio::test(start_paused = true)]
async fn throttled_calls_are_retried_a_limited_number_of_times() {
    for (attempts, pick) in [(4, Clients::data as fn(&Clients) -> &_), (6, Clients::control)] {
        let aws = FakeAws::answering([Answer::error(400, "ThrottlingException", "")]);
        let clients = Clients::of(&aws.sdk_config());
        aws_sdk_kms::Client::new(pick(&clients)).describe_key().key_id("k").send().await.unwrap_err();
        assert_eq!(aws.seen().len(), attempts);
    }
}

/// The test below starts this program with an endpoint in its environment.
#[tokio::test]
#[ignore = "started by the other test"]
async fn caller() {
    let clients = Clients::load();
    aws_sdk_kms::Client::new(clients.data()).describe_key().key_id("k").send().await.unwrap();
}

#[test]
fn endpoints_come_from_the_environment_for_all_services_or_one() {
    for variables in [["AWS_ENDPOINT_URL", "X"], ["AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL_DYNAMODB"]] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut caller = Command::new(std::env::current_exe().unwrap())
            .args(["caller", "--exact", "--ignored"])
            .env(variables[0], format!("http://{}", listener.local_addr().unwrap()))
            .env(variables[1], "http://127.0.0.1:1")
            .envs([
                ("AWS_REGION", "eu-central-1"),
                ("AWS_ACCESS_KEY_ID", "a"),
                ("AWS_SECRET_ACCESS_KEY", "s"),
            ])
            .spawn()
            .unwrap();
        // If the caller exits without a call, this connection ends `accept`.
        let address = listener.local_addr().unwrap();
        let ended = std::thread::spawn(move || {
            let status = caller.wait().unwrap();
            let _ = TcpStream::connect(address);
            status
        });
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(br#"{"KeyId":"k"}"#) {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        let request = String::from_utf8(request).unwrap().to_ascii_lowercase();
        assert!(request.contains("trentservice.describekey"), "{request}");
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{{}}").unwrap();
        assert!(ended.join().unwrap().success());
    }
}
