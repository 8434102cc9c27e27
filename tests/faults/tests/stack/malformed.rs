//! A malformed event on the deployment's bus.

use std::time::{Duration, Instant};

use end_to_end::Harness;
use serde_json::json;

/// The time limit for Lambda's two retries on the local stack.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Checks that the event is attempted three times, counted each time, and sent to the queue of
/// failed clean-ups.
pub(crate) async fn violation(harness: &Harness) -> Option<String> {
    let entry = json!({
        "EventBusName": harness.stack.output("EventBusName").expect("a bus"),
        "Source": "pipeline-secrets", "DetailType": "Run Look",
        "Detail": json!({ "workflowId": ["malformed"] }).to_string(),
    });
    let put = harness.aws("events", "AWSEvents.PutEvents", &json!({ "Entries": [entry] })).await;
    assert_eq!(put["FailedEntryCount"], 0, "{put}");
    // The emulator uses different host names for the same queue.
    let queue = harness.stack.output("FailedCleanupsUrl").expect("a queue");
    let queue = queue.rsplit('/').next().expect("a name");
    let started = Instant::now();
    loop {
        let queues = harness.queues().await;
        if queues.iter().any(|(address, text)| address.ends_with(queue) && text.contains("malformed")) {
            break;
        }
        if started.elapsed() > TIMEOUT {
            return Some("a malformed event did not reach the queue of failed clean-ups".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let logs = harness.logs().await;
    let counted =
        logs.values().flat_map(|log| log.lines()).filter(|line| line.contains("\"CleanupFailures\":1"));
    let counted = counted.count();
    (counted != 3).then(|| format!("CleanupFailures counts {counted} of three attempts at a malformed event"))
}
