//! Monthly costs from AWS's price pages for us-east-1 as of November 2026, before any free tier.

use serde::Serialize;

/// The price of one unit in dollars, and its source.
struct Price {
    dollars: f64,
    page: &'static str,
}

const SECRET_HOUR: Price =
    Price { dollars: 0.40 / 720.0, page: "https://aws.amazon.com/secrets-manager/pricing/" };
const SECRET_CALL: Price = Price { dollars: 0.05 / 10_000.0, page: SECRET_HOUR.page };
const KMS_CALL: Price = Price { dollars: 0.03 / 10_000.0, page: "https://aws.amazon.com/kms/pricing/" };
const KMS_KEY: Price = Price { dollars: 1.0, page: KMS_CALL.page };
const WRITE_UNIT: Price =
    Price { dollars: 0.625 / 1e6, page: "https://aws.amazon.com/dynamodb/pricing/on-demand/" };
const READ_UNIT: Price = Price { dollars: 0.125 / 1e6, page: WRITE_UNIT.page };
const API_REQUEST: Price = Price { dollars: 1.0 / 1e6, page: "https://aws.amazon.com/api-gateway/pricing/" };
const INVOCATION: Price = Price { dollars: 0.20 / 1e6, page: "https://aws.amazon.com/lambda/pricing/" };
/// On arm64.
const GIGABYTE_SECOND: Price = Price { dollars: 0.000_013_333_4, page: INVOCATION.page };
const LOG_BYTE: Price = Price { dollars: 0.50 / 1e9, page: "https://aws.amazon.com/cloudwatch/pricing/" };
const ALARM_METRIC: Price = Price { dollars: 0.10, page: LOG_BYTE.page };
const METRIC: Price = Price { dollars: 0.30, page: LOG_BYTE.page };
const EVENT: Price = Price { dollars: 1.0 / 1e6, page: "https://aws.amazon.com/eventbridge/pricing/" };

/// A launch: 20 secrets, six hours, a heartbeat every half hour. Tests count the calls of a launch;
/// the other units are upper bounds.
const SECRETS: f64 = 20.0;
const HOURS: f64 = 6.0;
/// Created, read by two tasks, deleted.
const CALLS_PER_COPY: f64 = 4.0;
const WRITE_UNITS: f64 = 40.0;
const READ_UNITS: f64 = 100.0;
const REQUESTS: f64 = 20.0;
/// The requests, the authorizer, events.
const INVOCATIONS: f64 = 24.0;
const SECONDS: f64 = 0.050;
const GIGABYTES: f64 = 0.128;
const LOG_BYTES: f64 = 40_000.0;
const EVENTS: f64 = 2.0;
/// A month of sweeps, one every five minutes.
const SWEEPS: f64 = 8_640.0;
const SWEEP_SECONDS: f64 = 0.5;
const KEYS: f64 = 2.0;
/// 24 alarms on 40 metrics, without a break-glass principal. An alarm
/// on a metric math expression costs as much as an alarm on each of its metrics:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_billing.html>.
const ALARM_METRICS: f64 = 40.0;
/// Custom metrics, one of them from the access log of the API.
const METRICS: f64 = 14.0;

/// The columns of the table: launches per month.
pub(crate) const LAUNCHES: [u32; 3] = [1_000, 10_000, 100_000];

/// One line of the table, in dollars per month.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    /// The service and its units.
    pub(crate) what: &'static str,
    /// With 1,000, 10,000 and 100,000 launches.
    pub(crate) dollars: [f64; 3],
    /// The sources of the prices.
    pub(crate) pages: Vec<&'static str>,
}

/// The table. The last two lines are the totals, with one bundle per run and with one copy per
/// name.
pub(crate) fn table() -> Vec<Line> {
    let copy = HOURS * SECRET_HOUR.dollars + CALLS_PER_COPY * SECRET_CALL.dollars;
    let line = |what, each: f64, fixed: f64, pages: &[&'static str]| Line {
        what,
        dollars: LAUNCHES.map(|launches| f64::from(launches) * each + fixed),
        pages: pages.to_vec(),
    };
    let invocation = |seconds: f64| INVOCATION.dollars + seconds * GIGABYTES * GIGABYTE_SECOND.dollars;
    let fixed = KEYS * KMS_KEY.dollars + ALARM_METRICS * ALARM_METRIC.dollars + METRICS * METRIC.dollars;
    let rows = WRITE_UNITS * WRITE_UNIT.dollars + READ_UNITS * READ_UNIT.dollars;
    let logs = LOG_BYTES * LOG_BYTE.dollars + EVENTS * EVENT.dollars;
    let mut lines = vec![
        line("Secrets Manager, one bundle per run", copy, 0.0, &[SECRET_HOUR.page]),
        line("KMS, 20 decryptions per launch", SECRETS * KMS_CALL.dollars, 0.0, &[KMS_CALL.page]),
        line("DynamoDB, 40 write and 100 read units", rows, 0.0, &[WRITE_UNIT.page]),
        line("API Gateway, 20 requests", REQUESTS * API_REQUEST.dollars, 0.0, &[API_REQUEST.page]),
        line(
            "Lambda, 24 invocations of 50 ms at 128 MB, and the sweep",
            INVOCATIONS * invocation(SECONDS),
            SWEEPS * invocation(SWEEP_SECONDS),
            &[INVOCATION.page],
        ),
        line("logs, EventBridge", logs, 0.0, &[LOG_BYTE.page, EVENT.page]),
        line(
            "two keys, 24 alarms on 40 metrics, 14 custom metrics",
            0.0,
            fixed,
            &[KMS_KEY.page, METRIC.page],
        ),
    ];
    let sum = |more: f64| {
        let months = [0, 1, 2].map(|at| lines.iter().map(|line| line.dollars[at]).sum::<f64>());
        let more = LAUNCHES.map(|launches| f64::from(launches) * more);
        [months[0] + more[0], months[1] + more[1], months[2] + more[2]]
    };
    let (bundle, per_name) = (sum(0.0), sum((SECRETS - 1.0) * copy));
    lines.push(Line { what: "total, one bundle per run", dollars: bundle, pages: Vec::new() });
    lines.push(Line { what: "total, one copy per name", dollars: per_name, pages: Vec::new() });
    lines
}

/// Formats an amount in dollars.
pub(crate) fn dollars(amount: f64) -> String {
    let cents = format!("{amount:.2}");
    let (whole, cents) = cents.split_once('.').unwrap_or_default();
    let mut grouped = String::new();
    for (index, digit) in whole.char_indices() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("${grouped}.{cents}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operations_guide_shows_the_computed_costs() {
        let guide = include_str!("../../../docs/operations.md");
        for line in table() {
            let [few, more, many] = line.dollars.map(dollars);
            let found = guide.lines().find(|row| {
                row.starts_with(&format!("| {} |", line.what))
                    || row.starts_with(&format!("| **{}** |", line.what))
            });
            let row = found
                .unwrap_or_else(|| panic!("docs/operations.md has no row for {}", line.what))
                .replace("**", "");
            assert!(
                row.contains(&format!("| {few} | {more} | {many} |")),
                "{row}\nexpected {few}, {more}, {many}"
            );
            for page in line.pages {
                assert!(row.contains(page) || guide.contains(page), "{row} lacks {page}");
            }
        }
    }

    #[test]
    fn thousands_are_grouped_and_cents_have_two_digits() {
        assert_eq!(
            [0.0, 7.0, 999.999, 1234.5, 1_234_567.0].map(dollars),
            ["$0.00", "$7.00", "$1,000.00", "$1,234.50", "$1,234,567.00"]
        );
    }
}
