//! Faults between the real functions and AWS on the local stack, at every call of each request: the
//! client's answer matches the state, and nothing is left behind.
//!
//! `cargo test` injects lost answers and killed processes. `EVERY_FAULT=1` injects every fault.

mod malformed;
mod process;
mod proxy;
mod stories;

use std::io::Write as _;
use std::sync::Arc;

use end_to_end::{Harness, MARK, World, encodings, memory};
use futures_util::future::{join, join_all};
use local::Credentials;
use proxy::{Fault, Proxy};
use serde_json::json;
use stories::Story;

/// Unfinished launches are due after 30 seconds, so that the sweeps at the end find them all.
const PARAMETERS: &[(&str, &str)] = &[
    ("DeletionProtection", "false"),
    ("ThrottleRate", "10000"),
    ("ThrottleBurst", "10000"),
    ("ProvisioningSeconds", "30"),
];

/// Selects the faults and stories: a lost answer and a killed process for a request of each
/// function, or all of them.
fn selection() -> (&'static [Fault], &'static [Story]) {
    const FEW: [Story; 6] =
        [Story::Create, Story::Update, Story::LaunchPerName, Story::Claim, Story::End, Story::Sweep];
    match std::env::var_os("EVERY_FAULT") {
        Some(_) => (&Fault::ALL, &Story::ALL),
        None => (&[Fault::LostForGood, Fault::KilledAfter], &FEW),
    }
}

#[test]
fn a_fault_at_any_call_of_a_function_loses_nothing_and_leaves_nothing() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(prove());
}

