//! The Secrets Manager adapter through the real SDK, against scripted answers.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use aws_failures::fake::{ATTEMPTS, Answer, FakeAws, printed};
use delivery_secretsmanager::{CopyMaker, CopyRemover};
use domain::copies::{CopyTags, RunCopy};
use domain::name::SecretName;
use domain::ports::{CopyStatus, CreateCopies, FoundCopy, RemoveCopies};
use domain::{Error, Result};
use serde_json::{Value, json};

const NAME: &str = "tower-3f2aQx81LmZ0Tb";
const ARN: &str = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:tower-3f2aQx81LmZ0Tb-AbCdEf";
const CANARY: &str = "canary-5c0e";

fn client(aws: &FakeAws) -> aws_sdk_secretsmanager::Client {
    aws_sdk_secretsmanager::Client::new(&aws.sdk_config())
}

fn remover(aws: &FakeAws) -> CopyRemover {
    CopyRemover::new(client(aws))
}

fn tags() -> CopyTags {
    CopyTags {
        deployment: "prod".into(),
        scope: "WS#42".parse().unwrap(),
        run: "3f2aQx81LmZ0Tb".into(),
        not_after: "2026-12-23T10:20:30.987654321Z".parse().unwrap(),
    }
}

fn tags_json() -> Value {
    json!([
        { "Key": "pipeline-secrets:deployment", "Value": "prod" },
        { "Key": "pipeline-secrets:scope", "Value": "workspace/42" },
        { "Key": "pipeline-secrets:run", "Value": "3f2aQx81LmZ0Tb" },
        { "Key": "pipeline-secrets:not-after", "Value": "2026-12-23T10:20:30Z" },
    ])
}

