//! Runs after all other tests: they left no value, no token and no internal error behind.

use std::collections::BTreeMap;

use end_to_end::{encodings, memory};
use libtest_mimic::Trial;

use crate::trial::{harness, trials};

/// Every stored value contains the mark, so one search finds all of them.
pub(crate) fn trials() -> Vec<Trial> {
    trials![
        no_value_or_token_leaks,
        no_function_keeps_a_value_or_token_in_memory,
        no_function_logged_an_error,
    ]
}

#[expect(clippy::print_stdout, reason = "prints the extent of the search")]
async fn no_value_or_token_leaks() {
    let harness = harness().await;
    let (encodings, tokens) = (encodings(), harness.tokens());
    let mut searched = BTreeMap::new();
    for sink in harness.sinks().await {
        for line in sink.text.lines() {
            let place = format!("{} {}", sink.kind, sink.name);
            assert!(!encodings.iter().any(|form| line.contains(form)), "{place} contains a value: {line}");
            assert!(!tokens.iter().any(|token| line.contains(token)), "{place} contains a token: {line}");
        }
        let (places, bytes) = searched.entry(sink.kind).or_insert((0, 0));
        *places += 1;
        *bytes += sink.text.len();
    }
    // Every kind of place had content to search.
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
        assert!(
            searched.get(kind).is_some_and(|(_, bytes)| *bytes > 0),
            "nothing to search in {kind}: {searched:?}"
        );
    }
    println!("searched {{kind: (places, bytes)}}: {searched:?}");
}

/// Each process has served hundreds of requests, most of them with values or tokens.
#[expect(clippy::print_stdout, reason = "prints the extent of the search")]
async fn no_function_keeps_a_value_or_token_in_memory() {
    let mut texts = encodings();
    texts.extend(harness().await.tokens());
    let processes = memory::functions();
    let bytes: usize = processes.iter().map(|process| process.memory.len()).sum();
    println!(
        "searched the memory of {} processes, {bytes} bytes, for {} texts",
        processes.len(),
        texts.len()
    );
    let kept: Vec<_> = processes
        .iter()
        .map(|process| (&process.name, memory::search(&process.memory, &texts)))
        .filter(|(_, found)| !found.is_empty())
        .collect();
    assert!(processes.len() >= 8, "{} processes", processes.len());
    assert!(kept.is_empty(), "{kept:#?}");
}

async fn no_function_logged_an_error() {
    // A claim token that is used twice triggers an alarm, and some tests use one twice.
    let failed = |line: &&str| {
        let is_alarm = line.contains("\"SecondClaims\":1");
        line.contains("panicked") || (line.contains("\"level\":\"ERROR\"") && !is_alarm)
    };
    for (group, log) in harness().await.logs().await {
        let failed = log.lines().find(failed);
        assert!(failed.is_none(), "{group}: {failed:?}");
    }
}
