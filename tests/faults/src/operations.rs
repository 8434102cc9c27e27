//! Calls the use cases like the functions do, with a world's adapters and clock.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use delivery_secretsmanager::{CopyMaker, CopyRemover};
use domain::copies::Layout;
use domain::environment::{Environment, EnvironmentId};
use domain::ids::{RunId, SecretId};
use domain::name::SecretName;
use domain::platform::Platform;
use domain::ports::{CleanupSession, CreateCopies, ObserveAt, ObserveJobs, ReadRuns as _};
use domain::resolve::{SecretSelection, Selection};
use domain::run::{HeadJob, JobLocation, Outcome, ReportedBy, Run, RunResult};
use domain::secret::Secret;
use domain::settings::Settings;
use domain::token::{PresentedToken, TokenKey};
use domain::use_cases::cancel_run::Canceller;
use domain::use_cases::change_secret::Change;
use domain::use_cases::claim::{Claim, Claimer};
use domain::use_cases::clean_up::{Cleaner, CleanupOutcome};
use domain::use_cases::create_secrets::{Draft, SecretService};
use domain::use_cases::identity::reconcile::reconcile;
use domain::use_cases::identity::trail::Trail;
use domain::use_cases::launch::{Launched, Launcher};
use domain::use_cases::preview::LaunchRequest;
use domain::use_cases::read_secrets;
use domain::use_cases::report::Reporter;
use domain::use_cases::sweep::SweepSummary;
use domain::value::SecretValue;
use domain::{Context, Result};
use environments_sts::{Deliveries, Observations, Removals};
use jobs_batch::JobObserver;
use runtime::{Deadline, SdkConfig};
use serde_json::json;

use crate::story::Story;
use crate::world::{LAUNCHER, OWNER, WORKSPACE, World, actor, environment, scope, workspace};
use support::{QUEUE, REGION};

/// The timeout of cleanup-run in `infra/template.yaml`.
const CLEANUP_RUN: Duration = Duration::from_mins(4);
/// An idempotency key.
pub const KEY: &str = "0123456789abcdef";

impl World {
    /// Launches with every secret of the workspace and of the launcher.
    pub async fn launch(&self, platform: Platform, layout: Layout, key: Option<&str>) -> Result<Launched> {
        self.launch_of(platform, layout, key, SecretSelection::default()).await
    }

    /// Launches with these secrets.
    pub async fn launch_of(
        &self,
        platform: Platform,
        layout: Layout,
        key: Option<&str>,
        secrets: SecretSelection,
    ) -> Result<Launched> {
        self.launch_in(None, platform, layout, key, secrets).await
    }

    /// Launches like a story.
    pub async fn launch_for(&self, story: Story) -> Result<Launched> {
        let (platform, layout) = story.platform();
        let environment = story.is_elsewhere().then(|| environment().id);
        self.launch_in(environment, platform, layout, story.key(), SecretSelection::default()).await
    }

    /// Launches in this environment.
    pub async fn launch_in(
        &self,
        compute_env: Option<EnvironmentId>,
        platform: Platform,
        layout: Layout,
        key: Option<&str>,
        secrets: SecretSelection,
    ) -> Result<Launched> {
        let layout = Some(layout);
        let request = LaunchRequest { compute_env, workspace: Some(workspace()), platform, layout, secrets };
        let (launcher, deadline) = (self.launcher(), self.deadline());
        launcher.launch(&actor(LAUNCHER), &request, key, &self.context(&deadline)).await
    }

    /// Launches on AWS Batch without a workspace, with every user secret.
    pub async fn launch_own(&self, user: i64, layout: Layout, settings: &Settings) -> Result<Launched> {
        let request = LaunchRequest {
            compute_env: None,
            workspace: None,
            platform: Platform::AwsBatch,
            layout: Some(layout),
            secrets: SecretSelection::default(),
        };
        let (launcher, deadline) = (self.launcher(), self.deadline());
        let context = Context { settings, ..self.context(&deadline) };
        launcher.launch(&actor(user), &request, None, &context).await
    }

    /// Uses a claim token.
    pub async fn claim(&self, run: &RunId, token: &str) -> Result<Claim> {
        let deadline = self.deadline();
        self.claimer().claim(run, &key_of(token), &self.context(&deadline)).await
    }

    /// Reports with a run token.
    pub async fn report(&self, run: &RunId, token: &str, report: Report) -> Result<Run> {
        let deadline = self.deadline();
        let (reporter, context) = (self.reporter(), self.context(&deadline));
        let key = key_of(token);
        match report {
            Report::Alive => reporter.heartbeat(run, &key, &context).await,
            Report::Over => {
                let outcome = Outcome {
                    result: RunResult::Succeeded,
                    exit_status: Some(0),
                    reported_by: ReportedBy::Report,
                    cancelled_by: None,
                };
                reporter.end(run, &key, outcome, &context).await
            }
            Report::Job(id) | Report::JobElsewhere(id) => {
                let elsewhere = matches!(report, Report::JobElsewhere(_));
                let region = if elsewhere { environment().region.to_string() } else { REGION.into() };
                let job = HeadJob { job_id: id.into(), queue: QUEUE.into(), region, account: None };
                reporter.record_head_job(run, &key, &job, &context).await
            }
        }
    }

