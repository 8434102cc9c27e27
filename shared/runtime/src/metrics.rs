//! Metrics as log lines in CloudWatch's embedded metric format
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).
//! CloudWatch Logs extracts them from the function's log, without API calls or permissions.

use std::io::Write as _;

use domain::Timestamp;
use serde_json::{Map, Value, json};

/// The CloudWatch namespace of all metrics.
pub const NAMESPACE: &str = "PipelineSecrets";
/// The only dimension of all metrics: the deployment.
pub const DIMENSION: &str = "Deployment";

/// The metrics, which alarms refer to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Metric {
    /// A claim token was used again: it was stolen, or a client retried a claim.
    SecondClaims,
    /// A sealed value could not be opened: rows were moved or changed, or the wrong key is in use.
    EnvelopeRefused,
    /// A run or an orphan could not be cleaned up. The sweep retries.
    CleanupFailures,
    /// How long the most overdue run has been due, in seconds. Each sweep reports it.
    OldestOverdueSeconds,
    /// Runs that a head job keeps live past their latest end.
    OverdueHeadJobs,
    /// Copies of ended runs that still existed.
    OrphansFound,
    /// Copies of runs that are not in the table.
    UnknownCopies,
    /// Compute environments that could not be used during a sweep.
    EnvironmentsUnreachable,
    /// Runs that ended although copies may be left in their compute environment.
    RunsAbandoned,
    /// Secrets that expire within two weeks. Each daily check reports them.
    ExpiringSecrets,
    /// Personal access tokens that expire within two weeks. Each daily check reports them.
    ExpiringTokens,
    /// The authorizer failed, as opposed to refused a credential.
    AuthorizerFailures,
    /// Requests and events that failed because of this service or a service that it depends on.
    ServiceErrors,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 13] = [
        Self::SecondClaims,
        Self::EnvelopeRefused,
        Self::CleanupFailures,
        Self::OldestOverdueSeconds,
        Self::OverdueHeadJobs,
        Self::OrphansFound,
        Self::UnknownCopies,
        Self::EnvironmentsUnreachable,
        Self::RunsAbandoned,
        Self::ExpiringSecrets,
        Self::ExpiringTokens,
        Self::AuthorizerFailures,
        Self::ServiceErrors,
    ];

    /// Returns its name in CloudWatch.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SecondClaims => "SecondClaims",
            Self::EnvelopeRefused => "EnvelopeRefused",
            Self::CleanupFailures => "CleanupFailures",
            Self::OldestOverdueSeconds => "OldestOverdueSeconds",
            Self::OverdueHeadJobs => "OverdueHeadJobs",
            Self::OrphansFound => "OrphansFound",
            Self::UnknownCopies => "UnknownCopies",
            Self::EnvironmentsUnreachable => "EnvironmentsUnreachable",
            Self::RunsAbandoned => "RunsAbandoned",
            Self::ExpiringSecrets => "ExpiringSecrets",
            Self::ExpiringTokens => "ExpiringTokens",
            Self::AuthorizerFailures => "AuthorizerFailures",
            Self::ServiceErrors => "ServiceErrors",
        }
    }

    /// Returns its unit in CloudWatch.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::OldestOverdueSeconds => "Seconds",
            _ => "Count",
        }
    }
}

/// Writes metrics of one deployment to standard output.
#[derive(Clone, Debug)]
pub struct Metrics {
    deployment: String,
}

impl Metrics {
    /// Creates the metrics of this deployment.
    #[must_use]
    pub fn new(deployment: impl Into<String>) -> Self {
        Self { deployment: deployment.into() }
    }

    /// Counts one occurrence.
    pub fn count(&self, metric: Metric) {
        self.put(&[(metric, 1)]);
    }

    /// Counts a fault of the service, by its error code.
    pub fn fault(&self, code: &str) {
        let refused = i64::from(code == "envelope-refused");
        self.put(&[(Metric::ServiceErrors, 1), (Metric::EnvelopeRefused, refused)]);
    }

    /// Writes values, all in one line. If the line cannot be written, it is lost.
    pub fn put(&self, values: &[(Metric, i64)]) {
        let mut line = self.line(values, Timestamp::now()).to_string();
        line.push('\n');
        // A single write, so that lines are not interleaved.
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
    }

    fn line(&self, values: &[(Metric, i64)], now: Timestamp) -> Value {
        let described: Vec<Value> = values
            .iter()
            .map(|(metric, _)| json!({ "Name": metric.name(), "Unit": metric.unit() }))
            .collect();
        let mut line = Map::new();
        line.insert(
            "_aws".into(),
            json!({
                "Timestamp": now.as_millisecond(),
                "CloudWatchMetrics": [{
                    "Namespace": NAMESPACE,
                    "Dimensions": [[DIMENSION]],
                    "Metrics": described,
                }],
            }),
        );
        line.insert(DIMENSION.into(), self.deployment.as_str().into());
        for (metric, value) in values {
            line.insert(metric.name().into(), (*value).into());
        }
        // Lambda drops JSON lines below the function's log level, and treats a line without level
        // and time as INFO. Alarms must not depend on that setting.
        // https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
        line.insert("level".into(), "ERROR".into());
        line.insert("timestamp".into(), now.to_string().into());
        line.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_embedded_metric_format_and_passes_every_log_level() {
        let now: Timestamp = "2026-11-23T10:00:00.5Z".parse().unwrap();
        let values = [(Metric::OrphansFound, 2), (Metric::OldestOverdueSeconds, 61)];
        assert_eq!(
            Metrics::new("prod").line(&values, now),
            json!({
                "_aws": {
                    "Timestamp": 1_795_428_000_500_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "PipelineSecrets",
                        "Dimensions": [["Deployment"]],
                        "Metrics": [
                            { "Name": "OrphansFound", "Unit": "Count" },
                            { "Name": "OldestOverdueSeconds", "Unit": "Seconds" },
                        ],
                    }],
                },
                "Deployment": "prod",
                "OrphansFound": 2,
                "OldestOverdueSeconds": 61,
                "level": "ERROR",
                "timestamp": "2026-11-23T10:00:00.5Z",
            })
        );
    }

    #[test]
    fn metric_names_are_unique() {
        let names: std::collections::BTreeSet<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
    }
}
