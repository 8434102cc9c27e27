//! Run events on the deployment's event bus: `PutEvents`. Events are hints: each consumer reads the
//! run itself.

use async_trait::async_trait;
use aws_failures::{Failure, unavailable};
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use domain::ids::RunId;
use domain::ports::{AnnounceRuns, RunNotice};
use domain::{Error, Result};

/// The source of our events. The bus's rules and the permission to put events name it.
pub const SOURCE: &str = "pipeline-secrets";

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