    /// Cancels a run as its launcher.
    pub async fn cancel(&self, run: &RunId) -> Result<()> {
        let deadline = self.deadline();
        let canceller = Canceller {
            store: Rc::new(self.store.clone()),
            jobs: Rc::new(self.observer.clone()),
            environments: self.observations(),
            bus: Rc::new(self.announcer.clone()),
        };
        canceller.cancel(&actor(LAUNCHER), Some(workspace()), run, false, &self.context(&deadline)).await
    }

    /// Runs an operation of cleanup-run.
    pub async fn clean(&self, operation: CleanupOperation<'_>) -> Result<SweepSummary> {
        let deadline = Deadline::after(CLEANUP_RUN);
        let (cleaner, context) = (self.cleaner(), self.context(&deadline));
        let outcome = match operation {
            CleanupOperation::Sweep => return cleaner.sweep(&context).await,
            CleanupOperation::Look(run) => cleaner.inspect(run, &context).await?,
            CleanupOperation::JobChanged(job) => {
                let job = JobLocation { account: None, region: REGION, job_id: job };
                cleaner.head_job_changed(&job, &context).await?
            }
            CleanupOperation::JobElsewhereChanged(job) => {
                let environment = environment();
                let (account, region) = (environment.role.account(), environment.region.as_str());
                let job = JobLocation { account: Some(account), region, job_id: job };
                cleaner.head_job_changed(&job, &context).await?
            }
            CleanupOperation::Delivered(run) => {
                cleaner.record_delivery(run, context.now).await?;
                CleanupOutcome::Unchanged
            }
        };
        let is = |expected| u32::from(outcome == expected);
        let (ended, unreachable) = (is(CleanupOutcome::Ended), is(CleanupOutcome::Unreachable));
        Ok(SweepSummary { ended, unreachable, ..SweepSummary::default() })
    }

    /// Stores these secrets in the workspace as its owner.
    pub async fn create(&self, secrets: &[(&str, &str)], key: Option<&str>) -> Result<Vec<SecretId>> {
        self.create_as(OWNER, true, secrets, key).await
    }

    /// Stores these secrets in the workspace (`shared`) or as user secrets.
    pub async fn create_as(
        &self,
        user: i64,
        shared: bool,
        secrets: &[(&str, &str)],
        key: Option<&str>,
    ) -> Result<Vec<SecretId>> {
        let deadline = self.deadline();
        let drafts: Vec<_> = secrets
            .iter()
            .map(|(name, text)| Draft {
                name: name_of(name),
                value: value_of(text),
                description: None,
                expires: None,
            })
            .collect();
        let workspace = shared.then(workspace);
        let context = self.context(&deadline);
        self.secret_service().create(&actor(user), workspace, &drafts, key, &context).await
    }

    /// Lists the workspace's secrets as its owner.
    pub async fn list(&self) -> Result<Vec<Secret>> {
        read_secrets::list(&self.store, &self.settings, &actor(OWNER), Some(workspace())).await
    }

    /// Updates a workspace secret.
    pub async fn update(&self, id: SecretId, text: &str, if_version: Option<u64>) -> Result<u64> {
        let deadline = self.deadline();
        let change = Change { value: value_of(text), description: None, expires: None };
        let (secret_service, context) = (self.secret_service(), self.context(&deadline));
        let changed = secret_service
            .update(&actor(OWNER), Some(workspace()), id, &change, if_version, &context)
            .await?;
        Ok(changed.version)
    }

    /// Deletes a workspace secret.
    pub async fn delete(&self, id: SecretId, if_version: Option<u64>) -> Result<()> {
        let deadline = self.deadline();
        let context = self.context(&deadline);
        self.secret_service().delete(&actor(OWNER), Some(workspace()), id, if_version, &context).await
    }

    /// Repeats the deletion of these workspace secrets in a restored table.
    pub async fn reconcile(&self, deleted: &[SecretId]) -> Result<()> {
        let deadline = self.deadline();
        let settings = Settings { restored: true, ..self.settings.clone() };
        let context = Context { settings: &settings, ..self.context(&deadline) };
        let line = |id: &SecretId| {
            let line = json!({
                "message": "audit", "action": "secret.deleted", "scope": scope(WORKSPACE),
                "audit.at": self.now().to_string(), "subjects": format!("{id}@1"),
            });
            line.to_string().into()
        };
        let lines: Vec<_> = deleted.iter().map(line).collect();
        reconcile(&self.store, &Trail::parse(&lines)?, &context).await.map(drop)
    }

