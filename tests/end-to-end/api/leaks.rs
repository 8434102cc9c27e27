//! What all the tests together left behind: no value, no token, no failure of the service itself.

use std::collections::BTreeMap;

use end_to_end::{forms, memory};
use libtest_mimic::Trial;

use crate::trial::{harness, trials};

/// Every stored value holds the mark, so that one search finds any of them.
pub(crate) fn trials() -> Vec<Trial> {
    trials![
        no_value_and_no_token_is_where_none_may_be,
        no_function_remembers_a_value_or_a_token,
        no_function_failed,
    ]
}

#[expect(clippy::print_stdout, reason = "what was searched")]
async fn no_value_and_no_token_is_where_none_may_be() {
    let harness = harness().await;
    let (forms, tokens) = (forms(), harness.tokens());
    let mut searched = BTreeMap::new();
    for sink in harness.sinks().await {
        for line in sink.text.lines() {
            let place = format!("{} {}", sink.kind, sink.name);
            assert!(!forms.iter().any(|form| line.contains(form)), "{place} holds a value: {line}");
            assert!(!tokens.iter().any(|token| line.contains(token)), "{place} holds a token: {line}");
        }
        let (places, bytes) = searched.entry(sink.kind).or_insert((0, 0));
        *places += 1;
        *bytes += sink.text.len();
    }
    // Nothing was found because there was something to look through.
    let kinds = [
        "log",
        "row",
        "copy's name and tags",
        "event",
        "dead letter",
        "file",
        "output of the stack",
        "process",
    ];
    for kind in kinds {
        assert!(searched.get(kind).is_some_and(|(_, bytes)| *bytes > 0), "no {kind}: {searched:?}");
    }
    println!("searched, as kind: (places, bytes): {searched:?}");
}

/// Each served hundreds of requests, with values and tokens in most of them.
#[expect(clippy::print_stdout, reason = "what was searched")]
async fn no_function_remembers_a_value_or_a_token() {
    let mut texts = forms();
    texts.extend(harness().await.tokens());
    let processes = memory::functions();
    let bytes: usize = processes.iter().map(|process| process.memory.len()).sum();
    println!(
        "searched the memory of {} processes, {bytes} bytes, for {} texts",
        processes.len(),
        texts.len()
    );
    let remembered: Vec<_> = processes
        .iter()
        .map(|process| (&process.name, memory::search(&process.memory, &texts)))
        .filter(|(_, found)| !found.is_empty())
        .collect();
    assert!(processes.len() >= 8, "{} processes", processes.len());
    assert!(remembered.is_empty(), "{remembered:#?}");
}

async fn no_function_failed() {
    // A claim token that comes twice is an alarm, and tests bring one twice.
    let failed = |line: &&str| {
        let is_alarm = line.contains("\"SecondClaims\":1");
        line.contains("panicked") || (line.contains("\"level\":\"ERROR\"") && !is_alarm)
    };
    for (group, log) in harness().await.logs().await {
        let failed = log.lines().find(failed);
        assert!(failed.is_none(), "{group}: {failed:?}");
    }
}
