//! Sessions through the real SDK, against scripted answers.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::cell::RefCell;
use std::rc::Rc;

use async_trait::async_trait;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_failures::fake::{Answer, FakeAws, printed};
use aws_types::SdkConfig;
use domain::copies::{CopyTags, RunCopy};
use domain::environment::{Environment, EnvironmentId, ExternalId, Region, RoleArn};
use domain::head_job::ObservedJob;
use domain::ids::RunId;
use domain::ports::{
    CheckTarget, CleanupSession, CopyStatus, CreateCopies, DeliverTo, FoundCopy, ObserveAt, ObserveJobs,
    Randomness, RemoveAt, RemoveCopies, Verdict,
};
use domain::{Error, Result};
use environments_sts::{Checks, Deliveries, Observations, Removals, RoleAssumer};
use serde_json::json;

fn environment() -> Environment {
    Environment {
        id: EnvironmentId::parse("0123456789abcdefghijkl").unwrap(),
        region: Region::parse("ap-southeast-2").unwrap(),
        role: RoleArn::parse("arn:aws:iam::210987654321:role/pipeline-secrets-team").unwrap(),
        external_id: ExternalId::parse("0123456789abcdefghijklmnopqrstuv").unwrap(),
        copy_key: None,
    }
}

fn run() -> RunId {
    RunId::new("ab12ABCDEFGHIJ").unwrap()
}

fn assumed() -> Answer {
    Answer::Reply(
        200,
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <Credentials><AccessKeyId>ASIACANARY</AccessKeyId><SecretAccessKey>canary-secret</SecretAccessKey>\
         <SessionToken>canary-token</SessionToken><Expiration>2026-11-29T13:00:00Z</Expiration></Credentials>\
         </AssumeRoleResult></AssumeRoleResponse>"
            .into(),
    )
}

fn refusal(status: u16, code: &str) -> Answer {
    Answer::Reply(
        status,
        format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
             <Code>{code}</Code><Message>canary message</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"
        ),
    )
}

fn assumer(aws: &FakeAws) -> RoleAssumer {
    RoleAssumer::new(&aws.sdk_config(), &aws.sdk_config())
}

/// Clients of a session, of which the first can give an error.
#[derive(Default)]
struct Clients {
    created: RefCell<Option<Error>>,
}

#[async_trait(?Send)]
impl CreateCopies for Clients {
    async fn create_copy(&self, _: &RunCopy, _: zeroize::Zeroizing<String>, _: &CopyTags) -> Result<String> {
        self.created.borrow_mut().take().map_or(Ok("an ARN".into()), Err)
    }
}

#[async_trait(?Send)]
impl RemoveCopies for Clients {
    async fn describe_copy(&self, name: &str) -> Result<CopyStatus> {
        unreachable!("a session is only opened, not for {name}")
    }

    async fn delete_copy(&self, _: &str) -> Result<()> {
        unreachable!("a session is only opened")
    }

    async fn list_copies(&self, _: &str) -> Result<Vec<FoundCopy>> {
        unreachable!("a session is only opened")
    }
}

#[async_trait(?Send)]
impl ObserveJobs for Clients {
    async fn observe_job(&self, _: &str) -> Result<ObservedJob> {
        unreachable!("a session is only opened")
    }
}

fn clients() -> Rc<Clients> {
    Rc::default()
}

/// The configurations of the sessions so far.
type Sessions = Rc<RefCell<Vec<SdkConfig>>>;

