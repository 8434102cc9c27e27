//! The Batch adapter through the real SDK, against scripted answers.

use aws_failures::fake::{ATTEMPTS, Answer, FakeAws, printed};
use domain::Result;
use domain::head_job::{NamedRuns, ObservedJob};
use domain::ports::ObserveJobs;
use domain::run::JobStatus;
use jobs_batch::JobObserver;
use serde_json::{Value, json};

const JOB: &str = "876da822-4198-45f2-a252-6cea32512ea8";
const QUEUE: &str = "arn:aws:batch:eu-central-1:111122223333:job-queue/heads";

fn observer(aws: &FakeAws) -> JobObserver {
    JobObserver::new(aws_sdk_batch::Client::new(&aws.sdk_config()))
}

async fn observe(aws: &FakeAws) -> Result<ObservedJob> {
    observer(aws).observe_job(JOB).await
}

/// A job that names no run.
fn observed(status: JobStatus) -> ObservedJob {
    ObservedJob { status, queue: Some(QUEUE.into()), named_runs: NamedRuns::default() }
}

fn answer(status: &str, more: Value) -> Answer {
    let mut job = json!({ "jobId": JOB, "jobName": "head", "jobQueue": QUEUE, "status": status, "startedAt": 1, "jobDefinition": "d" });
    if let (Some(job), Value::Object(more)) = (job.as_object_mut(), more) {
        job.extend(more);
    }
    Answer::ok(json!({ "jobs": [job] }))
}

#[tokio::test(start_paused = true)]
async fn only_succeeded_and_failed_are_final() {
    let states = ["SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SOME_NEW_STATE"];
    for status in states {
        let aws = FakeAws::answering([answer(status, json!({}))]);
        assert_eq!(observe(&aws).await.unwrap(), observed(JobStatus::NotFinal), "{status}");
        assert_eq!(aws.seen()[0].operation, "describejobs");
        assert_eq!(aws.seen()[0].body, json!({ "jobs": [JOB] }));
    }
    for (status, succeeded) in [("SUCCEEDED", true), ("FAILED", false)] {
        let aws = FakeAws::answering([answer(status, json!({}))]);
        let status = JobStatus::Final { succeeded, exit_status: None };
        assert_eq!(observe(&aws).await.unwrap(), observed(status));
    }
}

#[tokio::test(start_paused = true)]
async fn the_exit_status_is_found_for_every_kind_of_job() {
    let jobs = [
        json!({ "container": { "exitCode": 3, "environment": [{ "name": "X", "value": "canary" }] } }),
        json!({ "ecsProperties": { "taskProperties": [{ "containers": [{ "exitCode": 0 }, { "exitCode": 3 }] }] } }),
        json!({ "eksProperties": { "podProperties": { "containers": [{ "exitCode": 3 }] } } }),
        json!({ "nodeProperties": { "numNodes": 2, "mainNode": 0, "nodeRangeProperties": [] },
                "attempts": [{ "container": { "exitCode": 9 } }, { "container": { "exitCode": 3 } }] }),
        json!({ "attempts": [{ "taskProperties": [{ "containers": [{ "exitCode": 3 }] }] }] }),
        json!({ "eksAttempts": [{ "containers": [{ "exitCode": 3 }] }] }),
    ];
    for job in jobs {
        let aws = FakeAws::answering([answer("FAILED", job.clone())]);
        let status = JobStatus::Final { succeeded: false, exit_status: Some(3) };
        assert_eq!(observe(&aws).await.unwrap().status, status, "{job}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_named_runs_are_those_of_the_container_and_the_tags_and_nothing_else_is_kept() {
    const RUN: &str = "ab12ABCDEFGHIJ";
    let variable = |name: &str, value: &str| json!({ "name": name, "value": value });
    let run = variable("PIPELINE_SECRETS_WORKFLOW_ID", RUN);
    let environment = json!([variable("TOKEN", "canary"), run, { "name": "PIPELINE_SECRETS_WORKFLOW_ID" }]);
    let tags = json!({ "pipeline-secrets:run": RUN, "owner": "canary" });
    let of_environment = NamedRuns::select([("PIPELINE_SECRETS_WORKFLOW_ID", RUN)], []);
    let of_both = NamedRuns::select([("PIPELINE_SECRETS_WORKFLOW_ID", RUN)], [("pipeline-secrets:run", RUN)]);
    let container = json!({ "environment": environment, "command": ["canary"] });
    let nodes = json!({ "numNodes": 2, "mainNode": 0, "nodeRangeProperties": [{ "targetNodes": "0:", "container": container }] });
    let rows = [
        ("a container", json!({ "container": container }), of_environment),
        ("a container and tags", json!({ "container": container, "tags": tags }), of_both),
        ("an empty container", json!({ "container": {} }), NamedRuns::default()),
        ("several nodes", json!({ "nodeProperties": nodes }), NamedRuns::default()),
    ];
    for (case, job, expected) in rows {
        let aws = FakeAws::answering([answer("RUNNING", job)]);
        let observed = observe(&aws).await.unwrap();
        assert_eq!(observed.named_runs, expected, "{case}");
        assert!(!format!("{observed:?}").contains("canary"), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_not_in_the_answer_is_unknown() {
    let other = json!({ "jobs": [{ "jobId": "another", "status": "FAILED" }] });
    for body in [json!({ "jobs": [] }), json!({}), other] {
        let aws = FakeAws::answering([Answer::ok(body)]);
        assert_eq!(observe(&aws).await.unwrap(), ObservedJob::unknown());
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_description_decides_nothing() {
    let rows = [
        (400, "ClientException", 1),
        (403, "AccessDeniedException", 1),
        (429, "TooManyRequestsException", ATTEMPTS),
        (500, "ServerException", ATTEMPTS),
    ];
    for (status, code, calls) in rows {
        let aws = FakeAws::answering([Answer::error(status, code, "canary")]);
        let error = observe(&aws).await.unwrap_err();
        assert_eq!((error.code(), aws.seen().len()), ("unavailable", calls as usize), "{code}");
        assert!(!printed(&error).contains("canary"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_is_retried() {
    let aws = FakeAws::answering([Answer::Lost, answer("RUNNING", json!({}))]);
    assert_eq!(observe(&aws).await.unwrap().status, JobStatus::NotFinal);
}

#[tokio::test(start_paused = true)]
async fn warm_up_describes_no_real_job() {
    let aws = FakeAws::answering([Answer::ok(json!({ "jobs": [] }))]);
    observer(&aws).warm().await.unwrap();
    assert_eq!(aws.seen()[0].body, json!({ "jobs": ["00000000-0000-0000-0000-000000000000"] }));
}
