//! Tests of [`serve`] and of its log lines.

use std::io::Write;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use serde_json::{Value, json};

use super::*;
use crate::testing::event::event;
use domain::Error;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Serves an event. Returns the answer, the fault code, and the log lines without times.
fn served(
    settings: &Settings,
    event: &str,
    handle: impl FnOnce() -> Result<Answer, Problem>,
) -> (Value, Option<&'static str>, Vec<Value>) {
    let payload = RawValue::from_string(event.to_owned()).unwrap();
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .without_time()
        .with_target(false)
        .with_writer(move || writer.clone())
        .finish();
    let served = tracing::subscriber::with_default(subscriber, || {
        let future = pin!(serve(settings, &payload, async |_| handle()));
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(served) => served,
            Poll::Pending => panic!("the handler never waits"),
        }
    });
    let bytes = lines.0.lock().unwrap().clone();
    let lines = serde_json::Deserializer::from_slice(&bytes).into_iter().map(Result::unwrap).collect();
    (serde_json::from_str(served.answer.get()).unwrap(), served.fault, lines)
}

#[test]
fn each_request_is_answered_and_logged_in_one_line() {
    let settings = Settings::new("test");
    let cause = || std::io::Error::other("connection reset");
    for (case, result, status, fault, line) in [
        (
            "answered",
            Ok(Answer::no_content()),
            204,
            None,
            json!({ "level": "INFO", "message": "answered", "http.status": 204 }),
        ),
        (
            "refused before any use case",
            Err(Problem::bad_request("No.")),
            400,
            None,
            json!({ "level": "INFO", "message": "refused", "http.status": 400, "error.code": "request" }),
        ),
        (
            "refused by a use case",
            Err(Error::NotFound.into()),
            404,
            None,
            json!({ "level": "INFO", "message": "refused", "http.status": 404, "error.code": "not-found" }),
        ),
        (
            "failed",
            Err(Error::unavailable("kms", cause()).into()),
            503,
            Some("unavailable"),
            json!({
                "level": "ERROR", "message": "failed", "http.status": 503, "error.code": "unavailable",
                "error.cause": "kms: connection reset",
            }),
        ),
    ] {
        let mut line = line;
        line["operation"] = "ListRuns".into();
        let (answer, found, lines) = served(&settings, &event(Operation::ListRuns, &json!({})), || result);
        assert_eq!(answer["statusCode"], status, "{case}");
        assert_eq!(found, fault, "{case}");
        assert_eq!(lines, [line], "{case}");
    }
}

#[test]
fn an_event_without_an_operation_is_answered_without_a_handler() {
    for (case, event, status) in [
        ("another route", event(Operation::ListRuns, &json!({ "routeKey": "GET /nothing" })), 501),
        ("not an event of API Gateway", "{\"hidden\": \"hidden\"}".to_owned(), 400),
    ] {
        let (answer, fault, lines) =
            served(&Settings::new("test"), &event, || panic!("{case}: a handler was called"));
        assert_eq!((&answer["statusCode"], fault), (&json!(status), None), "{case}");
        assert_eq!(lines.len(), 1, "{case}");
        assert_eq!(lines[0]["operation"], "unknown", "{case}");
        assert!(!lines[0].to_string().contains("hidden"), "{case}");
    }
}

#[test]
fn a_restored_service_answers_nextflows_messages_only() {
    let restored = Settings { restored: true, ..Settings::new("test") };
    for operation in Operation::ALL {
        let survives = operation.id().starts_with("Trace");
        for (settings, handled) in [(&Settings::new("test"), true), (&restored, survives)] {
            let case = format!("{}, restored: {}", operation.id(), settings.restored);
            let event = event(*operation, &json!({}));
            let (answer, fault, _) = served(settings, &event, || Ok(Answer::no_content()));
            assert_eq!(answer["statusCode"], if handled { 204 } else { 503 }, "{case}");
            let retry = if handled { Value::Null } else { "60".into() };
            assert_eq!(answer["headers"]["retry-after"], retry, "{case}");
            assert_eq!(fault, None, "{case}: not a fault");
        }
    }
}
