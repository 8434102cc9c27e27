//! Stories: the operations of clients and events in trials. A trial prepares a story without
//! faults, runs it with faults, and retries it like a client.

use domain::copies::Layout;
use domain::ids::{RunId, SecretId};
use domain::platform::Platform;
use domain::use_cases::claim::Claim;
use domain::use_cases::launch::Launched;
use domain::use_cases::sweep::SweepSummary;
use domain::{Error, Result};
use jiff::SignedDuration;
use serde_json::json;

use crate::operations::{CleanupOperation, KEY, Report, only};
use crate::world::{LAUNCHER, World};
use support::Job;

/// An operation of a client or an event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Story {
    /// A launch for AWS Batch with one copy.
    LaunchBundle,
    /// A launch for AWS Batch with one copy per name, which reserves their creations and waits.
    LaunchPerName,
    /// A launch for AWS Batch with the plugin: one copy for the tasks, and one for the head job.
    LaunchPlugin,
    /// A launch in an environment.
    LaunchElsewhere,
    /// A launch for an HPC scheduler.
    LaunchHpc,
    /// A launch with an idempotency key.
    LaunchKeyed,
    /// A completed launch that is repeated with its idempotency key.
    LaunchRepeated,
    /// The same for an HPC scheduler.
    LaunchHpcRepeated,
    /// A claim.
    Claim,
    /// A report of the end of a run without a recorded head job.
    End,
    /// A report of the end of an HPC run.
    EndHpc,
    /// A report of the end by the first attempt of a head job that is still running.
    EndOfAttempt,
    /// A cancellation by the launcher.
    Cancel,
    /// A heartbeat.
    Heartbeat,
    /// A head job is recorded.
    RecordJob,
    /// A head job in an environment is recorded.
    RecordJobElsewhere,
    /// An event about an ended head job in an environment.
    JobEndedElsewhere,
    /// An event about an ended head job.
    JobEnded,
    /// An event about a head job that is still running.
    JobChanged,
    /// An event that requests a check of an ended run.
    Look,
    /// The sweep with a due run in an environment, and an orphan there.
    SweepElsewhere,
    /// The sweep with a due run, a live run and an orphan.
    Sweep,
    /// A secret is stored.
    Create,
    /// A secret is stored with an idempotency key.
    CreateKeyed,
    /// Three secrets are imported.
    Import,
    /// A secret is updated.
    Update,
    /// A secret is updated if it has the version that the client expects.
    UpdateIf,
    /// A secret is deleted.
    Delete,
    /// A restored table is reconciled with the deletions in the audit trail.
    Reconcile,
}

/// The prepared state of a story.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// The run.
    pub run: Option<RunId>,
    /// Another run, which stays live.
    pub other: Option<RunId>,
    /// The run token.
    pub token: String,
    /// The claim token.
    pub claim: String,
    /// The secrets of the workspace.
    pub secrets: Vec<SecretId>,
}

/// The answer to a story.
pub enum Answer {
    /// A launched run.
    Launched(Box<Launched>),
    /// Nextflow's secret store.
    Store(String),
    /// The claim token was already used.
    Spent,
    /// The ids of stored secrets.
    Stored(Vec<SecretId>),
    /// The written version.
    Version(u64),
    /// Success without data.
    Done,
}

/// The names and values of the secrets of every trial. The last one is a user secret of the
/// launcher.
pub const SECRETS: [(&str, &str); 3] = [
    ("LICENSE", "bGluZSAxCg=="),
    ("NCBI_API_KEY", "canary-4c1d of the workspace"),
    ("NCBI_API_KEY", "canary-4c1d of the user"),
];

/// More secrets, for a launch that has to reserve the creations of its copies.
const MORE_SECRETS: [(&str, &str); 2] =
    [("ADAPTERS", "canary-4c1d adapters"), ("INDEX", "canary-4c1d index")];

/// The head job of every trial.
pub const JOB: &str = "9d7a1f2e-0000-4000-8000-000000000001";

impl Story {
    /// Every story.
    pub const ALL: [Self; 29] = [
        Self::LaunchBundle,
        Self::LaunchPerName,
        Self::LaunchPlugin,
        Self::LaunchElsewhere,
        Self::LaunchHpc,
        Self::LaunchKeyed,
        Self::LaunchRepeated,
        Self::LaunchHpcRepeated,
        Self::Claim,
        Self::End,
        Self::EndHpc,
        Self::EndOfAttempt,
        Self::Cancel,
        Self::Heartbeat,
        Self::RecordJob,
        Self::RecordJobElsewhere,
        Self::JobEndedElsewhere,
        Self::JobEnded,
        Self::JobChanged,
        Self::Look,
        Self::Sweep,
        Self::SweepElsewhere,
        Self::Create,
        Self::CreateKeyed,
        Self::Import,
        Self::Update,
        Self::UpdateIf,
        Self::Delete,
        Self::Reconcile,
    ];