async fn prove() {
    let proxy = Proxy::listen().await;
    let set_upstream = |endpoint: &str| proxy.forward_to(endpoint);
    let harness =
        Harness::start_behind(PARAMETERS, Some(&proxy.endpoint), set_upstream).await.expect("a stack");
    let harness = Arc::new(harness);
    let world = World::make(harness.clone()).await;
    let (faults, stories) = selection();
    let (mut number, mut points, mut violations) = (0, 0, Vec::new());
    violations.extend(malformed::violation(&harness).await);
    for story in stories.iter().copied() {
        // Twice, because a function's first invocation opens connections.
        let mut calls = Vec::new();
        for _ in 0..2 {
            let prepared = story.prepare(&world, number).await;
            number += 1;
            proxy.arm(&access_key(&harness, story).await, None);
            let answer = story.send(&world, &prepared).await;
            calls = proxy.disarm().0;
            violations.extend(story.violation(&world, &prepared, &answer, None).await);
        }
        assert!(!calls.is_empty(), "{story:?} makes no AWS call");
        for nth in 1..=calls.len() {
            for fault in faults {
                let prepared = story.prepare(&world, number).await;
                number += 1;
                proxy.arm(&access_key(&harness, story).await, Some((nth, *fault)));
                let mut answer = story.send(&world, &prepared).await;
                let (_, occurred) = proxy.disarm();
                points += usize::from(occurred);
                for _ in 0..12 {
                    // After a crash, API Gateway returns a 5xx without Retry-After. Clients retry
                    // anyway.
                    let crashed = occurred && fault.kills() && answer.status >= 500;
                    if !crashed && !matches!(answer.status, 409 | 429 | 500.. if answer.asks_for_retry()) {
                        break;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                    answer = story.send(&world, &prepared).await;
                }
                let violation = story.violation(&world, &prepared, &answer, occurred.then_some(*fault)).await;
                violations.extend(violation.map(|violation| {
                    format!("{story:?}, {fault:?} at call {nth} ({}): {violation}", calls[nth - 1])
                }));
            }
        }
    }
    violations.extend(storm(&world, &proxy).await);
    violations.extend(final_violations(&harness, &world).await);
    note(&format!("{points} faults in real functions"));
    assert_eq!(violations, Vec::<String>::new());
    assert!(points > 20, "only {points} faults occurred");
    drop(world);
    if let Some(harness) = Arc::into_inner(harness) {
        harness.stop().await.expect("stopped");
    }
}

/// Prints a figure to standard error.
fn note(figure: &str) {
    let _ = writeln!(std::io::stderr(), "{figure}");
}

/// Sends concurrent launches while only one creation in five is allowed: each launch is live, or
/// rejected with `Retry-After`. Other operations run meanwhile.
async fn storm(world: &World, proxy: &Proxy) -> Vec<String> {
    const CONCURRENT: usize = 50;
    let mut prepared = Vec::new();
    for number in 0..CONCURRENT {
        prepared.push(Story::LaunchBundle.prepare(world, 10_000 + number).await);
    }
    proxy.limit_creations(Some(5));
    let launches = join_all(prepared.iter().map(|launch| Story::LaunchBundle.send(world, launch)));
    let others = async {
        let mut violations = Vec::new();
        for number in 0..5 {
            let create = Story::Create;
            let other = create.prepare(world, 20_000 + number).await;
            let mut answer = create.send(world, &other).await;
            for _ in 0..10 {
                if answer.status != 503 {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                answer = create.send(world, &other).await;
            }
            violations.extend(create.violation(world, &other, &answer, None).await);
        }
        violations
    };
    let (answers, mut violations) = join(launches, others).await;
    let throttled = proxy.limit_creations(None);
    let (mut live, mut rejected) = (0, 0);
    for (launch, answer) in prepared.iter().zip(&answers) {
        // 503 if the emulator, with fifty concurrent processes, is too slow for a function's
        // timeouts.
        if matches!(answer.status, 429 | 503) && answer.asks_for_retry() {
            rejected += 1;
            continue;
        }
        live += 1;
        violations.extend(Story::LaunchBundle.violation(world, launch, answer, None).await);
    }
    note(&format!(
        "{CONCURRENT} concurrent launches: {live} live, {rejected} rejected, {throttled} creations throttled"
    ));
    if live > 0 && throttled == 0 {
        violations.push(format!("{live} launches are live, but no creation was throttled"));
    }
    violations
}

/// Returns the access key of the function that serves a story.
async fn access_key(harness: &Harness, story: Story) -> String {
    let credentials: Credentials = harness.stack.credentials(story.function()).await.expect("credentials");
    credentials.access_key_id
}

/// Returns the violations in the final state: every run ended, no copy left, no secret
/// half-written, no value logged, no function panicked.
async fn final_violations(harness: &Harness, world: &World) -> Vec<String> {
    let mut violations = Vec::new();
    // Sweep until the remains of failed launches are due and no run is live.
    let started = std::time::Instant::now();
    loop {
        harness
            .stack
            .invoke("cleanup-run", &json!({ "source": "pipeline-secrets.sweep" }))
            .await
            .expect("swept");
        let rows = harness.every_row().await;
        let live =
            rows.iter().filter(|row| row.contains("sk=S(\"RUN\")") && !row.contains("state=S(\"ended\")"));
        let live: Vec<_> = live.cloned().collect();
        if live.is_empty() {
            break;
        }
        if started.elapsed().as_secs() > 90 {
            violations.push(format!("INV2: {} runs did not end: {}", live.len(), live[0]));
            break;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    for name in harness.secret_names().await {
        violations.push(format!("INV2: the copy {name} was not deleted"));
    }
    let rows = harness.rows(&format!("SECRETS#WS#{}", world.workspace)).await;
    let count = |kind: &str| rows.iter().filter(|row| row.contains(&format!("sk=S(\"{kind}"))).count();
    if [count("VALUE#"), count("NAME#")] != [count("SECRET#"); 2] {
        violations.push(format!(
            "{} secrets, {} values, {} names",
            count("SECRET#"),
            count("VALUE#"),
            count("NAME#")
        ));
    }
    for (group, log) in harness.logs().await {
        // Processes crashed, waited and lost answers while they held values.
        if log.contains(MARK) {
            violations.push(format!("INV4: {group} contains a value"));
        }
        violations.extend(
            log.lines().find(|line| line.contains("panicked")).map(|line| format!("{group}: {line}")),
        );
    }
    for process in memory::functions() {
        let found = memory::search(&process.memory, &encodings());
        violations.extend(
            found.first().map(|found| format!("INV4: the memory of {} contains {found}", process.name)),
        );
    }
    violations
}
