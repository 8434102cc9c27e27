//! Many concurrent launches, while AWS Secrets Manager allows 50 creations per second in an
//! account, and DynamoDB and KMS throttle as well. Time is virtual: it passes only by waiting.

mod client;

use std::collections::BTreeMap;
use std::time::Duration;

use domain::copies::Layout;
use domain::run::State;
use domain::{Error, Result};
use futures_util::future::{join, join_all};
use jiff::SignedDuration;
use tokio::time::Instant;

use self::client::Client;
use crate::ledger;
use crate::operations::CleanupOperation;
use crate::world::{World, unrelated_secrets};
use support::Limit;

/// A storm of concurrent launches.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// The number of launches, all in the same instant.
    pub launches: usize,
    /// The number of secrets of each launch.
    pub secrets: usize,
    /// The layout of the copies.
    pub layout: Layout,
    /// Whether clients retry after `Retry-After` until they are live. Otherwise each launches once.
    pub retries: bool,
    /// The account's limit for creations of secrets per second. AWS allows 50.
    /// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>
    pub creations: u32,
}

/// The result of a storm.
#[derive(Clone, Default, Debug)]
pub struct StormResult {
    /// Launches that returned a run with its secrets.
    pub live: usize,
    /// Requests to launch that returned 429 with `Retry-After`.
    pub rejected: usize,
    /// The time of the last answer.
    pub end: Duration,
    /// The longest duration of a concurrent launch of one bundle.
    pub longest_bundle: Duration,
    /// AWS calls, including retries.
    pub calls: usize,
    /// The number of throttled calls.
    pub throttled: usize,
    /// The longest duration of a launch.
    pub longest: Duration,
    /// The longest duration of a concurrent read or write of secrets.
    pub longest_other: Duration,
    /// The violations.
    pub violations: Vec<String>,
}

/// The latency of an AWS call.
const CALL: Duration = Duration::from_millis(15);
/// The maximum attempts of a call (`shared/runtime`): to DynamoDB and KMS, and to other services.
const ATTEMPTS: [usize; 2] = [4, 6];
/// The duration of the concurrent operations in seconds.
const OTHER_SECONDS: usize = 10;
/// The maximum number of calls, as a multiple of the calls without throttling.
const AMPLIFICATION: usize = 4;

/// The duration of the concurrent launches of bundles in seconds.
const BUNDLE_SECONDS: u64 = 90;

impl Storm {
    /// Clients with 20 copies each that retry at the quota of AWS until they are live.
    #[must_use]
    pub fn per_name(clients: usize) -> Self {
        Self { launches: clients, secrets: 20, layout: Layout::PerName, retries: true, creations: 50 }
    }

    /// Runs the storm, and checks its result.
    pub async fn run(self, world: &World) -> StormResult {
        self.prepare(world).await;
        let started = Instant::now();
        let clients = join_all((0..self.launches).map(async |_| self.client(world, started).await));
        let bundles = Box::pin(self.bundles(world, started));
        let others = join(Box::pin(other_operations(world)), bundles);
        let (clients, (others, bundles)) = join(Box::pin(clients), others).await;
        world.aws.state().limits.clear();
        let mut result =
            StormResult { longest_other: others.1, violations: others.0, ..StormResult::default() };
        let mut runs = Vec::new();
        for client in clients {
            result.end = result.end.max(client.end);
            result.longest = result.longest.max(client.longest);
            result.rejected += client.rejected;
            result.violations.extend(client.violation);
            runs.extend(client.run);
        }
        result.live = runs.len();
        for bundle in bundles {
            result.longest_bundle = result.longest_bundle.max(bundle.longest);
            result.violations.extend(bundle.violation);
            runs.extend(bundle.run);
        }
        self.count_calls(world, &mut result);
        clean_up(world, &mut result).await;
        check_runs(world, runs.len(), &mut result.violations);
        let copies = runs.into_iter().flat_map(|run| run.lifecycle.copies).map(|copy| copy.name);
        check_copies(world, copies.collect(), &mut result.violations);
        result
    }

    /// Launches, and retries after `Retry-After` if the storm's clients do.
    async fn client(self, world: &World, started: Instant) -> Client {
        let mut client = Client::default();
        loop {
            match client.launch(world, self.layout, &self.names(), started).await {
                Some(retry_after) if self.retries => tokio::time::sleep(retry_after).await,
                _ => return client,
            }
        }
    }

    /// Launches one bundle every second, if the storm's clients retry. None may be rejected.
    async fn bundles(self, world: &World, started: Instant) -> Vec<Client> {
        let launches = (0..self.bundle_seconds()).map(async |second| {
            tokio::time::sleep(Duration::from_secs(second)).await;
            let mut client = Client::default();
            if client.launch(world, Layout::Bundle, &self.names()[..1], started).await.is_some() {
                client.violation = Some(format!("a bundle was rejected in second {second}"));
            }
            client
        });
        join_all(launches).await
    }

    fn bundle_seconds(self) -> u64 {
        if self.retries { BUNDLE_SECONDS } else { 0 }
    }

