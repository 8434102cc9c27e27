//! The EventBridge adapter through the real SDK, against scripted answers.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use aws_failures::fake::{ATTEMPTS, Answer, FakeAws, printed};
use domain::Result;
use domain::ids::RunId;
use domain::ports::{AnnounceRuns, RunNotice};
use events_eventbridge::RunAnnouncer;
use serde_json::json;

fn announcer(aws: &FakeAws) -> RunAnnouncer {
    RunAnnouncer::new(aws_sdk_eventbridge::Client::new(&aws.sdk_config()), "prod-runs")
}

async fn announce(aws: &FakeAws, notice: RunNotice) -> Result<()> {
    announcer(aws).announce(&RunId::new("3f2aQx81LmZ0Tb").unwrap(), notice).await
}

#[tokio::test(start_paused = true)]
async fn an_event_names_the_run_and_nothing_else() {
    for (notice, detail_type) in [(RunNotice::Delivered, "Run Delivered"), (RunNotice::Look, "Run Look")] {
        let aws = FakeAws::answering([Answer::ok(
            json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "1" }] }),
        )]);
        announce(&aws, notice).await.unwrap();
        assert_eq!(aws.seen()[0].operation, "PutEvents");
        assert_eq!(
            aws.seen()[0].body,
            json!({ "Entries": [{
                "EventBusName": "prod-runs",
                "Source": "pipeline-secrets",
                "DetailType": detail_type,
                "Detail": r#"{"workflowId":"3f2aQx81LmZ0Tb"}"#,
            }] })
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_the_bus_rejects_is_an_error() {
    let aws = FakeAws::answering([Answer::ok(json!({
        "FailedEntryCount": 1,
        "Entries": [{ "ErrorCode": "ThrottlingException", "ErrorMessage": "canary" }],
    }))]);
    let error = announce(&aws, RunNotice::Look).await.unwrap_err();
    let text = printed(&error);
    assert_eq!(error.code(), "unavailable");
    assert!(text.contains("ThrottlingException") && !text.contains("canary"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_and_a_throttle_are_retried() {
    let aws = FakeAws::answering([
        Answer::Lost,
        Answer::error(400, "ThrottlingException", ""),
        Answer::ok(json!({ "FailedEntryCount": 0, "Entries": [] })),
    ]);
    announce(&aws, RunNotice::Look).await.unwrap();
    assert_eq!(aws.seen().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_service_error_is_unavailable_after_bounded_retries() {
    for (status, code, calls) in [
        (400, "AccessDeniedException", 1),
        (400, "ResourceNotFoundException", 1),
        (500, "InternalException", ATTEMPTS),
    ] {
        let aws = FakeAws::answering([Answer::error(status, code, "")]);
        let error = announce(&aws, RunNotice::Look).await.unwrap_err();
        assert_eq!((error.code(), aws.seen().len()), ("unavailable", calls as usize), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn warm_up_puts_no_event() {
    let aws = FakeAws::answering([Answer::ok(json!({ "Name": "prod-runs" }))]);
    announcer(&aws).warm().await.unwrap();
    assert_eq!(aws.seen()[0].operation, "DescribeEventBus");
}
