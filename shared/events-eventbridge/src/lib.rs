//! Events on the deployment's event bus: `PutEvents`. Events of runs are hints: each consumer reads
//! the run itself. Notices of expiries are for operators and teams.

use async_trait::async_trait;
use aws_failures::{Failure, unavailable};
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use domain::expiry::ExpiryNotice;
use domain::ids::RunId;
use domain::ports::{AnnounceExpiry, AnnounceRuns, RunNotice};
use domain::{Error, Result};

/// The source of events of runs. The bus's rules and the permission to put events name it.
pub const SOURCE: &str = "pipeline-secrets";
/// The source of notices of expiries, so that no rule for runs matches them, and so that a function
/// that may publish the one cannot publish the other.
pub const EXPIRY_SOURCE: &str = "pipeline-secrets.expiry";

/// Publishes run events.
#[derive(Clone, Debug)]
pub struct RunAnnouncer {
    client: Client,
    bus: String,
}

impl RunAnnouncer {
    /// Creates an announcer for this bus, given by name or ARN.
    #[must_use]
    pub fn new(client: Client, bus: impl Into<String>) -> Self {
        Self { client, bus: bus.into() }
    }

    /// Warms up the connection with a cheap call, `events:DescribeEventBus`. An error response
    /// warms it up too.
    pub async fn warm(&self) -> Result<()> {
        match self.client.describe_event_bus().name(&self.bus).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(unavailable("events DescribeEventBus", &error)),
        }
    }
}

#[async_trait(?Send)]
impl AnnounceRuns for RunAnnouncer {
    async fn announce(&self, run: &RunId, notice: RunNotice) -> Result<()> {
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.bus)
            .source(SOURCE)
            .detail_type(notice.as_str())
            .detail(serde_json::json!({ "workflowId": run.as_str() }).to_string())
            .build();
        let answer = self
            .client
            .put_events()
            .entries(entry)
            .send()
            .await
            .map_err(|error| unavailable("events PutEvents", &error))?;
        // The call succeeds even if the bus rejects the entry.
        // https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
        if answer.failed_entry_count() == 0 {
            return Ok(());
        }
        let code = answer.entries().first().and_then(|entry| entry.error_code());
        Err(Error::unavailable("events PutEvents", Failure::incomplete(code)))
    }
}

/// Publishes notices of expiries.
#[derive(Clone, Debug)]
pub struct ExpiryAnnouncer {
    client: Client,
    bus: String,
}

impl ExpiryAnnouncer {
    /// Creates an announcer for this bus, given by name or ARN.
    #[must_use]
    pub fn new(client: Client, bus: impl Into<String>) -> Self {
        Self { client, bus: bus.into() }
    }
}

#[async_trait(?Send)]
impl AnnounceExpiry for ExpiryAnnouncer {
    async fn announce_expiry(&self, notices: &[ExpiryNotice]) -> Result<usize> {
        let entry = |notice: &ExpiryNotice| {
            let detail =
                serde_json::to_string(notice).map_err(|_| Error::bug("a notice does not serialize"))?;
            let entry = PutEventsRequestEntry::builder().event_bus_name(&self.bus).source(EXPIRY_SOURCE);
            Ok(entry.detail_type(notice.kind.as_str()).detail(detail).build())
        };
        let entries = notices.iter().map(entry).collect::<Result<Vec<_>>>()?;
        let answer = self
            .client
            .put_events()
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| unavailable("events PutEvents", &error))?;
        for code in answer.entries().iter().filter_map(|entry| entry.error_code()) {
            let rejected = Failure::incomplete(Some(code));
            tracing::error!(error.cause = %rejected, "the bus rejected an event");
        }
        Ok(usize::try_from(answer.failed_entry_count()).unwrap_or(notices.len()))
    }
}
