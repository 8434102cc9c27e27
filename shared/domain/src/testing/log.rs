//! Captures log events in tests.

use std::cell::RefCell;
use std::fmt::{Debug, Write as _};
use std::sync::Once;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

thread_local! {
    static LINES: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// Runs a function and returns each event that it logs as a line: the level, then all fields.
pub(crate) fn logged<T>(run: impl FnOnce() -> T) -> (T, Vec<String>) {
    let (outcome, lines) = capture(run);
    (outcome, lines.into_iter().map(|line| line.text).collect())
}

/// Runs a function and returns the fields of each event that it logs, as JSON.
pub(crate) fn logged_json<T>(run: impl FnOnce() -> T) -> (T, Vec<Value>) {
    let (outcome, lines) = capture(run);
    (outcome, lines.into_iter().map(|line| Value::Object(line.fields)).collect())
}

fn capture<T>(run: impl FnOnce() -> T) -> (T, Vec<Line>) {
    // One subscriber for all threads. A scoped one misses events of a callsite that another test's
    // thread, which has no subscriber, registers at the same time.
    static SET: Once = Once::new();
    SET.call_once(|| {
        tracing::subscriber::set_global_default(Log).unwrap();
        tracing::callsite::rebuild_interest_cache();
    });
    LINES.take();
    let outcome = run();
    (outcome, LINES.take())
}

struct Log;

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line { text: event.metadata().level().to_string(), fields: Map::new() };
        event.record(&mut line);
        LINES.with_borrow_mut(|lines| lines.push(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line {
    text: String,
    fields: Map<String, Value>,
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &value);
        self.fields.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.text, " {field}={value:?}").unwrap();
        self.fields.insert(field.name().to_owned(), format!("{value:?}").into());
    }
}