    /// Whether the story launches a run.
    #[must_use]
    pub fn launches(self) -> bool {
        matches!(
            self,
            Self::LaunchBundle
                | Self::LaunchPerName
                | Self::LaunchPlugin
                | Self::LaunchHpc
                | Self::LaunchElsewhere
                | Self::LaunchKeyed
                | Self::LaunchRepeated
                | Self::LaunchHpcRepeated
        )
    }

    /// Whether the story stores the first secrets.
    fn stores(self) -> bool {
        matches!(self, Self::Create | Self::CreateKeyed | Self::Import)
    }

    /// The idempotency key of its launches.
    #[must_use]
    pub fn key(self) -> Option<&'static str> {
        let keyed = matches!(self, Self::LaunchKeyed | Self::LaunchRepeated | Self::LaunchHpcRepeated);
        keyed.then_some(KEY)
    }

    /// Whether its run executes in an environment.
    #[must_use]
    pub fn is_elsewhere(self) -> bool {
        matches!(
            self,
            Self::LaunchElsewhere | Self::RecordJobElsewhere | Self::JobEndedElsewhere | Self::SweepElsewhere
        )
    }

    /// The platform of its run and the layout of its copies.
    #[must_use]
    pub fn platform(self) -> (Platform, Layout) {
        match self {
            Self::LaunchHpc | Self::LaunchHpcRepeated | Self::Claim | Self::EndHpc => {
                (Platform::Slurm, Layout::Bundle)
            }
            Self::LaunchPerName | Self::Look => (Platform::AwsBatch, Layout::PerName),
            Self::LaunchPlugin => (Platform::AwsBatch, Layout::Plugin),
            _ => (Platform::AwsBatch, Layout::Bundle),
        }
    }

    /// Creates the initial state, without faults.
    pub async fn prepare(self, world: &World) -> Prepared {
        let mut prepared = Prepared::default();
        let writes =
            self.stores() || matches!(self, Self::Update | Self::UpdateIf | Self::Delete | Self::Reconcile);
        if !self.stores() {
            prepared.secrets = world.create(&SECRETS[..2], None).await.expect("stored");
            let user_secret = world.create_as(LAUNCHER, false, &SECRETS[2..], None).await;
            user_secret.expect("stored");
            if self == Self::LaunchPerName {
                world.create(&MORE_SECRETS, None).await.expect("stored");
                world.reserve(SignedDuration::from_secs(2));
            }
        }
        let launched_before = match self {
            Self::LaunchRepeated | Self::LaunchHpcRepeated => true,
            _ => !self.launches() && !writes,
        };
        if launched_before {
            let launched = world.launch_for(self).await.expect("launched");
            let tokens = launched.tokens.expect("a first launch returns its tokens");
            prepared.token = tokens.run.to_string();
            prepared.claim = tokens.claim.map(|claim| claim.to_string()).unwrap_or_default();
            prepared.run = Some(launched.run.id);
        }
        self.advance(world, &mut prepared).await;
        prepared
    }

    async fn advance(self, world: &World, prepared: &mut Prepared) {
        if matches!(self, Self::EndOfAttempt | Self::RecordJob | Self::JobEnded | Self::JobChanged)
            || matches!(self, Self::RecordJobElsewhere | Self::JobEndedElsewhere)
        {
            let run = prepared.run.as_ref().map(RunId::to_string).unwrap_or_default();
            let job = Job { id: JOB.into(), status: "RUNNING", run };
            let services = &mut world.aws.state().services;
            let jobs = if self.is_elsewhere() { &mut services.elsewhere.jobs } else { &mut services.jobs };
            jobs.push(job);
        }
        let Some(run) = prepared.run.clone() else {
            return;
        };
        if matches!(self, Self::EndOfAttempt | Self::JobEnded | Self::JobChanged | Self::JobEndedElsewhere) {
            let job = if self.is_elsewhere() { Report::JobElsewhere(JOB) } else { Report::Job(JOB) };
            world.report(&run, &prepared.token, job).await.expect("recorded");
        }
        if matches!(self, Self::JobEnded | Self::JobEndedElsewhere) {
            world.set_job("FAILED");
        }
        if matches!(self, Self::Look | Self::Sweep | Self::SweepElsewhere) {
            world.report(&run, &prepared.token, Report::Over).await.expect("reported");
        }
        if self == Self::Sweep {
            let other = world.launch_of(Platform::AwsBatch, Layout::Bundle, None, only(&["LICENSE"])).await;
            prepared.other = Some(other.expect("launched").run.id);
            world.orphan(&run, false);
        }
        if self == Self::SweepElsewhere {
            world.orphan(&run, true);
            world.wait_for_turn();
        }
        if self == Self::Heartbeat {
            world.pass(SignedDuration::from_mins(20));
        }
    }

    /// Runs the story once.
    pub async fn act(self, world: &World, prepared: &Prepared) -> Result<Answer> {
        if self.launches() {
            let launched = world.launch_for(self).await?;
            return Ok(Answer::Launched(Box::new(launched)));
        }
        if let Some(answer) = self.write(world, prepared).await {
            return answer;
        }
        let run = prepared.run.as_ref().ok_or(Error::bug("a story without a run"))?;
        match self {
            Self::Claim => {
                return match world.claim(run, &prepared.claim).await? {
                    Claim::Store(store) => Ok(Answer::Store(store.to_string())),
                    Claim::Kubernetes(secrets) => Ok(Answer::Store(secrets.data.to_string())),
                    Claim::AlreadyUsed => Ok(Answer::Spent),
                    Claim::Ended => Err(Error::Gone("ended".into())),
                };
            }
            Self::End | Self::EndHpc | Self::EndOfAttempt => {
                world.report(run, &prepared.token, Report::Over).await?;
            }
            Self::Cancel => world.cancel(run).await?,
            Self::Heartbeat => {
                world.report(run, &prepared.token, Report::Alive).await?;
            }
            Self::RecordJob => {
                world.report(run, &prepared.token, Report::Job(JOB)).await?;
            }
            Self::RecordJobElsewhere => {
                world.report(run, &prepared.token, Report::JobElsewhere(JOB)).await?;
            }
            Self::JobEndedElsewhere => {
                if world.clean(CleanupOperation::JobElsewhereChanged(JOB)).await?.unreachable > 0 {
                    return Err(Error::unavailable("an event", "the environment cannot be used"));
                }
            }
            Self::JobEnded | Self::JobChanged => {
                world.clean(CleanupOperation::JobChanged(JOB)).await?;
            }
            Self::Look => {
                world.clean(CleanupOperation::Look(run)).await?;
            }
            // The next sweep retries what this one could not clean up.
            _ => match world.clean(CleanupOperation::Sweep).await? {
                SweepSummary { failed: 0, orphans_failed: 0, unreachable: 0, .. } => {}
                _ => return Err(Error::unavailable("a sweep", "the sweep is incomplete")),
            },
        }
        Ok(Answer::Done)
    }

    async fn write(self, world: &World, prepared: &Prepared) -> Option<Result<Answer>> {
        let secret = prepared.secrets.first().copied();
        Some(match self {
            Self::Create => world.create(&SECRETS[..1], None).await.map(Answer::Stored),
            Self::CreateKeyed => world.create(&SECRETS[..1], Some(KEY)).await.map(Answer::Stored),
            Self::Import => {
                let three = [SECRETS[0], SECRETS[1], ("THIRD", "3")];
                world.create(&three, Some(KEY)).await.map(Answer::Stored)
            }
            Self::Update => world.update(secret?, "new", None).await.map(Answer::Version),
            Self::UpdateIf => world.update(secret?, "new", Some(1)).await.map(Answer::Version),
            Self::Delete => world.delete(secret?, None).await.map(|()| Answer::Done),
            Self::Reconcile => world.reconcile(&prepared.secrets).await.map(|()| Answer::Done),
            _ => return None,
        })
    }
}

