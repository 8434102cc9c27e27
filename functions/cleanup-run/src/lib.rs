//! Events about runs, and the sweep. This function can delete copies and read the status of jobs in
//! AWS Batch; it cannot use the envelope key or read copies.

use domain::ids::RunId;
use domain::ports::RunNotice;
use domain::run::JobLocation;
use domain::use_cases::clean_up::Cleaner;
use domain::use_cases::sweep::SweepSummary;
use domain::{Context, Error, Result};
use serde::Deserialize;

/// Handles the events of this function.
pub struct Handler {
    /// Cleans up runs.
    pub cleaner: Cleaner,
    /// The account whose events are handled.
    pub account: String,
    /// The region whose events are handled.
    pub region: String,
}

impl Handler {
    /// Handles one event. Returns the summary of a sweep, for metrics. An event that cannot be read
    /// is an error, so that it goes to the dead-letter queue. An event about a job that is no
    /// recorded head job is ignored.
    pub async fn handle(&self, event: &str, context: &Context<'_>) -> Result<Option<SweepSummary>> {
        let cleaner = &self.cleaner;
        let event: Event =
            serde_json::from_str(event).map_err(|_| Error::Invalid("The event cannot be read.".into()))?;
        match event.source.as_str() {
            // The first sweep after the reconciliation checks every run that is due, so other
            // events can be ignored.
            "pipeline-secrets.sweep" if context.settings.restored => {
                let extended = cleaner.extend_leases(context).await?;
                return Ok(Some(SweepSummary { failed: extended.failed, ..SweepSummary::default() }));
            }
            _ if context.settings.restored => return Ok(None),
            "pipeline-secrets.sweep" => return cleaner.sweep(context).await.map(Some),
            "pipeline-secrets" => {
                let id = RunId::new(&event.detail.workflow_id.ok_or_else(unknown)?).map_err(|_| unknown())?;
                let notice = event.detail_type.ok_or_else(unknown)?.parse().map_err(|_| unknown())?;
                match notice {
                    RunNotice::Delivered => cleaner.record_delivery(&id, context.now).await?,
                    RunNotice::Look => {
                        cleaner.inspect(&id, context).await?;
                    }
                }
            }
            "aws.batch" => {
                // EventBridge sets account and region: a forwarded event keeps those of its origin.
                let (account, region) = event.account.zip(event.region).ok_or_else(unknown)?;
                let job = event.detail.job_id.ok_or_else(unknown)?;
                let is_home = account == self.account && region == self.region;
                let account = (!is_home).then_some(account.as_str());
                let job = JobLocation { account, region: &region, job_id: &job };
                cleaner.head_job_changed(&job, context).await?;
            }
            _ => return Err(unknown()),
        }
        Ok(None)
    }
}

fn unknown() -> Error {
    Error::Invalid("Unknown event.".into())
}

/// The parts of an event that are read. No `Debug`: events of AWS Batch contain a job's
/// whole environment, of which nothing is kept.
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