    /// The names of the secrets of each launch. The other operations store more secrets.
    fn names(self) -> Vec<String> {
        (0..self.secrets).map(|number| format!("SECRET_{number}")).collect()
    }

    async fn prepare(self, world: &World) {
        world.reset();
        world.add_members();
        let names = self.names();
        let secrets: Vec<_> = names.iter().map(|name| (name.as_str(), "a value")).collect();
        world.create(&secrets, None).await.expect("stored");
        let mut state = world.aws.state();
        state.unchecked = true;
        state.latency = CALL;
        state.calls.clear();
        // Half of the requests in the first second are throttled.
        let burst = u32::try_from(self.launches).unwrap_or(u32::MAX) / 2;
        let decrypts = burst.saturating_mul(u32::try_from(self.secrets).unwrap_or(u32::MAX));
        state.limits = BTreeMap::from([
            ("CreateSecret", Limit::per_second(self.creations)),
            ("TransactWriteItems", Limit::per_second(burst)),
            ("Decrypt", Limit::per_second(decrypts)),
        ]);
    }

    /// Checks that retries do not multiply the calls beyond their limits.
    fn count_calls(self, world: &World, result: &mut StormResult) {
        let calls = world.aws.state().calls.clone();
        result.calls = calls.len();
        let count = |name: &str| calls.iter().filter(|call| call.operation == name).count();
        let copies = match self.layout {
            Layout::Bundle => 1,
            Layout::Plugin => 2,
            Layout::PerName => self.secrets,
        };
        let bundles = usize::try_from(self.bundle_seconds()).unwrap_or(usize::MAX);
        // A launch retries its intent with backoff until its deadline, so only the sum below bounds
        // those calls.
        let limits = [
            ("Decrypt", (self.launches * self.secrets + bundles) * ATTEMPTS[0]),
            ("CreateSecret", (self.launches * copies + bundles) * ATTEMPTS[1]),
            ("PutEvents", (self.launches + bundles) * 2 * ATTEMPTS[1]),
        ];
        for (operation, most) in limits {
            let called = count(operation);
            if called > most {
                result.violations.push(format!("{operation} was called {called} times; the limit is {most}"));
            }
        }
        let launches = self.launches * (self.secrets + copies + 10) + bundles * 12;
        let calm = launches + OTHER_SECONDS * 10;
        if calls.len() > calm * AMPLIFICATION {
            result
                .violations
                .push(format!("{} calls were made; without a storm there are {calm}", calls.len()));
        }
        result.throttled = world.aws.state().throttled;
    }
}

/// Lists, stores and updates secrets every second during the storm. Each operation must succeed.
async fn other_operations(world: &World) -> (Vec<String>, Duration) {
    let (mut violations, mut longest) = (Vec::new(), Duration::ZERO);
    for second in 0..OTHER_SECONDS {
        let started = Instant::now();
        let done = async {
            let name = format!("OTHER_{second}");
            let ids = world.create(&[(&name, "a value")], None).await?;
            let listed = world.list().await?;
            if !listed.iter().any(|secret| secret.name.as_str() == name) {
                return Err(Error::bug("a stored secret is not in the list"));
            }
            for id in ids {
                world.update(id, "another value", None).await?;
            }
            Ok(())
        };
        let done: Result<()> = done.await;
        if let Err(error) = done {
            violations.push(format!("another operation failed in second {second}: {error:?}"));
        }
        longest = longest.max(started.elapsed());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    (violations, longest)
}

/// Sweeps the remains of failed launches. Their events are lost.
async fn clean_up(world: &World, result: &mut StormResult) {
    world.aws.state().services.notices.clear();
    world.pass(SignedDuration::from_mins(5));
    // One sweep handles a limited number of runs; the next one continues.
    for _ in 0..4 {
        match world.clean(CleanupOperation::Sweep).await {
            Ok(swept) if swept.failed + swept.orphans_failed == 0 => {}
            other => result.violations.push(format!("a sweep after the storm failed: {other:?}")),
        }
    }
}

/// Checks that exactly the copies of live runs exist.
fn check_copies(world: &World, mut expected: Vec<String>, violations: &mut Vec<String>) {
    let unrelated_secrets = unrelated_secrets();
    let state = world.aws.state();
    let ours = |name: &&String| unrelated_secrets.iter().all(|(other, _)| other != *name);
    let left: Vec<_> = state.services.target.secrets.keys().filter(ours).cloned().collect();
    expected.sort_unstable();
    if left != expected {
        violations.push(format!("INV2: {} copies exist; the live runs have {}", left.len(), expected.len()));
    }
}

fn check_runs(world: &World, live: usize, violations: &mut Vec<String>) {
    let rows = ledger::rows(&world.aws.state().services.database);
    let (mut pending, mut others) = (0, BTreeMap::<&str, usize>::new());
    for (_, run) in ledger::runs(&rows) {
        match run.lifecycle().state {
            State::Pending => pending += 1,
            State::Ended => {}
            state => *others.entry(state.as_str()).or_default() += 1,
        }
    }
    if pending != live || !others.is_empty() {
        violations.push(format!(
            "INV2: {pending} runs are pending, {live} were returned; other states: {others:?}"
        ));
    }
}