impl World {
    /// Sets the status of the head job.
    pub fn set_job(&self, status: &'static str) {
        let services = &mut self.aws.state().services;
        for job in services.jobs.iter_mut().chain(&mut services.elsewhere.jobs) {
            job.status = status;
        }
    }

    /// Reserves all creations for this time, as other launches do.
    fn reserve(&self, time: SignedDuration) {
        let until = (self.now() + time).as_millisecond().to_string();
        self.put(
            &json!({ "pk": { "S": "QUOTA#CREATIONS" }, "sk": { "S": "QUEUE" }, "until": { "N": until } }),
        );
    }

    /// Adds a copy of this run that was created late, by a request with a lost answer.
    fn orphan(&self, run: &RunId, elsewhere: bool) {
        let tags = [
            ("pipeline-secrets:deployment", crate::world::DEPLOYMENT),
            ("pipeline-secrets:scope", "workspace/42"),
            ("pipeline-secrets:run", run.as_str()),
            ("pipeline-secrets:not-after", "2036-01-01T00:00:00Z"),
        ];
        let name = format!("tower-{run}.2");
        let services = &mut self.aws.state().services;
        let target = if elsewhere { &mut services.elsewhere.target } else { &mut services.target };
        target.secrets.insert(name, support::StoredSecret::by_others(&tags));
    }
}
