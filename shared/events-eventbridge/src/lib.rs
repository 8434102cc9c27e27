//! Run events on the deployment's own bus: `PutEvents`. They are hints; whoever takes one reads the run itself.

use async_trait::async_trait;
use aws_failures::{Failure, unavailable};
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use domain::ids::RunId;
use domain::ports::{AnnounceRuns, RunNotice};
use domain::{Error, Result};

/// The source of our events; the bus's rules and the right to put events name it.
pub const SOURCE: &str = "pipeline-secrets";

/// Announces runs.
#[derive(Clone, Debug)]
pub struct RunAnnouncer {
    client: Client,
    bus: String,
}

impl RunAnnouncer {
    /// Announces on this bus, by name or ARN.
    #[must_use]
    pub fn new(client: Client, bus: impl Into<String>) -> Self {
        Self { client, bus: bus.into() }
    }

    /// Opens the connection with a cheap call, `events:DescribeEventBus`. A refusal warms as well.
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
        // The call succeeds even where the bus took nothing.
        // https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
        if answer.failed_entry_count() == 0 {
            return Ok(());
        }
        let code = answer.entries().first().and_then(|entry| entry.error_code());
        Err(Error::unavailable("events PutEvents", Failure::incomplete(code)))
    }
}
