//! What all the tests together left behind: no value, no token, no failure of the service itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use end_to_end::MARK;
use libtest_mimic::Trial;

use crate::trial::{bench, trials};

/// Every stored value holds the mark, so that one search finds any of them.
pub(crate) fn trials() -> Vec<Trial> {
    trials![no_log_holds_a_value_or_a_token, no_row_holds_a_value_or_a_token, no_function_failed]
}

async fn no_log_holds_a_value_or_a_token() {
    let bench = bench().await;
    let hidden = hidden();
    let mut logs = bench.logs().await;
    assert!(logs.values().any(|log| log.contains("answered")), "nothing was logged: {:?}", logs.keys());
    logs.insert("the emulator".to_owned(), bench.emulator_log());
    for (group, log) in logs {
        for line in log.lines() {
            assert!(!hidden.iter().any(|hidden| line.contains(hidden)), "{group} holds a value: {line}");
            let token = bench.tokens().into_iter().find(|token| line.contains(token));
            assert!(token.is_none(), "{group} holds a token: {line}");
        }
    }
}

async fn no_row_holds_a_value_or_a_token() {
    let bench = bench().await;
    let (hidden, tokens) = (hidden(), bench.tokens());
    for row in bench.every_row().await {
        assert!(!hidden.iter().any(|hidden| row.contains(hidden)), "a row holds a value: {row}");
        assert!(!tokens.iter().any(|token| row.contains(token)), "a row holds a token: {row}");
    }
}

async fn no_function_failed() {
    // A claim token that comes twice is an alarm, and tests bring one twice.
    let failed = |line: &&str| {
        let is_alarm = line.contains("\"SecondClaims\":1");
        line.contains("panicked") || (line.contains("\"level\":\"ERROR\"") && !is_alarm)
    };
    for (group, log) in bench().await.logs().await {
        let failed = log.lines().find(failed);
        assert!(failed.is_none(), "{group}: {failed:?}");
    }
}

/// The mark as it is, and as base64 writes it at each of three places.
fn hidden() -> Vec<String> {
    let in_base64 = (0..3).map(|shift| {
        let encoded = STANDARD_NO_PAD.encode(format!("{}{MARK}", "-".repeat(shift)));
        // The first and last characters also hold what stands around.
        encoded[4 * usize::from(shift > 0)..encoded.len() - 4].to_owned()
    });
    in_base64.chain([MARK.to_owned()]).collect()
}
