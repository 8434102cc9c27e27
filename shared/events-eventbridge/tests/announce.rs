//! The EventBridge adapter through the real SDK, against scripted answers.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use aws_failures::fake::{ATTEMPTS, Answer, FakeAws, printed};
use domain::Result;
use domain::expiry::{ExpiryKind, ExpiryNotice};
use domain::ids::{RunId, SecretId, TokenId, UserId, WorkspaceId};
use domain::ports::{AnnounceExpiry, AnnounceRuns, RunNotice};
use events_eventbridge::{ExpiryAnnouncer, RunAnnouncer};
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

fn notices() -> [ExpiryNotice; 2] {
    let secret = ExpiryNotice {
        kind: ExpiryKind::Secret,
        secret_id: SecretId::new(7),
        token_id: None,
        name: "NCBI_API_KEY".into(),
        workspace_id: WorkspaceId::new(42),
        user_id: None,
        expires_at: "2026-12-01T00:00:00Z".parse().unwrap(),
        days_to_expiry: 14,
    };
    let token = ExpiryNotice {
        kind: ExpiryKind::Token,
        secret_id: None,
        token_id: TokenId::new(5),
        name: "\"ci\"".into(),
        workspace_id: None,
        user_id: UserId::new(1),
        days_to_expiry: 1,
        ..secret.clone()
    };
    [secret, token]
}

async fn announce_expiry(aws: &FakeAws) -> Result<usize> {
    let announcer = ExpiryAnnouncer::new(aws_sdk_eventbridge::Client::new(&aws.sdk_config()), "prod-runs");
    announcer.announce_expiry(&notices()).await
}

#[tokio::test(start_paused = true)]
async fn notices_are_put_in_one_call_under_a_source_of_their_own() {
    let aws = FakeAws::answering([Answer::ok(json!({ "FailedEntryCount": 0, "Entries": [{}, {}] }))]);
    assert_eq!(announce_expiry(&aws).await.unwrap(), 0);
    assert_eq!(
        aws.seen()[0].body,
        json!({ "Entries": [
            {
                "EventBusName": "prod-runs",
                "Source": "pipeline-secrets.expiry",
                "DetailType": "Secret Approaching Expiration",
                "Detail": r#"{"secretId":7,"name":"NCBI_API_KEY","workspaceId":42,"expiresAt":"2026-12-01T00:00:00Z","daysToExpiry":14}"#,
            },
            {
                "EventBusName": "prod-runs",
                "Source": "pipeline-secrets.expiry",
                "DetailType": "Access Token Approaching Expiration",
                "Detail": r#"{"tokenId":5,"name":"\"ci\"","userId":1,"expiresAt":"2026-12-01T00:00:00Z","daysToExpiry":1}"#,
            },
        ] })
    );
}

#[tokio::test(start_paused = true)]
async fn rejected_notices_are_counted_and_a_failed_call_is_an_error() {
    let rejected = json!({
        "FailedEntryCount": 1,
        "Entries": [{ "EventId": "1" }, { "ErrorCode": "ThrottlingException", "ErrorMessage": "canary" }],
    });
    let aws = FakeAws::answering([Answer::ok(rejected)]);
    assert_eq!(announce_expiry(&aws).await.unwrap(), 1);
    let aws = FakeAws::answering([Answer::error(400, "AccessDeniedException", "")]);
    assert_eq!(announce_expiry(&aws).await.unwrap_err().code(), "unavailable");
}