async fn create(aws: &FakeAws, key: Option<&str>) -> Result<String> {
    let copy = RunCopy {
        name: NAME.into(),
        arn: None,
        holds: vec![SecretName::parse("NCBI_API_KEY").unwrap()],
        store: false,
    };
    let body = format!(r#"{{"NCBI_API_KEY":"{CANARY}"}}"#);
    CopyMaker::new(client(aws), key.map(str::to_owned)).create_copy(&copy, body.into(), &tags()).await
}

/// The request without its token, and the token.
fn without_token(mut body: Value) -> (Value, String) {
    let token = body.as_object_mut().unwrap().remove("ClientRequestToken").unwrap();
    (body, token.as_str().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_created_with_its_four_tags() {
    let aws = FakeAws::answering([Answer::ok(json!({ "ARN": ARN, "Name": NAME }))]);
    assert_eq!(create(&aws, None).await.unwrap(), ARN);
    let request = &aws.seen()[0];
    assert_eq!(request.operation, "CreateSecret");
    let (body, token) = without_token(request.body.clone());
    let value = format!(r#"{{"NCBI_API_KEY":"{CANARY}"}}"#);
    assert_eq!(body, json!({ "Name": NAME, "SecretString": value, "Tags": tags_json() }));
    assert!((32..=64).contains(&token.len()), "Secrets Manager accepts tokens of 32 to 64 characters");
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_encrypted_under_the_configured_key() {
    let aws = FakeAws::answering([Answer::ok(json!({ "ARN": ARN }))]);
    create(&aws, Some("alias/copies")).await.unwrap();
    assert_eq!(aws.seen()[0].body["KmsKeyId"], "alias/copies");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_retried_with_the_same_token() {
    let aws = FakeAws::answering([
        Answer::Lost,
        Answer::error(400, "ThrottlingException", "Rate exceeded"),
        Answer::error(500, "InternalServiceError", ""),
        Answer::ok(json!({ "ARN": ARN })),
    ]);
    assert_eq!(create(&aws, None).await.unwrap(), ARN);
    let requests: Vec<_> = aws.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|request| *request == requests[0]), "attempts differ");
}

#[tokio::test(start_paused = true)]
async fn each_call_has_a_different_token() {
    let aws = FakeAws::answering([Answer::ok(json!({ "ARN": ARN }))]);
    create(&aws, None).await.unwrap();
    create(&aws, None).await.unwrap();
    let tokens: Vec<_> = aws.seen().into_iter().map(|seen| without_token(seen.body).1).collect();
    assert_ne!(tokens[0], tokens[1]);
}

#[tokio::test(start_paused = true)]
async fn every_create_error_maps_to_a_domain_error_after_bounded_retries() {
    let scheduled =
        "You can't create this secret because a secret with this name is already scheduled for deletion.";
    let rows = [
        (400, "ResourceExistsException", CANARY, "conflict", 1),
        (400, "InvalidRequestException", scheduled, "conflict", 1),
        (400, "InvalidRequestException", CANARY, "unavailable", 1),
        (400, "InvalidParameterException", CANARY, "unavailable", 1),
        (400, "EncryptionFailure", CANARY, "unavailable", 1),
        (400, "AccessDeniedException", CANARY, "unavailable", 1),
        (400, "LimitExceededException", CANARY, "unavailable", ATTEMPTS),
        (400, "ThrottlingException", CANARY, "contended", ATTEMPTS),
        (500, "InternalServiceError", CANARY, "unavailable", ATTEMPTS),
    ];
    for (status, code, message, expected, calls) in rows {
        let aws = FakeAws::answering([Answer::error(status, code, message)]);
        let error = create(&aws, None).await.unwrap_err();
        assert_eq!((error.code(), aws.seen().len()), (expected, calls as usize), "{code}");
        assert!(!printed(&error).contains("canary"), "{}", printed(&error));
    }
}

#[tokio::test(start_paused = true)]
async fn a_malformed_answer_or_one_without_an_arn_is_an_error_without_the_value() {
    for answer in [Answer::Reply(200, CANARY.into()), Answer::ok(json!({})), Answer::Lost] {
        let error = create(&FakeAws::answering([answer]), None).await.unwrap_err();
        assert_eq!(error.code(), "unavailable");
        assert!(!printed(&error).contains("canary"), "{}", printed(&error));
    }
}

#[tokio::test(start_paused = true)]
async fn a_description_contains_deployment_and_run_or_shows_that_the_copy_is_deleted() {
    let aws = FakeAws::answering([
        Answer::ok(json!({ "Name": NAME, "Tags": tags_json() })),
        Answer::ok(json!({ "Name": NAME, "Tags": tags_json(), "DeletedDate": 1_793_000_000 })),
        Answer::ok(
            json!({ "Name": NAME, "Tags": [{ "Key": "Pipeline-Secrets:Deployment", "Value": "prod" }] }),
        ),
        Answer::error(400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
    ]);
    let found = |deployment: Option<&str>, run: Option<&str>| CopyStatus::Found {
        deployment: deployment.map(str::to_owned),
        run: run.map(str::to_owned),
    };
    let ours = found(Some("prod"), Some("3f2aQx81LmZ0Tb"));
    assert_eq!(remover(&aws).describe_copy(NAME).await.unwrap(), ours);
    assert_eq!(
        remover(&aws).describe_copy(NAME).await.unwrap(),
        ours,
        "scheduled for deletion, not yet deleted"
    );
    assert_eq!(
        remover(&aws).describe_copy(NAME).await.unwrap(),
        found(None, None),
        "tag keys are case-sensitive"
    );
    assert_eq!(remover(&aws).describe_copy(NAME).await.unwrap(), CopyStatus::Gone);
    assert_eq!(aws.seen()[0].operation, "DescribeSecret");
    assert_eq!(aws.seen()[0].body, json!({ "SecretId": NAME }));
}

#[tokio::test(start_paused = true)]
async fn a_failed_description_reports_no_status() {
    for (status, code, calls) in [
        (400, "AccessDeniedException", 1),
        (400, "ThrottlingException", ATTEMPTS),
        (500, "InternalServiceError", ATTEMPTS),
    ] {
        let aws = FakeAws::answering([Answer::error(status, code, "")]);
        let error = remover(&aws).describe_copy(NAME).await.unwrap_err();
        assert_eq!((error.code(), aws.seen().len()), ("unavailable", calls as usize), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_deleted_without_a_recovery_window() {
    let aws = FakeAws::answering([Answer::ok(json!({ "Name": NAME }))]);
    remover(&aws).delete_copy(NAME).await.unwrap();
    assert_eq!(aws.seen()[0].operation, "DeleteSecret");
    assert_eq!(aws.seen()[0].body, json!({ "SecretId": NAME, "ForceDeleteWithoutRecovery": true }));
}

#[tokio::test(start_paused = true)]
async fn a_delete_fails_unless_the_copy_is_already_deleted_or_scheduled_for_deletion() {
    let scheduled = "You can't perform this operation on the secret because it was marked for deletion.";
    let rows = [
        (400, "ResourceNotFoundException", "", "ok", 1),
        (400, "InvalidRequestException", scheduled, "ok", 1),
        (400, "InvalidRequestException", "it has replicas", "unavailable", 1),
        (400, "AccessDeniedException", "", "unavailable", 1),
        (400, "ThrottlingException", "", "unavailable", ATTEMPTS),
        (500, "InternalServiceError", "", "unavailable", ATTEMPTS),
    ];
    for (status, code, message, expected, calls) in rows {
        let aws = FakeAws::answering([Answer::error(status, code, message)]);
        let answer = remover(&aws).delete_copy(NAME).await;
        let outcome = answer.as_ref().map_or_else(Error::code, |()| "ok");
        assert_eq!((outcome, aws.seen().len()), (expected, calls as usize), "{code} {message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_reads_every_page_and_keeps_only_copies_of_this_deployment() {
    let entry = |name: &str, tags: Value| json!({ "Name": name, "Tags": tags });
    let longer = json!([{ "Key": "pipeline-secrets:deployment", "Value": "prod-2" }]);
    let other_key = json!([{ "Key": "pipeline-secrets:deployments", "Value": "prod" }]);
    let split = json!([{ "Key": "pipeline-secrets:deployment", "Value": "test" }, { "Key": "other", "Value": "prod" }]);
    let bare = json!([{ "Key": "pipeline-secrets:deployment", "Value": "prod" }, { "Key": "pipeline-secrets:not-after", "Value": "soon" }]);
    let aws = FakeAws::answering([
        Answer::ok(json!({
            "SecretList": [entry(NAME, tags_json()), entry("a", longer), entry("b", other_key)],
            "NextToken": "2",
        })),
        Answer::ok(json!({ "SecretList": [], "NextToken": "3" })),
        Answer::ok(json!({ "SecretList": [entry("c", split), entry("tower-bare", bare)] })),
    ]);
    let found = remover(&aws).list_copies("prod").await.unwrap();
    let ours = FoundCopy {
        scope: Some(tags().scope),
        name: NAME.into(),
        run: Some("3f2aQx81LmZ0Tb".into()),
        not_after: Some("2026-12-23T10:20:30Z".parse().unwrap()),
    };
    assert_eq!(
        found,
        [ours, FoundCopy { name: "tower-bare".into(), scope: None, run: None, not_after: None }]
    );
    let filters = json!([
        { "Key": "tag-key", "Values": ["pipeline-secrets:deployment"] },
        { "Key": "tag-value", "Values": ["prod"] },
    ]);
    let request = json!({ "IncludePlannedDeletion": false, "MaxResults": 100, "Filters": filters });
    assert_eq!(aws.seen()[0].operation, "ListSecrets");
    assert_eq!(aws.seen()[0].body, request);
    assert_eq!(aws.seen()[2].body["NextToken"], "3");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_fails_midway_is_an_error() {
    let aws = FakeAws::answering([
        Answer::ok(json!({ "SecretList": [], "NextToken": "2" })),
        Answer::error(400, "AccessDeniedException", ""),
    ]);
    assert_eq!(remover(&aws).list_copies("prod").await.unwrap_err().code(), "unavailable");
}

#[tokio::test(start_paused = true)]
async fn warm_up_describes_a_name_that_no_secret_has() {
    let aws = FakeAws::answering([Answer::error(400, "ResourceNotFoundException", "")]);
    remover(&aws).warm("tower-3f2a").await.unwrap();
    CopyMaker::new(client(&aws), None).warm("tower-3f2a").await.unwrap();
    assert!(aws.seen().iter().all(|seen| seen.operation == "DescribeSecret"));
}
