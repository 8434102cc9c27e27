//! The log: JSON lines on standard output, at level INFO or higher. A panic is logged only by its
//! location.

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Sets up the log and the panic hook of the process. `level` is the template's `LogLevel`. The
/// level is INFO if it is missing, unknown or more verbose.
pub(crate) fn init(level: Option<&str>) {
    // A second call, as in tests, has no effect.
    let _ = subscriber(level, std::io::stdout).try_init();
    std::panic::set_hook(Box::new(|panic| {
        // The payload is omitted, because it can quote data.
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location = location.as_deref().unwrap_or("unknown"), "panicked");
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
    let dependencies = level.min(LevelFilter::WARN);
    let targets = Targets::new()
        .with_default(level)
        // The reconciliation of a restored table needs the audit trail at every level.
        .with_target("audit", LevelFilter::INFO)
        .with_targets(["aws_", "h2", "hyper", "rustls", "tower"].map(|target| (target, dependencies)))
        // It prints a handler's error or a panic's payload. `run` has already logged the failure.
        .with_target("lambda_runtime::layers::panic", LevelFilter::OFF);
    // The request ID is in the outermost span, which the runtime creates.
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
    fn the_audit_trail_is_logged_at_every_level() {
        let lines = logged(Some("ERROR"), || {
            tracing::info!(target: "audit", "audit");
            tracing::info!("something else");
        });
        let messages: Vec<_> = lines.iter().map(|line| &line["message"]).collect();
        assert_eq!(messages, ["audit"]);
    }

    #[test]
    fn levels_below_info_are_compiled_out() {
        assert_eq!(tracing::level_filters::STATIC_MAX_LEVEL, LevelFilter::INFO);
    }

    #[test]
    fn each_line_contains_the_request_id() {
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
    fn the_level_is_configurable_but_never_more_verbose_than_info() {
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
    fn handler_errors_of_the_runtime_and_info_of_dependencies_are_not_logged() {
        let lines = logged(None, || {
            tracing::error!(target: "lambda_runtime::layers::panic", "canary");
            tracing::info!(target: "aws_config::profile::credentials", "a note");
            tracing::warn!(target: "aws_config::profile::credentials", "a warning");
        });
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["message"], "a warning");
    }
}
