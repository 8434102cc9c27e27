//! Faults between the real functions and AWS on the local stack: at every call of each request, whatever fails, what the
//! client is told is so, and nothing is left.
//!
//! `cargo test` has the answers that get lost; with `EVERY_FAULT=1` each way in which a call can go wrong is tried.

mod poison;
mod process;
mod proxy;
mod stories;

use std::io::Write as _;
use std::sync::Arc;

use end_to_end::{Harness, MARK, World, forms, memory};
use futures_util::future::{join, join_all};
use local::Credentials;
use proxy::{Proxy, Way};
use serde_json::json;
use stories::Story;

/// Runs that a launch left are due after a second: the sweep at the end finds them all.
const PARAMETERS: &[(&str, &str)] = &[
    ("DeletionProtection", "false"),
    ("ThrottleRate", "10000"),
    ("ThrottleBurst", "10000"),
    ("ProvisioningSeconds", "30"),
];

/// What is tried: the answers that get lost, and the process that dies after a call, of a request of each function; or
/// everything.
fn tried() -> (&'static [Way], &'static [Story]) {
    const FEW: [Story; 6] =
        [Story::Create, Story::Update, Story::LaunchPerName, Story::Claim, Story::End, Story::Sweep];
    match std::env::var_os("EVERY_FAULT") {
        Some(_) => (&Way::ALL, &Story::ALL),
        None => (&[Way::LostForGood, Way::DiesAfter], &FEW),
    }
}

#[test]
fn a_fault_at_any_call_of_a_function_loses_nothing_and_leaves_nothing() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(prove());
}