#[tokio::test(start_paused = true)]
async fn each_duty_is_the_only_tag_of_a_session_named_after_the_run() {
    let aws = FakeAws::answering([assumed()]);
    let sessions = Sessions::default();
    let made = sessions.clone();
    let deliveries = Deliveries(assumer(&aws), move |config: &SdkConfig, _: &Environment| {
        made.borrow_mut().push(config.clone());
        clients() as Rc<dyn CreateCopies>
    });
    drop(deliveries.deliver_to(&environment(), &run()).await.unwrap());
    let observations = Observations(assumer(&aws), |_: &SdkConfig| clients() as Rc<dyn ObserveJobs>);
    drop(observations.observe_at(&environment(), &run()).await.unwrap());
    let removals =
        Removals(assumer(&aws), |_: &SdkConfig| CleanupSession { jobs: clients(), copies: clients() });
    drop(removals.remove_at(&environment(), Some(&run())).await.unwrap());
    drop(removals.remove_at(&environment(), None).await.unwrap());

    let seen = aws.seen();
    let expected = [
        ("deliver", "ab12ABCDEFGHIJ"),
        ("observe", "ab12ABCDEFGHIJ"),
        ("remove", "ab12ABCDEFGHIJ"),
        ("remove", "sweep"),
    ];
    assert_eq!(seen.len(), expected.len());
    for (call, (duty, session)) in seen.iter().zip(expected) {
        let body = call.body.as_str().unwrap();
        let mut parts: Vec<_> = body.split('&').collect();
        parts.sort_unstable();
        let expected = [
            "Action=AssumeRole".to_owned(),
            "DurationSeconds=900".to_owned(),
            "ExternalId=0123456789abcdefghijklmnopqrstuv".to_owned(),
            "RoleArn=arn%3Aaws%3Aiam%3A%3A210987654321%3Arole%2Fpipeline-secrets-team".to_owned(),
            format!("RoleSessionName={session}"),
            "Tags.member.1.Key=duty".to_owned(),
            format!("Tags.member.1.Value={duty}"),
            "Version=2011-06-15".to_owned(),
        ];
        assert_eq!(parts, expected);
        assert!(call.authorization.contains("AKIDEXAMPLE/"), "{}", call.authorization);
    }
    let session = sessions.borrow_mut().remove(0);
    assert_eq!(session.region().unwrap().as_ref(), "ap-southeast-2");
    let key = session.credentials_provider().unwrap().provide_credentials().await.unwrap();
    assert_eq!((key.access_key_id(), key.session_token()), ("ASIACANARY", Some("canary-token")));
    assert!(session.http_client().is_some(), "sessions share one HTTP client");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_from_an_outage_and_quotes_nothing() {
    for (answer, code, part) in [
        (refusal(403, "AccessDenied"), "environment-refused", "role cannot be assumed"),
        (refusal(403, "RegionDisabledException"), "environment-refused", "has not enabled the region"),
        (refusal(400, "PackedPolicyTooLarge"), "unavailable", "unavailable"),
        (refusal(500, "InternalFailure"), "unavailable", "unavailable"),
        (refusal(400, "Throttling"), "unavailable", "unavailable"),
        (Answer::Lost, "unavailable", "unavailable"),
        (
            Answer::Reply(200, "<AssumeRoleResponse><AssumeRoleResult/></AssumeRoleResponse>".into()),
            "unavailable",
            "unavailable",
        ),
    ] {
        let aws = FakeAws::answering([answer.clone()]);
        let observations = Observations(assumer(&aws), |_: &SdkConfig| clients() as Rc<dyn ObserveJobs>);
        let Err(error) = observations.observe_at(&environment(), &run()).await else {
            panic!("{answer:?} is no session")
        };
        assert_eq!(error.code(), code, "{answer:?}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(!printed(&error).contains("canary"), "{answer:?}");
    }
}

struct Sevens;

impl Randomness for Sevens {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

fn checks(aws: &FakeAws) -> Checks {
    Checks { assumer: assumer(aws), copy: "tower-ab12".into() }
}

fn missing_secret() -> Answer {
    Answer::error(400, "ResourceNotFoundException", "canary message")
}

#[tokio::test(start_paused = true)]
async fn a_role_is_proved_if_it_works_and_demands_its_external_id() {
    let denied = || refusal(403, "AccessDenied");
    let no_job = || Answer::ok(json!({ "jobs": [] }));
    let outage = || refusal(500, "InternalFailure");
    let cases: [(&str, &[Answer], Option<Verdict>, &str); 5] = [
        ("it works", &[assumed(), denied(), missing_secret(), no_job()], Some(Verdict::Proved), ""),
        ("it refuses", &[denied()], Some(Verdict::Refused), ""),
        ("it lets anyone in", &[assumed()], Some(Verdict::LetsAnyoneIn), ""),
        ("an outage", &[outage()], None, "unavailable"),
        ("an outage at the second call", &[assumed(), outage()], None, "unavailable"),
    ];
    for (case, answers, verdict, code) in cases {
        let aws = FakeAws::scripted(answers.to_vec());
        match checks(&aws).check_target(&environment(), &Sevens).await {
            Ok(found) => assert_eq!(Some(found), verdict, "{case}"),
            Err(error) => assert_eq!((None, error.code()), (verdict, code), "{case}"),
        }
        let seen = aws.seen();
        for call in seen.iter().filter(|call| call.operation != "DescribeSecret" && call.body.is_string()) {
            assert!(call.body.as_str().unwrap().contains("Tags.member.1.Value=check"), "{case}");
        }
        let Some(Verdict::Proved) = verdict else {
            continue;
        };
        let [right, wrong, secret, job] = &seen[..] else { panic!("{seen:?}") };
        assert_ne!(right.body, wrong.body, "the second call has another external ID");
        assert_eq!((&*secret.operation, &*job.operation), ("DescribeSecret", "describejobs"));
        assert_eq!(secret.body, json!({ "SecretId": "tower-ab12" }));
        assert_eq!(job.body, json!({ "jobs": ["00000000-0000-0000-0000-000000000000"] }));
        for (call, service) in [(secret, "secretsmanager"), (job, "batch")] {
            let signed = &call.authorization;
            assert!(signed.contains("Credential=ASIACANARY/"), "{signed}");
            assert!(signed.contains(&format!("/ap-southeast-2/{service}/aws4_request")), "{signed}");
            assert!(signed.contains("content-type;host;x-amz-date;x-amz-security-token"), "{signed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_that_may_not_use_its_permissions_grants_nothing() {
    let works = || Answer::ok(json!({}));
    for (case, secret, job, verdict) in [
        ("denied", Answer::error(400, "AccessDeniedException", "m"), works(), Some(Verdict::GrantsNothing)),
        (
            "denied",
            missing_secret(),
            Answer::error(403, "AccessDeniedException", "m"),
            Some(Verdict::GrantsNothing),
        ),
        (
            "by AWS Batch",
            works(),
            Answer::error(403, "com.amazonaws#ClientException", "m"),
            Some(Verdict::GrantsNothing),
        ),
        (
            "region",
            Answer::error(400, "UnrecognizedClientException", "m"),
            works(),
            Some(Verdict::GrantsNothing),
        ),
        ("an outage", Answer::error(500, "InternalServiceError", "m"), works(), None),
        ("an outage", works(), Answer::error(500, "ServerException", "m"), None),
        ("no JSON", works(), Answer::Reply(502, "<html>".into()), None),
        ("lost", works(), Answer::Lost, None),
    ] {
        let aws = FakeAws::answering([assumed(), refusal(403, "AccessDenied"), secret, job]);
        let found = checks(&aws).check_target(&environment(), &Sevens).await;
        if let Err(error) = &found {
            assert_eq!(error.code(), "unavailable", "{case}");
            let text = printed(error);
            assert!(!text.contains("canary") && !text.contains("tower-ab12"), "{text}");
        }
        assert_eq!(found.ok(), verdict, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_the_role_or_the_key_does_not_permit_is_for_the_owner_of_the_environment_to_mend() {
    for (created, expected) in [
        (None, "ok"),
        (Some(failure("AccessDeniedException")), "environment-refused"),
        (Some(failure("EncryptionFailure")), "environment-refused"),
        (Some(failure("InternalServiceError")), "unavailable"),
        (Some(Error::Contended), "contended"),
    ] {
        let aws = FakeAws::answering([assumed()]);
        let created = RefCell::new(created);
        let deliveries = Deliveries(assumer(&aws), move |_: &SdkConfig, _: &Environment| {
            let created = RefCell::new(created.take());
            Rc::new(Clients { created }) as Rc<dyn CreateCopies>
        });
        let there = deliveries.deliver_to(&environment(), &run()).await.unwrap();
        let copy = RunCopy { name: "tower-ab12".into(), arn: None, holds: Vec::new(), store: false };
        let tags = CopyTags {
            deployment: "prod".into(),
            scope: "WS#42".parse().unwrap(),
            run: run().to_string(),
            not_after: "2026-11-29T13:00:00Z".parse().unwrap(),
        };
        let outcome = there.create_copy(&copy, "{}".to_owned().into(), &tags).await;
        assert_eq!(outcome.map_or_else(|error| error.code(), |_| "ok"), expected);
    }
}

fn failure(code: &str) -> Error {
    Error::unavailable("test", aws_failures::Failure::incomplete(Some(code)))
}
