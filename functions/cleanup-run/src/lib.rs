//! Events about runs, and the sweep. This function may delete copies and ask AWS Batch about jobs; it has no right on
//! the envelope key, and can read no copy.

use domain::ids::RunId;
use domain::ports::{FindDueRuns, ObserveJobs, Pace, Randomness, RemoveCopies};
use domain::settings::Settings;
use domain::use_cases::clean_up::Cleaner;
use domain::use_cases::sweep::Swept;
use domain::{Error, Result, Timestamp};
use serde::Deserialize;

/// What the function holds between events.
pub struct Handler<Store, Jobs, Copies, Rng> {
    /// The table.
    pub store: Store,
    /// AWS Batch.
    pub jobs: Jobs,
    /// AWS Secrets Manager.
    pub copies: Copies,
    /// Randomness.
    pub randomness: Rng,
    /// The deployment's choices.
    pub settings: Settings,
    /// The account whose events count.
    pub account: String,
    /// The region whose events count.
    pub region: String,
}

impl<Store, Jobs, Copies, Rng> Handler<Store, Jobs, Copies, Rng>
where
    Store: FindDueRuns,
    Jobs: ObserveJobs,
    Copies: RemoveCopies,
    Rng: Randomness,
{
    /// Handles one event; gives what a sweep saw, for its metrics. An event that cannot be read is an error, so that it
    /// ends in the dead-letter queue; one that is not ours is nothing.
    pub async fn handle(&self, event: &str, pace: &impl Pace) -> Result<Option<Swept>> {
        let now = Timestamp::now();
        let cleaner = Cleaner {
            store: &self.store,
            jobs: &self.jobs,
            copies: &self.copies,
            randomness: &self.randomness,
            pace,
            settings: &self.settings,
        };
        let event: Event =
            serde_json::from_str(event).map_err(|_| Error::Invalid("the event cannot be read".into()))?;
        match event.source.as_str() {
            // The first sweep after the table is reconciled looks at every run that is due: no event is needed for that.
            "pipeline-secrets.sweep" if self.settings.restored => {
                let held = cleaner.hold(now).await?;
                return Ok(Some(Swept { failed: held.failed, ..Swept::default() }));
            }
            _ if self.settings.restored => return Ok(None),
            "pipeline-secrets.sweep" => return cleaner.sweep(now).await.map(Some),
            "pipeline-secrets" => {
                let id = RunId::new(&event.detail.workflow_id.ok_or_else(poison)?).map_err(|_| poison())?;
                match event.detail_type.as_deref() {
                    Some("Run Delivered") => cleaner.note_delivery(&id, now).await?,
                    Some("Run Look") => {
                        cleaner.look(&id, now).await?;
                    }
                    _ => return Err(poison()),
                }
            }
            "aws.batch" => {
                let foreign = event.account.as_deref() != Some(self.account.as_str())
                    || event.region.as_deref() != Some(self.region.as_str());
                if foreign {
                    tracing::warn!("an event of another account or region was ignored");
                    return Ok(None);
                }
                let job = event.detail.job_id.ok_or_else(poison)?;
                cleaner.head_job_changed(&self.region, &job, now).await?;
            }
            _ => return Err(poison()),
        }
        Ok(None)
    }
}

fn poison() -> Error {
    Error::Invalid("the event is none that this function knows".into())
}

/// The parts of an event that are read. AWS Batch's hold a job's whole environment: nothing else is kept, and no
/// `Debug` shows it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Event {
    source: String,
    detail_type: Option<String>,
    account: Option<String>,
    region: Option<String>,
    #[serde(default)]
    detail: Detail,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Detail {
    workflow_id: Option<String>,
    job_id: Option<String>,
}
