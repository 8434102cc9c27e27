//! A deployment in memory: the real adapters and SDK with the services of [`crate::sim`], and a
//! workspace with members and secrets.

use std::cell::Cell;

use delivery_secretsmanager::{CopyMaker, CopyRemover};
use domain::Timestamp;
use domain::environment::{Environment, EnvironmentId, ExternalId, Region, RoleArn};
use domain::identity::Actor;
use domain::ids::{RunPrefix, UserId, WorkspaceId};
use domain::ports::Randomness;
use domain::settings::{LiveLimits, Settings};
use environments_sts::RoleAssumer;
use events_eventbridge::RunAnnouncer;
use jiff::SignedDuration;
use jobs_batch::JobObserver;
use keys_kms::{KmsOpener, KmsSealer};
use runtime::{Clients, Deadline};
use serde_json::{Value, json};
use store_dynamodb::Store;

use crate::gate::Gate;
use crate::sim::{self, Aws};
use support::{StoredSecret, TABLE, sdk_config};

/// The deployment's name. It is a prefix of another deployment's name, which also matches in lists
/// by tag.
pub const DEPLOYMENT: &str = "prod";
/// The prefix of the deployment's run ids.
pub const PREFIX: &str = "ab12";
/// The envelope key.
const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/envelope";

/// The adapters, with clients like in the functions, and the services behind them.
pub struct World {
    /// The services.
    pub aws: Aws,
    /// The table.
    pub store: Store,
    /// Seals values.
    pub sealer: KmsSealer,
    /// Opens values.
    pub opener: KmsOpener,
    /// Creates copies.
    pub maker: CopyMaker,
    /// Deletes copies.
    pub remover: CopyRemover,
    /// Publishes events.
    pub announcer: RunAnnouncer,
    /// Reads jobs of AWS Batch.
    pub observer: JobObserver,
    /// Assumes roles of environments.
    pub roles: RoleAssumer,
    /// The deployment's settings.
    pub settings: Settings,
    /// The prefix of run ids.
    pub prefix: RunPrefix,
    /// Deterministic randomness.
    pub randomness: Sequence,
    now: Cell<Timestamp>,
}

/// Creates a client with unlimited retry tokens. By default the SDK shares its retry quota across
/// the process, so trials would affect each other.
macro_rules! client {
    ($sdk:ident, $config:expr) => {
        $sdk::Client::from_conf(
            $sdk::config::Builder::from($config)
                .retry_partition(
                    $sdk::config::retry::RetryPartition::custom("trial")
                        .token_bucket($sdk::config::retry::TokenBucket::unlimited())
                        .build(),
                )
                .build(),
        )
    };
}

