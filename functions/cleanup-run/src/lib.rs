//! Events about runs, and the sweep. This function may delete copies and ask AWS Batch about jobs; it has no right on
//! the envelope key, and can read no copy.

use domain::ids::RunId;
use domain::ports::RunNotice;
use domain::use_cases::clean_up::Cleaner;
use domain::use_cases::sweep::SweepSummary;
use domain::{Context, Error, Result};
use serde::Deserialize;

/// Handles the events of this function.
pub struct Handler {
    /// Cleans up runs.
    pub cleaner: Cleaner,
    /// The account whose events count.
    pub account: String,
    /// The region whose events count.
    pub region: String,
}

impl Handler {
    /// Handles one event; gives what a sweep saw, for its metrics. An event that cannot be read is an error, so that it
    /// ends in the dead-letter queue; one that is not ours is nothing.
    pub async fn handle(&self, event: &str, context: &Context<'_>) -> Result<Option<SweepSummary>> {
        let cleaner = &self.cleaner;
        let event: Event =
            serde_json::from_str(event).map_err(|_| Error::Invalid("the event cannot be read".into()))?;
        match event.source.as_str() {
            // The first sweep after the table is reconciled looks at every run that is due: no event is needed for that.
            "pipeline-secrets.sweep" if context.settings.restored => {
                let held = cleaner.extend_leases(context).await?;
                return Ok(Some(SweepSummary { failed: held.failed, ..SweepSummary::default() }));
            }
            _ if context.settings.restored => return Ok(None),
            "pipeline-secrets.sweep" => return cleaner.sweep(context).await.map(Some),
            "pipeline-secrets" => {
                let id = RunId::new(&event.detail.workflow_id.ok_or_else(poison)?).map_err(|_| poison())?;
                let notice = event.detail_type.ok_or_else(poison)?.parse().map_err(|_| poison())?;
                match notice {
                    RunNotice::Delivered => cleaner.note_delivery(&id, context.now).await?,
                    RunNotice::Look => {
                        cleaner.inspect(&id, context).await?;
                    }
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
                cleaner.head_job_changed(&self.region, &job, context).await?;
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
