use std::rc::Rc;

use domain::settings::Settings;
use domain::token::PresentedToken;
use domain::use_cases::cancel_run::Canceller;
use domain::use_cases::report::Reporter;
use environments_sts::{Observations, RoleAssumer};
use events_eventbridge::RunAnnouncer;
use http_api::{Handle as _, Operation};
use http_api::operation::Credential;
use jobs_batch::JobObserver;
use report_run::Handler;
use runtime::SdkConfig;
use serde_json::json;
use serde_json::value::to_raw_value;

use crate::aws::{Aws, REGION, context, wait};

const RUN: &str = "ab12ABCDEFGHIJ";
const JOB: &str = "4c7599ae-1";
const QUEUE: &str = "arn:aws:batch:eu-west-1:1:job-queue/q";
const TOKEN: &str = "eyJ0aWQiOiJhYjEyQUJDREVGR0hJSiJ9LjA3MDcwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDcwNzA3MDc=";
const ROW: &str = r#"{"pk":{"S":"RUN#ab12ABCDEFGHIJ"},"sk":{"S":"RUN"},"workspace":{"N":"42"},"user":{"N":"1"},
    "platform":{"S":"aws-batch"},"layout":{"S":"bundle"},"createdAt":{"S":"2026-11-24T00:00:00Z"},
    "notAfter":{"S":"2036-11-24T00:00:00Z"},"revision":{"N":"2"},"state":{"S":"running"},
    "leaseUntil":{"S":"2026-11-24T00:30:00Z"},"secrets":{"L":[]},"copies":{"L":[]},"runToken":{"S":"HASH"}}"#;

/// A run's message, for the operation selected by the first byte. Nextflow's messages always
/// succeed, so that no pipeline stalls, and their content is not forwarded.
pub fn run(data: &[u8]) {
    let Some((first, body)) = data.split_first() else {
        return;
    };
    let operations: Vec<_> =
        Operation::ALL.iter().copied().filter(|operation| operation.credential() == Credential::Run).collect();
    let operation = operations[usize::from(*first) % operations.len()];
    let row = ROW.replace("HASH", &hash());
    let aws = Aws::answering(move |call| answer(call, &row).into_bytes());
    let config = aws.config();
    let settings = Settings::new("test");
    let store = Rc::new(aws.store());
    let jobs = Rc::new(JobObserver::new(aws_sdk_batch::Client::new(&config)));
    let bus = Rc::new(RunAnnouncer::new(aws_sdk_eventbridge::Client::new(&config), "bus"));
    let environments = Rc::new(Observations(RoleAssumer::new(&config, &config), |_: &SdkConfig| {
        unreachable!("the run executes in the deployment's own account")
    }));
    let (account, region) = ("111122223333".into(), REGION.into());
    let handler = Handler {
        canceller: Canceller {
            store: store.clone(),
            jobs: jobs.clone(),
            environments: environments.clone(),
            bus: bus.clone(),
        },
        reporter: Reporter { store, jobs, environments, bus, account, region },
    };
    let event = json!({
        "routeKey": operation.route_key(),
        "headers": { "content-type": "application/json", "authorization": format!("Bearer {TOKEN}") },
        "pathParameters": { "workflowId": RUN },
        "body": super::text(body),
    });
    let event = to_raw_value(&event).expect("JSON");
    let context = context(&settings);
    let handle = async |request| handler.handle(request, &context).await;
    let served = wait(http_api::serve(&settings, &event, handle));
    let status = super::check_answer(served.answer.get());
    assert!(!operation.id().starts_with("Trace") || status == 200, "{} returns {status}", operation.id());
    for (call, body) in aws.calls() {
        assert!(!body.contains(super::MARK), "{call} sends the content of a message");
    }
}

/// The run's row, and a job whose environment names the run and holds a value.
fn answer(call: &str, row: &str) -> String {
    let job = json!({
        "jobId": JOB, "jobName": "head", "jobQueue": QUEUE, "jobDefinition": "d", "status": "RUNNING", "startedAt": 1,
        "container": { "environment": [
            { "name": "PIPELINE_SECRETS_WORKFLOW_ID", "value": RUN }, { "name": "KEY", "value": super::MARK },
        ] },
        "tags": { "owner": super::MARK },
    });
    match call {
        "GetItem" => format!("{{\"Item\":{row}}}"),
        "POST /v1/describejobs" => json!({ "jobs": [job] }).to_string(),
        _ => "{}".to_owned(),
    }
}

fn hash() -> String {
    let Some(PresentedToken::Run(_, key)) = PresentedToken::from_authorization(&format!("Bearer {TOKEN}")) else {
        panic!("an invalid token");
    };
    serde_json::to_value(key.hash()).expect("JSON").as_str().expect("text").to_owned()
}
