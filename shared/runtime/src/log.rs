//! The log: one JSON object a line on standard output, never above INFO, and panics by their place alone.

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Sets up log and panic hook of the process. `level` is the template's `LogLevel`; INFO where it is missing, unknown, or
/// asks for more.
pub(crate) fn init(level: Option<&str>) {
    // A second call, as in tests, changes nothing.
    let _ = subscriber(level, std::io::stdout).try_init();
    std::panic::set_hook(Box::new(|panic| {
        // The payload is left out: it can quote what the code was working on.
        let place = panic.location().map(ToString::to_string);
        tracing::error!(location = place.as_deref().unwrap_or("unknown"), "panicked");
    }));
}

fn subscriber<W>(level: Option<&str>, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let level = match level.map(str::to_ascii_uppercase).as_deref() {
        Some("WARN") => LevelFilter::WARN,
        Some("ERROR" | "FATAL") => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    };
    let foreign = level.min(LevelFilter::WARN);
    let targets = Targets::new()
        .with_default(level)
        // A table that is restored from a backup needs the audit trail whatever the level.
        .with_target("audit", LevelFilter::INFO)
        .with_targets(["aws_", "h2", "hyper", "rustls", "tower"].map(|target| (target, foreign)))
        // It prints what a handler returned or panicked with; `run` has logged that already, in its own words.
        .with_target("lambda_runtime::layers::panic", LevelFilter::OFF);
    // The request id stands in the runtime's span, the outermost.
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(true)
        .with_target(true)
        .with_writer(writer);
    tracing_subscriber::registry().with(targets).with(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

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

    fn logged(level: Option<&str>, act: impl FnOnce()) -> Vec<serde_json::Value> {
        let lines = Lines::default();
        let writer = lines.clone();
        tracing::subscriber::with_default(subscriber(level, move || writer.clone()), act);
        let bytes = lines.0.lock().unwrap().clone();
        bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    #[test]
    fn no_level_leaves_the_audit_trail_out() {
        let lines = logged(Some("ERROR"), || {
            tracing::info!(target: "audit", "audit");
            tracing::info!("something else");
        });
        let messages: Vec<_> = lines.iter().map(|line| &line["message"]).collect();
        assert_eq!(messages, ["audit"]);
    }

    #[test]
    fn nothing_below_info_is_in_the_program() {
        assert_eq!(tracing::level_filters::STATIC_MAX_LEVEL, LevelFilter::INFO);
    }

    #[test]
    fn a_line_reads_alone_and_names_the_request() {
        let lines = logged(None, || {
            let _request = tracing::info_span!("invoke", requestId = "r-1").entered();
            let _inner = tracing::info_span!("launch").entered();
            tracing::info!(run.id = "3f2a", "launched");
        });
        let line = &lines[0];
        assert_eq!(
            (&line["level"], &line["message"], &line["run.id"]),
            (&"INFO".into(), &"launched".into(), &"3f2a".into())
        );
        assert_eq!(line["spans"][0]["requestId"], "r-1");
        assert!(line["timestamp"].is_string());
    }

    #[test]
    fn the_level_is_the_template_s_and_never_more_than_info() {
        for (level, lines) in
            [(None, 3), (Some("TRACE"), 3), (Some("nonsense"), 3), (Some("WARN"), 2), (Some("FATAL"), 1)]
        {
            let logged = logged(level, || {
                tracing::trace!("t");
                tracing::debug!("d");
                tracing::info!("i");
                tracing::warn!("w");
                tracing::error!("e");
            });
            assert_eq!(logged.len(), lines, "{level:?}");
        }
    }

    #[test]
    fn what_the_runtime_prints_of_handlers_is_dropped_and_foreign_chatter_too() {
        let lines = logged(None, || {
            tracing::error!(target: "lambda_runtime::layers::panic", "canary");
            tracing::info!(target: "aws_config::profile::credentials", "chatter");
            tracing::warn!(target: "aws_config::profile::credentials", "a warning");
        });
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["message"], "a warning");
    }
}
