//! What a client or an event does in a trial: prepared without faults, done under one, repeated as a client would, and
//! what must be so afterwards.

use domain::copies::Layout;
use domain::ids::{RunId, SecretId};
use domain::platform::Platform;
use domain::use_cases::claim::Claim;
use domain::use_cases::launch::Launched;
use domain::use_cases::sweep::SweepSummary;
use domain::{Error, Result};

use crate::operations::{CleanupOperation, KEY, Report, only};
use crate::world::{LAUNCHER, World};
use support::Job;

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Story {
    /// A launch for AWS Batch, one copy.
    LaunchBundle,
    /// A launch for AWS Batch, a copy per name.
    LaunchPerName,
    /// A launch for an HPC scheduler.
    LaunchHpc,
    /// A launch with an idempotency key.
    LaunchKeyed,
    /// A launch repeated with its idempotency key after the first was done.
    LaunchAgain,
    /// A launch repeated with its idempotency key, for an HPC scheduler.
    LaunchHpcAgain,
    /// A claim.
    Claim,
    /// A report of the end, no head job being on record.
    End,
    /// A report of the end of an HPC run.
    EndHpc,
    /// A report of the end by the first attempt of a head job that runs on.
    EndOfAttempt,
    /// A heartbeat.
    Heartbeat,
    /// A head job is recorded.
    RecordJob,
    /// An event about a head job that ended.
    JobEnded,
    /// An event about a head job that runs on.
    JobChanged,
    /// An event says to look at a run that is over.
    Look,
    /// The sweep, with one run that is due, one that lives, and an orphan.
    Sweep,
    /// A secret is stored.
    Create,
    /// A secret is stored with an idempotency key.
    CreateKeyed,
    /// Three secrets are imported.
    Import,
    /// A secret gets a new value.
    Update,
    /// A secret gets a new value over a version that the client names.
    UpdateIf,
    /// A secret is deleted.
    Delete,
    /// A table from a backup is reconciled with the trail of what was deleted since.
    Reconcile,
}

/// What a story was prepared with.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// The run.
    pub run: Option<RunId>,
    /// Another run, which lives on.
    pub other: Option<RunId>,
    /// Its run token.
    pub token: String,
    /// Its claim token.
    pub claim: String,
    /// The secrets of the workspace.
    pub secrets: Vec<SecretId>,
}

/// What a story answered.
pub enum Told {
    /// A launch.
    Launched(Box<Launched>),
    /// Nextflow's store.
    Store(String),
    /// A second claim.
    Spent,
    /// Secrets were stored.
    Stored(Vec<SecretId>),
    /// A version was written.
    Version(u64),
    /// It was done.
    Done,
}

/// The secrets of every trial: a name and a value, the last one the launcher's own.
pub const SECRETS: [(&str, &str); 3] = [
    ("LICENSE", "bGluZSAxCg=="),
    ("NCBI_API_KEY", "canary-4c1d of the workspace"),
    ("NCBI_API_KEY", "canary-4c1d of the user"),
];

/// The head job of every trial.
pub const JOB: &str = "9d7a1f2e-0000-4000-8000-000000000001";

impl Story {
    /// Every story.
    pub const ALL: [Self; 23] = [
        Self::LaunchBundle,
        Self::LaunchPerName,
        Self::LaunchHpc,
        Self::LaunchKeyed,
        Self::LaunchAgain,
        Self::LaunchHpcAgain,
        Self::Claim,
        Self::End,
        Self::EndHpc,
        Self::EndOfAttempt,
        Self::Heartbeat,
        Self::RecordJob,
        Self::JobEnded,
        Self::JobChanged,
        Self::Look,
        Self::Sweep,
        Self::Create,
        Self::CreateKeyed,
        Self::Import,
        Self::Update,
        Self::UpdateIf,
        Self::Delete,
        Self::Reconcile,
    ];

    /// Whether it launches: its first act is the one that makes the run.
    #[must_use]
    pub fn launches(self) -> bool {
        matches!(
            self,
            Self::LaunchBundle
                | Self::LaunchPerName
                | Self::LaunchHpc
                | Self::LaunchKeyed
                | Self::LaunchAgain
                | Self::LaunchHpcAgain
        )
    }

    /// Whether it stores secrets where there are none.
    fn stores(self) -> bool {
        matches!(self, Self::Create | Self::CreateKeyed | Self::Import)
    }