    /// Returns the context of use cases at this world's time.
    pub fn context<'a>(&'a self, deadline: &'a Deadline) -> Context<'a> {
        Context { now: self.now(), randomness: &self.randomness, backoff: deadline, settings: &self.settings }
    }

    /// Returns the launch use case.
    pub fn launcher(&self) -> Launcher {
        Launcher {
            store: Rc::new(self.store.clone()),
            keys: Rc::new(self.opener.clone()),
            copies: Rc::new(self.maker.clone()),
            environments: Rc::new(Deliveries(self.roles.clone(), |session: &SdkConfig, _: &Environment| {
                let client = aws_sdk_secretsmanager::Client::new(session);
                Rc::new(CopyMaker::new(client, None)) as Rc<dyn CreateCopies>
            })),
            bus: Rc::new(self.announcer.clone()),
            prefix: self.prefix.clone(),
        }
    }

    /// Returns the claim use case.
    pub fn claimer(&self) -> Claimer {
        Claimer {
            store: Rc::new(self.store.clone()),
            keys: Rc::new(self.opener.clone()),
            bus: Rc::new(self.announcer.clone()),
        }
    }

    fn observations(&self) -> Rc<dyn ObserveAt> {
        Rc::new(Observations(self.roles.clone(), |session: &SdkConfig| {
            Rc::new(JobObserver::new(aws_sdk_batch::Client::new(session))) as Rc<dyn ObserveJobs>
        }))
    }

    /// Returns the report use case.
    pub fn reporter(&self) -> Reporter {
        Reporter {
            store: Rc::new(self.store.clone()),
            jobs: Rc::new(self.observer.clone()),
            bus: Rc::new(self.announcer.clone()),
            environments: self.observations(),
            account: "111122223333".into(),
            region: REGION.into(),
        }
    }

    /// Returns the clean-up use case.
    pub fn cleaner(&self) -> Cleaner {
        Cleaner {
            store: Rc::new(self.store.clone()),
            jobs: Rc::new(self.observer.clone()),
            copies: Rc::new(self.remover.clone()),
            environments: Rc::new(Removals(self.roles.clone(), |session: &SdkConfig| CleanupSession {
                jobs: Rc::new(JobObserver::new(aws_sdk_batch::Client::new(session))),
                copies: Rc::new(CopyRemover::new(aws_sdk_secretsmanager::Client::new(session))),
            })),
        }
    }

    /// Returns the use case for secrets.
    pub fn secret_service(&self) -> SecretService {
        SecretService { store: Rc::new(self.store.clone()), keys: Rc::new(self.sealer.clone()) }
    }

    /// Reads a run.
    pub async fn run(&self, id: &RunId) -> Run {
        let run = self.quiet().store.run(id).await;
        run.expect("the table answers").expect("the run exists")
    }
}

/// A report.
#[derive(Clone, Copy, Debug)]
pub enum Report {
    /// A heartbeat.
    Alive,
    /// The end of the run.
    Over,
    /// The id of the head job.
    Job(&'static str),
    /// The id of the head job in the environment.
    JobElsewhere(&'static str),
}

/// An operation of cleanup-run.
#[derive(Clone, Copy, Debug)]
pub enum CleanupOperation<'a> {
    /// The scheduled sweep.
    Sweep,
    /// An event that requests a check of a run.
    Look(&'a RunId),
    /// An event of AWS Batch about a job.
    JobChanged(&'a str),
    /// The same, forwarded from the environment.
    JobElsewhereChanged(&'a str),
    /// An event that a run's secrets were delivered.
    Delivered(&'a RunId),
}

/// Parses a secret name.
#[must_use]
pub fn name_of(text: &str) -> SecretName {
    SecretName::parse(text).expect("a valid name")
}

/// Creates a secret value.
#[must_use]
pub fn value_of(text: &str) -> SecretValue {
    SecretValue::new(text.to_owned().into()).expect("a valid value")
}

/// Selects only these workspace secrets and no user secrets.
#[must_use]
pub fn only(names: &[&str]) -> SecretSelection {
    let names = names.iter().map(|name| name_of(name)).collect();
    SecretSelection {
        workspace: Selection::These(names),
        user: Selection::These(BTreeSet::new()),
        optional: BTreeSet::new(),
    }
}

/// Returns the key in a token.
#[must_use]
pub fn key_of(token: &str) -> TokenKey {
    match PresentedToken::from_authorization(&format!("Bearer {token}")) {
        Some(PresentedToken::Run(_, key) | PresentedToken::Access(_, key) | PresentedToken::Opaque(key)) => {
            key
        }
        _ => panic!("not one of our tokens"),
    }
}