async fn prove() {
    let proxy = Proxy::listen().await;
    let tell = |endpoint: &str| proxy.forward_to(endpoint);
    let harness = Harness::start_behind(PARAMETERS, Some(&proxy.endpoint), tell).await.expect("a stack");
    let harness = Arc::new(harness);
    let world = World::make(harness.clone()).await;
    let (ways, stories) = tried();
    let (mut tried, mut points, mut wrongs) = (0, 0, Vec::new());
    wrongs.extend(poison::wrong(&harness).await);
    for story in stories.iter().copied() {
        // Twice: the first call of a function's process opens its connections.
        let mut calls = Vec::new();
        for _ in 0..2 {
            let prepared = story.prepare(&world, tried).await;
            tried += 1;
            proxy.arm(&key(&harness, story).await, None);
            let told = story.tell(&world, &prepared).await;
            calls = proxy.disarm().0;
            wrongs.extend(story.wrong(&world, &prepared, &told, None).await);
        }
        assert!(!calls.is_empty(), "{story:?} asks nothing of AWS");
        for nth in 1..=calls.len() {
            for way in ways {
                let prepared = story.prepare(&world, tried).await;
                tried += 1;
                proxy.arm(&key(&harness, story).await, Some((nth, *way)));
                let mut told = story.tell(&world, &prepared).await;
                let (_, happened) = proxy.disarm();
                points += usize::from(happened);
                for _ in 0..12 {
                    // Of a function that died API Gateway says nothing but that: its client asks again all the same.
                    let died = happened && way.kills() && told.status >= 500;
                    if !died && !matches!(told.status, 409 | 429 | 500.. if told.retries()) {
                        break;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                    told = story.tell(&world, &prepared).await;
                }
                let wrong = story.wrong(&world, &prepared, &told, happened.then_some(*way)).await;
                wrongs.extend(
                    wrong.map(|wrong| {
                        format!("{story:?}, {way:?} at call {nth} ({}): {wrong}", calls[nth - 1])
                    }),
                );
            }
        }
    }
    wrongs.extend(storm(&world, &proxy).await);
    wrongs.extend(aftermath(&harness, &world).await);
    note(&format!("{points} faults through real functions"));
    assert_eq!(wrongs, Vec::<String>::new());
    assert!(points > 20, "{points} faults happened");
    drop(world);
    if let Some(harness) = Arc::into_inner(harness) {
        harness.stop().await.expect("stopped");
    }
}

/// Says a figure to whoever looks at what a test prints.
fn note(figure: &str) {
    let _ = writeln!(std::io::stderr(), "{figure}");
}

/// Launches all at once, where the account lets one creation in five through: each is live, or refused with the time to wait.
/// Meanwhile others read and write.
async fn storm(world: &World, proxy: &Proxy) -> Vec<String> {
    const AT_ONCE: usize = 50;
    let mut prepared = Vec::new();
    for number in 0..AT_ONCE {
        prepared.push(Story::LaunchBundle.prepare(world, 10_000 + number).await);
    }
    proxy.limit_creations(Some(5));
    let launches = join_all(prepared.iter().map(|launch| Story::LaunchBundle.tell(world, launch)));
    let others = async {
        let mut wrongs = Vec::new();
        for number in 0..5 {
            let create = Story::Create;
            let other = create.prepare(world, 20_000 + number).await;
            let mut told = create.tell(world, &other).await;
            for _ in 0..10 {
                if told.status != 503 {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                told = create.tell(world, &other).await;
            }
            wrongs.extend(create.wrong(world, &other, &told, None).await);
        }
        wrongs
    };
    let (told, mut wrongs) = join(launches, others).await;
    let throttled = proxy.limit_creations(None);
    let (mut live, mut refused) = (0, 0);
    for (launch, told) in prepared.iter().zip(&told) {
        // 503 where the emulator, with fifty processes at once, is too slow for a function's time limits.
        if matches!(told.status, 429 | 503) && told.retries() {
            refused += 1;
            continue;
        }
        live += 1;
        wrongs.extend(Story::LaunchBundle.wrong(world, launch, told, None).await);
    }
    note(&format!(
        "{AT_ONCE} launches at once: {live} live, {refused} refused, {throttled} creations throttled"
    ));
    if live > 0 && throttled == 0 {
        wrongs.push(format!("{live} launches live, and no creation was throttled"));
    }
    wrongs
}

/// The access key of the function that serves a story.
async fn key(harness: &Harness, story: Story) -> String {
    let credentials: Credentials = harness.stack.credentials(story.function()).await.expect("credentials");
    credentials.access_key_id
}

/// Once all is over: every run ended, no copy left, no secret half-written, no value logged, no function panicked.
async fn aftermath(harness: &Harness, world: &World) -> Vec<String> {
    let mut wrongs = Vec::new();
    // Until what failed launches left is due; the sweep says so itself, by what is left of runs that live.
    let begun = std::time::Instant::now();
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
        if begun.elapsed().as_secs() > 90 {
            wrongs.push(format!("INV2: {} runs do not end: {}", live.len(), live[0]));
            break;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    for name in harness.secret_names().await {
        wrongs.push(format!("INV2: the copy {name} is left"));
    }
    let rows = harness.rows(&format!("SECRETS#WS#{}", world.workspace)).await;
    let count = |kind: &str| rows.iter().filter(|row| row.contains(&format!("sk=S(\"{kind}"))).count();
    if [count("VALUE#"), count("NAME#")] != [count("SECRET#"); 2] {
        wrongs.push(format!(
            "{} secrets, {} values, {} names",
            count("SECRET#"),
            count("VALUE#"),
            count("NAME#")
        ));
    }
    for (group, log) in harness.logs().await {
        // Processes died, were kept waiting and lost answers with values in their hands.
        if log.contains(MARK) {
            wrongs.push(format!("INV4: {group} holds a value"));
        }
        wrongs.extend(
            log.lines().find(|line| line.contains("panicked")).map(|line| format!("{group}: {line}")),
        );
    }
    for process in memory::functions() {
        let found = memory::search(&process.memory, &forms());
        wrongs.extend(found.first().map(|found| format!("INV4: {} remembers {found}", process.name)));
    }
    wrongs
}