    /// The idempotency key that its launches carry.
    #[must_use]
    pub fn key(self) -> Option<&'static str> {
        let keyed = matches!(self, Self::LaunchKeyed | Self::LaunchAgain | Self::LaunchHpcAgain);
        keyed.then_some(KEY)
    }

    /// Where its run executes, and how its copies are laid out.
    #[must_use]
    pub fn platform(self) -> (Platform, Layout) {
        match self {
            Self::LaunchHpc | Self::LaunchHpcAgain | Self::Claim | Self::EndHpc => {
                (Platform::Slurm, Layout::Bundle)
            }
            Self::LaunchPerName | Self::Look => (Platform::AwsBatch, Layout::PerName),
            _ => (Platform::AwsBatch, Layout::Bundle),
        }
    }

    /// Makes what the story begins with. Nothing fails here.
    pub async fn prepare(self, world: &World) -> Prepared {
        let (platform, layout) = self.platform();
        let mut prepared = Prepared::default();
        let writes =
            self.stores() || matches!(self, Self::Update | Self::UpdateIf | Self::Delete | Self::Reconcile);
        if !self.stores() {
            prepared.secrets = world.create(&SECRETS[..2], None).await.expect("stored");
            let own = world.create_as(LAUNCHER, false, &SECRETS[2..], None).await;
            own.expect("stored");
        }
        let launched_before = match self {
            Self::LaunchAgain | Self::LaunchHpcAgain => true,
            _ => !self.launches() && !writes,
        };
        if launched_before {
            let launched = world.launch(platform, layout, self.key()).await.expect("launched");
            let tokens = launched.tokens.expect("a first launch shows its tokens");
            prepared.token = tokens.run.to_string();
            prepared.claim = tokens.claim.map(|claim| claim.to_string()).unwrap_or_default();
            prepared.run = Some(launched.run.id);
        }
        self.advance(world, &mut prepared).await;
        prepared
    }

    async fn advance(self, world: &World, prepared: &mut Prepared) {
        if matches!(self, Self::EndOfAttempt | Self::RecordJob | Self::JobEnded | Self::JobChanged) {
            world.aws.state().services.jobs.push(Job { id: JOB.into(), status: "RUNNING" });
        }
        let Some(run) = prepared.run.clone() else {
            return;
        };
        if matches!(self, Self::EndOfAttempt | Self::JobEnded | Self::JobChanged) {
            world.report(&run, &prepared.token, Report::Job(JOB)).await.expect("recorded");
        }
        if self == Self::JobEnded {
            world.set_job("FAILED");
        }
        if matches!(self, Self::Look | Self::Sweep) {
            world.report(&run, &prepared.token, Report::Over).await.expect("reported");
        }
        if self == Self::Sweep {
            let other = world.launch_of(Platform::AwsBatch, Layout::Bundle, None, only(&["LICENSE"])).await;
            prepared.other = Some(other.expect("launched").run.id);
            world.orphan(&run);
        }
        if self == Self::Heartbeat {
            world.pass(jiff::SignedDuration::from_mins(20));
        }
    }

    /// Does it once.
    pub async fn act(self, world: &World, prepared: &Prepared) -> Result<Told> {
        let (platform, layout) = self.platform();
        if self.launches() {
            let launched = world.launch(platform, layout, self.key()).await?;
            return Ok(Told::Launched(Box::new(launched)));
        }
        if let Some(told) = self.write(world, prepared).await {
            return told;
        }
        let run = prepared.run.as_ref().ok_or(Error::bug("a story without a run"))?;
        match self {
            Self::Claim => {
                return match world.claim(run, &prepared.claim).await? {
                    Claim::Store(store) => Ok(Told::Store(store.to_string())),
                    Claim::SecondUse => Ok(Told::Spent),
                    Claim::Ended => Err(Error::Gone("ended".into())),
                };
            }
            Self::End | Self::EndHpc | Self::EndOfAttempt => {
                world.report(run, &prepared.token, Report::Over).await?;
            }
            Self::Heartbeat => {
                world.report(run, &prepared.token, Report::Alive).await?;
            }
            Self::RecordJob => {
                world.report(run, &prepared.token, Report::Job(JOB)).await?;
            }
            Self::JobEnded | Self::JobChanged => {
                world.clean(CleanupOperation::JobChanged(JOB)).await?;
            }
            Self::Look => {
                world.clean(CleanupOperation::Look(run)).await?;
            }
            // What failed of a sweep is left to the next one.
            _ => match world.clean(CleanupOperation::Sweep).await? {
                SweepSummary { failed: 0, orphans_failed: 0, .. } => {}
                _ => return Err(Error::unavailable("a sweep", "something is left")),
            },
        }
        Ok(Told::Done)
    }

    async fn write(self, world: &World, prepared: &Prepared) -> Option<Result<Told>> {
        let secret = prepared.secrets.first().copied();
        Some(match self {
            Self::Create => world.create(&SECRETS[..1], None).await.map(Told::Stored),
            Self::CreateKeyed => world.create(&SECRETS[..1], Some(KEY)).await.map(Told::Stored),
            Self::Import => {
                let three = [SECRETS[0], SECRETS[1], ("THIRD", "3")];
                world.create(&three, Some(KEY)).await.map(Told::Stored)
            }
            Self::Update => world.update(secret?, "new", None).await.map(Told::Version),
            Self::UpdateIf => world.update(secret?, "new", Some(1)).await.map(Told::Version),
            Self::Delete => world.delete(secret?, None).await.map(|()| Told::Done),
            Self::Reconcile => world.reconcile(&prepared.secrets).await.map(|()| Told::Done),
            _ => return None,
        })
    }
}

impl World {
    /// What the head job is from here on.
    pub fn set_job(&self, status: &'static str) {
        for job in &mut self.aws.state().services.jobs {
            job.status = status;
        }
    }

    /// A copy of this run that lands after everybody looked: as a request does whose answer was lost long ago.
    fn orphan(&self, run: &RunId) {
        let tags = [
            ("pipeline-secrets:deployment", crate::world::DEPLOYMENT),
            ("pipeline-secrets:scope", "workspace/42"),
            ("pipeline-secrets:run", run.as_str()),
            ("pipeline-secrets:not-after", "2036-01-01T00:00:00Z"),
        ];
        let name = format!("tower-{run}.2");
        self.aws.state().services.target.secrets.insert(name, support::StoredSecret::by_others(&tags));
    }
}
