//! An event on the deployment's bus that the function cannot read.

use std::time::{Duration, Instant};

use end_to_end::Harness;
use serde_json::json;

/// Longer than Lambda's two repeats take on the local stack.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is wrong with what becomes of it: it is tried three times, counted each time, and waits in the queue of failed
/// clean-ups.
pub(crate) async fn wrong(harness: &Harness) -> Option<String> {
    let entry = json!({
        "EventBusName": harness.stack.output("EventBusName").expect("a bus"),
        "Source": "pipeline-secrets", "DetailType": "Run Look",
        "Detail": json!({ "workflowId": ["poison"] }).to_string(),
    });
    let put = harness.aws("events", "AWSEvents.PutEvents", &json!({ "Entries": [entry] })).await;
    assert_eq!(put["FailedEntryCount"], 0, "{put}");
    // The emulator's addresses of a queue differ in the host.
    let queue = harness.stack.output("FailedCleanupsUrl").expect("a queue");
    let queue = queue.rsplit('/').next().expect("a name");
    let begun = Instant::now();
    loop {
        let letters = harness.queues().await;
        if letters.iter().any(|(address, text)| address.ends_with(queue) && text.contains("poison")) {
            break;
        }
        if begun.elapsed() > PATIENCE {
            return Some("a poisoned event does not end in the queue of failed clean-ups".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let logs = harness.logs().await;
    let counted =
        logs.values().flat_map(|log| log.lines()).filter(|line| line.contains("\"CleanupFailures\":1"));
    let counted = counted.count();
    (counted != 3).then(|| format!("of three attempts at a poisoned event, CleanupFailures counts {counted}"))
}
