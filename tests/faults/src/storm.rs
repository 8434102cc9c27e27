//! Many launches at once, where AWS Secrets Manager allows 50 creations a second in an account, and DynamoDB and KMS
//! throttle as well. Time is virtual: only waiting passes it.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::copies::Layout;
use domain::platform::Platform;
use domain::run::State;
use domain::{Error, Result};
use futures_util::future::{join, join_all};
use jiff::SignedDuration;
use tokio::time::Instant;

use crate::ledger;
use crate::operations::CleanupOperation;
use crate::world::{World, others};
use support::Limit;

/// A storm.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// Launches, all in the same instant.
    pub launches: usize,
    /// Secrets that each of them gets.
    pub secrets: usize,
    /// How their copies are laid out.
    pub layout: Layout,
    /// How many creations of secrets the account allows in a second: AWS allows 50.
    /// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>
    pub creations: u32,
}

/// What came of it.
#[derive(Clone, Default, Debug)]
pub struct StormResult {
    /// Launches that were answered with a run that has its secrets.
    pub live: usize,
    /// Launches that were answered 429 with `Retry-After`.
    pub refused: usize,
    /// Calls of AWS, repeats included.
    pub calls: usize,
    /// How often a call was throttled.
    pub throttled: usize,
    /// The longest that a launch took.
    pub longest: Duration,
    /// The longest that a read or a write of secrets took meanwhile.
    pub longest_meanwhile: Duration,
    /// What was wrong.
    pub wrongs: Vec<String>,
}

/// What a call of AWS takes.
const CALL: Duration = Duration::from_millis(15);
/// Attempts of a call at most (`shared/runtime`): of DynamoDB and KMS, and of the rest.
const ATTEMPTS: [usize; 2] = [4, 6];
/// Seconds in which others do something.
const MEANWHILE: usize = 10;
/// What throttling may cost over all: times the calls of as many launches that meet none.
const AMPLIFICATION: usize = 4;

impl Storm {
    /// Lets it rage.
    pub async fn rage(self, world: &World) -> StormResult {
        self.prepare(world).await;
        let begun = Instant::now();
        let launches = join_all((0..self.launches).map(async |_| {
            let answer = world.launch(Platform::AwsBatch, self.layout, None).await;
            (answer.map(|launched| launched.run), begun.elapsed())
        }));
        let (answers, meanwhile) = join(Box::pin(launches), Box::pin(meanwhile(world))).await;
        world.aws.state().limits.clear();
        let mut result =
            StormResult { longest_meanwhile: meanwhile.1, wrongs: meanwhile.0, ..StormResult::default() };
        let mut copies = Vec::new();
        for (answer, took) in answers {
            result.longest = result.longest.max(took);
            match answer {
                Ok(run) if run.lifecycle.state == State::Pending => {
                    result.live += 1;
                    copies.extend(run.lifecycle.copies.into_iter().map(|copy| copy.name));
                }
                Err(Error::Contended) => result.refused += 1,
                other => {
                    result.wrongs.push(format!("a launch was answered {:?}", other.map(|run| run.id)));
                }
            }
        }
        self.count_calls(world, &mut result);
        settle(world, &mut result).await;
        left(world, copies, &mut result.wrongs);
        runs(world, result.live, &mut result.wrongs);
        result
    }

    async fn prepare(self, world: &World) {
        world.reset();
        world.people();
        let names: Vec<_> = (0..self.secrets).map(|number| format!("SECRET_{number}")).collect();
        let secrets: Vec<_> = names.iter().map(|name| (name.as_str(), "a value")).collect();
        world.create(&secrets, None).await.expect("stored");
        let mut state = world.aws.state();
        state.unwatched = true;
        state.takes = CALL;
        state.calls.clear();
        // Half of what is asked for in the first second is throttled.
        let burst = u32::try_from(self.launches).unwrap_or(u32::MAX) / 2;
        let decrypts = burst.saturating_mul(u32::try_from(self.secrets).unwrap_or(u32::MAX));
        state.limits = BTreeMap::from([
            ("CreateSecret", Limit::per_second(self.creations)),
            ("TransactWriteItems", Limit::per_second(burst)),
            ("Decrypt", Limit::per_second(decrypts)),
        ]);
    }

    /// No storm of repeats: what a launch may call at most, it calls at most.
    fn count_calls(self, world: &World, result: &mut StormResult) {
        let calls = world.aws.state().calls.clone();
        result.calls = calls.len();
        let count = |name: &str| calls.iter().filter(|call| call.operation == name).count();
        let copies = if self.layout == Layout::Bundle { 1 } else { self.secrets };
        // A launch repeats its intent until its time is over, with pauses; so that the sum is what is bounded there.
        let limits = [
            ("Decrypt", self.launches * self.secrets * ATTEMPTS[0]),
            ("CreateSecret", self.launches * copies * ATTEMPTS[1]),
            ("PutEvents", self.launches * 2 * ATTEMPTS[1]),
        ];
        for (operation, most) in limits {
            let made = count(operation);
            if made > most {
                result.wrongs.push(format!("{operation} was called {made}×, at most {most}× are allowed"));
            }
        }
        let calm = self.launches * (self.secrets + copies + 10) + MEANWHILE * 10;
        if calls.len() > calm * AMPLIFICATION {
            result.wrongs.push(format!("{} calls were made, where {calm} do without a storm", calls.len()));
        }
        result.throttled = world.aws.state().throttled;
    }
}

/// What others do meanwhile: every second a list, a secret stored and one changed. Each must be done, soon.
async fn meanwhile(world: &World) -> (Vec<String>, Duration) {
    let (mut wrongs, mut longest) = (Vec::new(), Duration::ZERO);
    for second in 0..MEANWHILE {
        let begun = Instant::now();
        let done = async {
            let name = format!("OTHER_{second}");
            let ids = world.create(&[(&name, "a value")], None).await?;
            let listed = world.list().await?;
            if !listed.iter().any(|secret| secret.name.as_str() == name) {
                return Err(Error::bug("what was stored is not listed"));
            }
            for id in ids {
                world.update(id, "another value", None).await?;
            }
            Ok(())
        };
        let done: Result<()> = done.await;
        if let Err(error) = done {
            wrongs.push(format!("meanwhile, in second {second}: {error:?}"));
        }
        longest = longest.max(begun.elapsed());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    (wrongs, longest)
}

/// What the launches that failed left is removed as their events say, or by the sweep where those got lost.
async fn settle(world: &World, result: &mut StormResult) {
    world.aws.state().services.notices.clear();
    world.pass(SignedDuration::from_mins(5));
    // A sweep takes up so many runs; the next one takes up the rest.
    for _ in 0..4 {
        match world.clean(CleanupOperation::Sweep).await {
            Ok(swept) if swept.failed + swept.orphans_failed == 0 => {}
            other => result.wrongs.push(format!("a sweep after the storm: {other:?}")),
        }
    }
}

/// Exactly the copies of the runs that live.
fn left(world: &World, mut expected: Vec<String>, wrongs: &mut Vec<String>) {
    let others = others();
    let state = world.aws.state();
    let ours = |name: &&String| others.iter().all(|(other, _)| other != *name);
    let left: Vec<_> = state.services.target.secrets.keys().filter(ours).cloned().collect();
    expected.sort_unstable();
    if left != expected {
        wrongs.push(format!("INV2: {} copies are left of {} that live", left.len(), expected.len()));
    }
}

fn runs(world: &World, live: usize, wrongs: &mut Vec<String>) {
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
        wrongs
            .push(format!("INV2: {pending} runs live of {live} that were answered; beside them {others:?}"));
    }
}
