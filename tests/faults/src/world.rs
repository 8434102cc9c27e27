//! A deployment in memory: the real adapters over the real SDK, the services of [`crate::sim`] behind it, and a
//! workspace with people and secrets.

use std::cell::Cell;

use delivery_secretsmanager::{CopyMaker, CopyRemover};
use domain::Timestamp;
use domain::identity::Actor;
use domain::ids::{RunPrefix, UserId, WorkspaceId};
use domain::ports::Randomness;
use domain::settings::Settings;
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

/// The deployment's name: the prefix of another one's, which lists by tags match too.
pub const DEPLOYMENT: &str = "prod";
/// How the deployment's run ids begin.
pub const PREFIX: &str = "ab12";
/// The envelope key.
const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/envelope";

/// The adapters, each with the client that a function gives it, and the HTTP services behind them.
pub struct World {
    /// The services.
    pub aws: Aws,
    /// The table.
    pub store: Store,
    /// The right to seal.
    pub sealer: KmsSealer,
    /// The right to open.
    pub opener: KmsOpener,
    /// The right to make copies.
    pub maker: CopyMaker,
    /// The right to remove copies.
    pub remover: CopyRemover,
    /// The bus.
    pub announcer: RunAnnouncer,
    /// AWS Batch.
    pub observer: JobObserver,
    /// The deployment's choices.
    pub settings: Settings,
    /// How run ids begin.
    pub prefix: RunPrefix,
    /// Randomness that is the same in every trial.
    pub randomness: Sequence,
    now: Cell<Timestamp>,
}

/// A client whose retries no other trial has used up: the SDK's quota of them is the process's.
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
    /// A deployment without a row.
    #[must_use]
    pub fn new() -> Self {
        Self::over(Aws::new(Gate::default()))
    }

    /// The same deployment, its calls neither counted nor failed.
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
            settings: Settings::new(DEPLOYMENT),
            prefix: RunPrefix::new(PREFIX).expect("four characters"),
            randomness: Sequence::default(),
            now: Cell::new(start()),
            aws,
        };
        world.aws.state().now = start();
        world
    }

    /// An empty account again, with other people's secrets in it, and a gate that is open.
    pub fn reset(&self) {
        self.aws.gate.open();
        self.randomness.0.set(1);
        let mut state = sim::State::default();
        DEPLOYMENT.clone_into(&mut state.services.target.deployment);
        for (name, made) in others() {
            state.services.target.secrets.insert(name, made);
        }
        *self.aws.state() = state;
        self.set_now(start());
    }

    /// The time that use cases are given.
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

    /// The time that a function has.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        Deadline::after(FUNCTION)
    }

    /// Puts a row.
    pub fn put(&self, row: &Value) {
        self.aws.state().services.database.put(row);
    }

    /// The workspace with its owner and a user who launches; the owner has an own row, as users have.
    pub fn people(&self) {
        self.put(&json!({
            "pk": { "S": scope(WORKSPACE) }, "sk": { "S": "META" }, "id": { "N": WORKSPACE.to_string() },
            "org": { "N": "5" }, "orgName": { "S": "acme" }, "name": { "S": "lab" }, "fullName": { "S": "The lab" },
            "platforms": { "L": [{ "S": "aws-batch" }, { "S": "slurm" }] },
            "createdAt": { "S": start().to_string() },
        }));
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

/// The workspace.
pub const WORKSPACE: i64 = 42;
/// Its owner.
pub const OWNER: i64 = 1;
/// Someone who launches in it.
pub const LAUNCHER: i64 = 2;
/// What a function has at most (`infra/template.yaml`, launch-run).
const FUNCTION: std::time::Duration = std::time::Duration::from_secs(29);

/// The partition of a workspace.
#[must_use]
pub fn scope(workspace: i64) -> String {
    format!("WS#{workspace}")
}

/// The workspace's id.
#[must_use]
pub fn workspace() -> WorkspaceId {
    WorkspaceId::new(WORKSPACE).expect("a positive number")
}

/// A caller.
#[must_use]
pub fn actor(user: i64) -> Actor {
    Actor { user: UserId::new(user).expect("a positive number"), token: None }
}

/// When every trial begins.
#[must_use]
pub fn start() -> Timestamp {
    "2026-11-23T10:20:30.123Z".parse().expect("a time")
}

/// Secrets that are not the deployment's, or of a run that nobody knows: none may be touched.
#[must_use]
pub fn others() -> [(String, StoredSecret); 4] {
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

/// `SplitMix64` from a seed: ids differ within a trial and are the same in every run of it.
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