impl World {
    /// Creates a deployment with an empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::over(Aws::new(Gate::default()))
    }

    /// Returns the same deployment with calls that are not counted and do not fail.
    #[must_use]
    pub fn quiet(&self) -> Self {
        let quiet = Self::over(self.aws.quiet());
        quiet.now.set(self.now());
        quiet.randomness.0.set(self.randomness.0.get() ^ 0xabcd);
        quiet
    }

    fn over(aws: Aws) -> Self {
        // With the time limits and retries of a function.
        let clients = Clients::of(&sdk_config(aws.clone()).build());
        let (data, control) = (clients.data(), clients.control());
        let kms = client!(aws_sdk_kms, data);
        let target = client!(aws_sdk_secretsmanager, control);
        let world = Self {
            store: Store::new(client!(aws_sdk_dynamodb, data), TABLE),
            sealer: KmsSealer::new(kms.clone(), KEY),
            opener: KmsOpener::new(kms, KEY),
            maker: CopyMaker::new(target.clone(), None),
            remover: CopyRemover::new(target),
            announcer: RunAnnouncer::new(client!(aws_sdk_eventbridge, control), "bus"),
            observer: JobObserver::new(client!(aws_sdk_batch, control)),
            roles: RoleAssumer::new(control, clients.elsewhere()),
            // Storms are larger than the default limits of live runs.
            settings: Settings { live_limits: MOST_LIVE, ..Settings::new(DEPLOYMENT) },
            prefix: RunPrefix::new(PREFIX).expect("four characters"),
            randomness: Sequence::default(),
            now: Cell::new(start()),
            aws,
        };
        world.aws.state().now = start();
        world
    }

    /// Resets the account to unrelated secrets only, and opens the gate.
    pub fn reset(&self) {
        self.aws.gate.open();
        self.randomness.0.set(1);
        let mut state = sim::State::default();
        DEPLOYMENT.clone_into(&mut state.services.target.deployment);
        let elsewhere = &mut state.services.elsewhere;
        DEPLOYMENT.clone_into(&mut elsewhere.target.deployment);
        elsewhere.role = Some((environment().role.to_string(), environment().external_id.to_string()));
        for (name, secret) in unrelated_secrets() {
            state.services.target.secrets.insert(name, secret);
        }
        *self.aws.state() = state;
        self.set_now(start());
    }

    /// Returns the current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now.get()
    }

    /// Lets time pass.
    pub fn pass(&self, time: SignedDuration) {
        self.set_now(self.now() + time);
    }

    fn set_now(&self, now: Timestamp) {
        self.now.set(now);
        self.aws.state().now = now;
    }

    /// Returns a function's deadline.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        Deadline::after(FUNCTION)
    }

    /// Sets the time to that of tokio's clock, which showed `start` at the start of the world.
    pub fn follow_clock(&self, start: tokio::time::Instant) {
        let elapsed = SignedDuration::try_from(start.elapsed()).expect("a test is short");
        self.set_now(self::start() + elapsed);
    }

    /// Writes a row.
    pub fn put(&self, row: &Value) {
        self.aws.state().services.database.put(row);
    }

    /// Creates the workspace's environment, and its entry in the list of all of them.
    fn add_environment(&self) {
        let Environment { id, region, role, external_id, .. } = environment();
        let row = json!({
            "id": { "S": id }, "region": { "S": region }, "role": { "S": role }, "externalId": { "S": external_id },
            "workspace": { "N": WORKSPACE.to_string() }, "name": { "S": "Frankfurt" }, "credentials": { "S": id },
            "config": { "S": "{}" }, "createdBy": { "N": OWNER.to_string() },
            "provedAt": { "S": start().to_string() }, "createdAt": { "S": start().to_string() },
            "updatedAt": { "S": start().to_string() },
        });
        for (pk, sk) in
            [(format!("ENVS#{WORKSPACE}"), format!("ENV#{id}")), ("ENVIRONMENTS".to_owned(), id.to_string())]
        {
            let mut row = row.clone();
            row["pk"] = json!({ "S": pk });
            row["sk"] = json!({ "S": sk });
            self.put(&row);
        }
    }

    /// Lets time pass until a sweep looks for orphans in the environment.
    pub fn wait_for_turn(&self) {
        let letters: i64 = environment().id.as_str().bytes().map(i64::from).sum();
        let turn = || self.now().as_second().div_euclid(300).rem_euclid(12);
        while turn() != letters % 12 {
            self.pass(SignedDuration::from_mins(5));
        }
    }

    /// Creates the workspace with its owner and a launcher, and their user rows.
    pub fn add_members(&self) {
        self.put(&json!({
            "pk": { "S": scope(WORKSPACE) }, "sk": { "S": "META" }, "id": { "N": WORKSPACE.to_string() },
            "org": { "N": "5" }, "orgName": { "S": "acme" }, "name": { "S": "lab" }, "fullName": { "S": "The lab" },
            "platforms": { "L": [{ "S": "aws-batch" }, { "S": "slurm" }] },
            "createdAt": { "S": start().to_string() },
        }));
        self.add_environment();
        for (user, role) in [(OWNER, "owner"), (LAUNCHER, "launch")] {
            self.put(&json!({
                "pk": { "S": format!("MEMBERS#{WORKSPACE}") }, "sk": { "S": format!("MEMBER#{user}") }, "role": { "S": role },
            }));
            self.put(&json!({ "pk": { "S": format!("USER#{user}") }, "sk": { "S": "META" } }));
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

const MOST_LIVE: LiveLimits = LiveLimits {
    runs_per_user: 10_000,
    runs_per_workspace: 10_000,
    copies_per_user: 10_000,
    copies_per_workspace: 10_000,
};

/// The workspace.
pub const WORKSPACE: i64 = 42;
/// The workspace's owner.
pub const OWNER: i64 = 1;
/// A member with the role `launch`.
pub const LAUNCHER: i64 = 2;
/// The timeout of launch-run in `infra/template.yaml`.
const FUNCTION: std::time::Duration = std::time::Duration::from_secs(29);

/// Returns the partition of a workspace.
#[must_use]
pub fn scope(workspace: i64) -> String {
    format!("WS#{workspace}")
}

/// Returns the workspace's id.
#[must_use]
pub fn workspace() -> WorkspaceId {
    WorkspaceId::new(WORKSPACE).expect("a positive number")
}

/// Returns a caller.
#[must_use]
pub fn actor(user: i64) -> Actor {
    Actor::without_token(UserId::new(user).expect("a positive number"))
}

/// Returns the workspace's environment, in another account and region.
#[must_use]
pub fn environment() -> Environment {
    let role = "arn:aws:iam::210987654321:role/pipeline-secrets-lab";
    Environment {
        id: EnvironmentId::parse("0123456789abcdefghijkl").expect("an id"),
        region: Region::parse("eu-central-1").expect("a region"),
        role: RoleArn::parse(role).expect("an ARN"),
        external_id: ExternalId::parse("0123456789abcdefghijklmnopqrstuv").expect("an external id"),
        copy_key: None,
    }
}

/// The start time of every trial.
#[must_use]
pub fn start() -> Timestamp {
    "2026-11-23T10:20:30.123Z".parse().expect("a time")
}

/// Secrets outside the deployment or of an unknown run, which must not be changed.
#[must_use]
pub fn unrelated_secrets() -> [(String, StoredSecret); 4] {
    let unknown = [
        ("pipeline-secrets:deployment", DEPLOYMENT),
        ("pipeline-secrets:scope", "workspace/42"),
        ("pipeline-secrets:run", "ab12zzzzzzzzzz"),
        ("pipeline-secrets:not-after", "2036-01-01T00:00:00Z"),
    ];
    let neighbour = [
        ("pipeline-secrets:deployment", "production"),
        ("pipeline-secrets:run", "ab12yyyyyyyyyy"),
        ("pipeline-secrets:not-after", "2020-01-01T00:00:00Z"),
    ];
    [
        ("tower-ab12zzzzzzzzzz".to_owned(), StoredSecret::by_others(&unknown)),
        ("tower-ab12yyyyyyyyyy".to_owned(), StoredSecret::by_others(&neighbour)),
        ("tower-ab12xxxxxxxxxx".to_owned(), StoredSecret::by_others(&[("owner", DEPLOYMENT)])),
        ("database-password".to_owned(), StoredSecret::by_others(&[])),
    ]
}

/// `SplitMix64` with a fixed seed: ids are unique within a trial and the same in every run of it.
/// <https://prng.di.unimi.it/splitmix64.c>
#[derive(Clone, Debug, Default)]
pub struct Sequence(pub Cell<u64>);

impl Randomness for Sequence {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let seed = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
            self.0.set(seed);
            let mut word = seed;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(word ^ (word >> 31)).to_be_bytes()[..chunk.len()]);
        }
    }
}
