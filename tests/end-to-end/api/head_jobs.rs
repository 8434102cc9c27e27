//! A run records only an AWS Batch job that names it, in its environment or in a tag.

use end_to_end::{ApiRequest, Caller, World};
use libtest_mimic::Trial;
use local::platform::Platform;
use local::{Job, JobStatus};
use serde_json::{Value, json};

use crate::trial::{harness, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        the_job_of_another_run_is_refused,
        a_job_without_the_variable_is_recorded_once_it_has_the_tag,
        a_run_with_a_live_head_job_is_cancelled_only_by_force,
    ]
}

/// A launched run with a client for its token.
async fn launch(world: &World) -> (String, Caller) {
    let body = json!({"platform": "aws-batch", "userSecrets": [], "workspaceSecrets": []});
    let run = world.caller("launch").post(world.inside("/launches"), &body).await.json();
    let token = run["runToken"].as_str().expect("a token");
    world.harness.record_token(token);
    (run["workflowId"].as_str().expect("an id").to_owned(), Caller::bearer(&world.harness, token))
}

fn record(run: &str, job: &Value) -> ApiRequest {
    ApiRequest::put(format!("/runs/{run}/head-job"), job)
}

async fn recorded_job(world: &World, run: &str) -> Value {
    let receipt = world.caller("launch").get(world.inside(&format!("/runs/{run}"))).await.json();
    receipt["headJob"]["jobId"].clone()
}

async fn the_job_of_another_run_is_refused() {
    let world = World::make(harness().await).await;
    let ((run, caller), (other, other_caller)) = (launch(&world).await, launch(&world).await);
    let job = world.harness.head_job(&run).await;
    // The second time, the job is recorded for its run, and this run repeats its request.
    for _ in 0..2 {
        let refused = other_caller.send(record(&other, &job)).await.problem(422);
        assert!(refused.starts_with("The AWS Batch job names another run: "), "{refused}");
        assert_eq!(recorded_job(&world, &other).await, Value::Null);
        let _ = caller.send(record(&run, &job)).await.json();
        assert_eq!(recorded_job(&world, &run).await, job["jobId"]);
    }
}

async fn a_job_without_the_variable_is_recorded_once_it_has_the_tag() {
    let world = World::make(harness().await).await;
    let (run, caller) = launch(&world).await;
    let stack = &world.harness.stack;
    let platform = Platform::new(stack).await;
    let id = platform.submit(&Job { queue: "heads", ..Job::default() }).await.expect("a job");
    stack.move_job(&id, JobStatus::Running).await.expect("a running job");
    let job = Platform::head_job(&id);
    let refused = caller.send(record(&run, &job)).await.problem(422);
    assert!(refused.starts_with("The AWS Batch job does not name its run: "), "{refused}");
    assert_eq!(recorded_job(&world, &run).await, Value::Null);

    let arn = stack.job(&id).await.expect("the job")["jobArn"].as_str().expect("an ARN").to_owned();
    let batch = aws_sdk_batch::Client::new(platform.operator());
    batch.tag_resource().resource_arn(arn).tags("pipeline-secrets:run", &run).send().await.expect("tagged");
    let _ = caller.send(record(&run, &job)).await.json();
    assert_eq!(recorded_job(&world, &run).await, id);
}

async fn a_run_with_a_live_head_job_is_cancelled_only_by_force() {
    let world = World::make(harness().await).await;
    let (run, caller) = launch(&world).await;
    let job = world.harness.head_job(&run).await;
    let _ = caller.send(record(&run, &job)).await.json();
    let cancel =
        |query: &str| ApiRequest::new("POST", world.inside(&format!("/workflow/{run}/cancel")) + query);
    let owner = world.caller("owner");
    let refused = owner.send(cancel("")).await.problem(409);
    assert!(refused.contains(job["jobId"].as_str().expect("an id")), "{refused}");
    assert!(owner.send(cancel("&force=1")).await.problem(400).contains("force"));
    assert_eq!(owner.send(cancel("&forced=true")).await.status, 400);
    owner.send(cancel("&force=true")).await.no_content();
    let trail = owner.get(world.inside("/audit-events")).await.json();
    let cancelled =
        trail["events"].as_array().expect("events").iter().find(|it| it["action"] == "run.cancelled");
    let event = cancelled.expect("an event");
    assert_eq!((&event["actor"], &event["detail"]), (&json!(world.person("owner").id), &json!("forced")));
}
