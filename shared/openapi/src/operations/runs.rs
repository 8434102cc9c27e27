//! Runs: launches, receipts, and what runs report of themselves.

use domain::ids::RunId;
use domain::resolve::MAX_IN_LAUNCH;
use domain::run::State;
use http_api::wire::launches::{LaunchAnswer, LaunchBody, PreviewAnswer};
use http_api::wire::reports::{EndReport, HeadJobReport, TraceAnswer};
use http_api::wire::runs::{NextflowStore, Receipt, RunList, RunState};
use serde_json::{Value, json};

use super::{Described, example};
use crate::parts::{idempotency_key, query};
use crate::schemas::Schemas;

const RUN: &str = "0a1bABCDEFGHIJ";
const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:tower-0a1bABCDEFGHIJ-AbCdEf";

fn launch_body(schemas: &mut Schemas) -> Value {
    schemas.body::<LaunchBody>(&json!({"platform": "aws-batch", "layout": "bundle", "userSecrets": []}))
}

fn given() -> Value {
    json!({"name": "NCBI_API_KEY", "owner": "workspace", "secretId": 5_002_114_781_502_i64, "version": 1, "overrides": false})
}

pub(super) fn launch(schemas: &mut Schemas) -> Described {
    let value_from = format!("{ARN}:NCBI_API_KEY::");
    let mut secret = given();
    secret["arn"] = ARN.into();
    secret["valueFrom"] = value_from.as_str().into();
    let token = "eyJ0aWQiOiIwYTFiQUJDREVGR0hJSiJ9Li4u";
    let launched = json!({
        "workflowId": RUN, "state": "pending", "platform": "aws-batch", "layout": "bundle",
        "expires": "2026-10-26T12:42:21Z",
        "secrets": [secret],
        "runToken": token,
        "environment": {"TOWER_API_ENDPOINT": "https://api.example.org", "TOWER_ACCESS_TOKEN": token,
            "TOWER_WORKFLOW_ID": RUN, "TOWER_WORKSPACE_ID": "42"},
        "batch": {"secrets": [{"name": "NCBI_API_KEY", "valueFrom": value_from}]},
        "iam": {
            "statements": [{"Sid": "ReadPipelineSecrets", "Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
                "Resource": "arn:aws:secretsmanager:us-east-1:123456789012:secret:tower-0a1b*",
                "Condition": {"StringEquals": {"secretsmanager:ResourceTag/pipeline-secrets:deployment": "pipeline-secrets",
                    "secretsmanager:ResourceTag/pipeline-secrets:scope": "workspace/42"}}}],
            "runStatements": [{"Sid": "ReadPipelineSecrets", "Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
                "Resource": format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:tower-{RUN}*"),
                "Condition": {"StringEquals": {"secretsmanager:ResourceTag/pipeline-secrets:deployment": "pipeline-secrets",
                    "secretsmanager:ResourceTag/pipeline-secrets:scope": "workspace/42",
                    "secretsmanager:ResourceTag/pipeline-secrets:run": RUN}}}],
        },
    });
    let lines = format!("workflowId={RUN}\nstate=pending\nexpires=2026-10-26T12:42:21Z\nrunToken={token}\n");
    Described::new(
        "Launch a run with its secrets",
        format!(
            "Chooses the run's secrets, at most {MAX_IN_LAUNCH}: a user's own takes the place of the workspace's of the same name. \
             For AWS Batch it copies them to AWS Secrets Manager and answers references; for HPC it answers a claim token. \
             Nothing is created where anything is missing or cannot be delivered. The copies are removed when the run has ended."
        ),
        schemas.answer_or_lines::<LaunchAnswer<'_>>("The run, with its tokens.", &launched, &lines),
    )
    .parameters([idempotency_key()])
    .body(launch_body(schemas))
    .errors(&[409, 422])
}

pub(super) fn preview(schemas: &mut Schemas) -> Described {
    let preview = json!({
        "platform": "aws-batch", "layout": "bundle", "copies": 1,
        "secrets": [{"name": "NCBI_API_KEY", "owner": "user", "secretId": 171_740_984_431_657_i64, "version": 3,
            "overrides": 5_002_114_781_502_i64}],
        "warnings": ["The caller's own secrets will be readable by this workspace's jobs: NCBI_API_KEY."],
    });
    Described::new(
        "Preview a launch",
        "What a launch with this body would take, and why it would be refused; nothing is done.",
        schemas.answer::<PreviewAnswer<'_>>("What it would take.", &preview),
    )
    .body(launch_body(schemas))
    .errors(&[422])
}

fn receipt() -> Value {
    json!({
        "workflowId": RUN, "state": "ended", "workspaceId": 42, "userId": 17, "platform": "aws-batch", "layout": "bundle",
        "dateLaunched": "2026-10-25T12:42:21Z", "dateDelivered": "2026-10-25T12:42:22Z",
        "dateEnding": "2026-10-25T14:00:01Z", "dateRemoved": "2026-10-25T14:00:02Z", "leaseUntil": null,
        "headJob": {"jobId": "876da822-4198-45f2-a252-6cea32512ea8", "jobQueue": "heads", "region": "us-east-1"},
        "outcome": {"result": "succeeded", "exitStatus": 0, "reportedBy": "head-job"},
        "secrets": [given()],
        "copies": [format!("tower-{RUN}")],
    })
}

pub(super) fn list(schemas: &mut Schemas) -> Described {
    let runs = json!({"runs": [receipt()], "next": null});
    let most = json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 50});
    Described::new(
        "List runs",
        "Runs of the workspace, newest first; without a workspace, those that the caller launched without one. A run that was \
         launched a moment ago may be missing.",
        schemas.answer::<RunList<'_>>("A page of them.", &runs),
    )
    .parameters([
        query("max", "Runs, at most.", most),
        query("after", "The page after this run: `next` of the page before.", schemas.parameter::<RunId>()),
        query("state", "Only those in this state.", schemas.parameter::<State>()),
    ])
}

pub(super) fn describe(schemas: &mut Schemas) -> Described {
    let lines = format!("workflowId={RUN}\nstate=ended\n");
    Described::new(
        "Describe a run",
        "Its receipt: what it was given, when, and how it ended. For its launcher, and for members of its workspace whether the \
         query names it or not.",
        schemas.answer_or_lines::<Receipt<'_>>("The receipt.", &receipt(), &lines),
    )
}

pub(super) fn claim(schemas: &mut Schemas) -> Described {
    let store = json!([{"name": "NCBI_API_KEY", "value": "0f1e2d3c"}]);
    Described::new(
        "Claim a run's secrets",
        "HPC: hands the head job Nextflow's secrets store, of the versions current now, once. Never repeat it: who lost the \
         answer launches anew. Refused, and the run ended, where the launcher may launch it no more. It is the one answer \
         that holds values.",
        schemas.answer::<NextflowStore>("The store.", &store),
    )
    .errors(&[410, 422])
    .never(&[400])
}

fn state(schemas: &mut Schemas, description: &str, state: &str) -> (u16, Value) {
    let lines = format!("workflowId={RUN}\nstate={state}\n");
    schemas.answer_or_lines::<RunState<'_>>(description, &json!({"workflowId": RUN, "state": state}), &lines)
}

pub(super) fn head_job(schemas: &mut Schemas) -> Described {
    let job =
        json!({"jobId": "876da822-4198-45f2-a252-6cea32512ea8", "jobQueue": "heads", "region": "us-east-1"});
    Described::new(
        "Record the head job",
        "AWS Batch: from here on its final state ends the run, and nothing else does. It must exist and not be final; another job \
         for the same run is refused.",
        state(schemas, "It is recorded.", "pending"),
    )
    .body(schemas.body::<HeadJobReport>(&job))
    .errors(&[409, 410, 422])
}

pub(super) fn renew_lease(schemas: &mut Schemas) -> Described {
    Described::new(
        "Renew the lease",
        "A heartbeat. A run that gives none is ended when its lease is over.",
        state(schemas, "The run's state.", "running"),
    )
    .never(&[400])
}

pub(super) fn end(schemas: &mut Schemas) -> Described {
    Described::new(
        "Report the end",
        "Notes how the run ended. With a recorded head job it is over when AWS Batch says so; otherwise now. After the end it \
         changes nothing.",
        state(schemas, "The run's state.", "ending"),
    )
    .body(schemas.body::<EndReport>(&json!({"success": true, "exitStatus": 0})))
}

/// An object, but nothing is refused: a few fields are read where they are there, and nothing is kept.
fn message(example: &Value) -> Value {
    let schema = json!({
        "description": "Nextflow's message. What is not named here is neither kept nor logged, and nothing is refused for its shape.",
    });
    json!({"required": false, "content": {"application/json": {"schema": schema, "example": example}}})
}

fn watched(schemas: &mut Schemas) -> (u16, Value) {
    let example =
        json!({"workflowId": RUN, "watchUrl": format!("https://api.example.org/runs/{RUN}"), "status": "OK"});
    schemas.answer::<TraceAnswer<'_>>("Noted.", &example)
}

pub(super) fn trace_create(schemas: &mut Schemas) -> Described {
    let fields = json!({"sessionId": "1ff65bc4-9402-47ce-a67c-8b5e70d01f85", "runName": "mad_curie", "workflowId": RUN});
    Described::new(
        "Nextflow's first message",
        "Answers the token's own run, whatever the body says. A run that was not launched here is refused with 403, which \
         Nextflow survives.",
        watched(schemas),
    )
    .body(message(&fields))
    .never(TRACE_NEVER)
}

pub(super) fn trace(
    schemas: &mut Schemas,
    summary: &'static str,
    description: &str,
    fields: &str,
) -> Described {
    Described::new(
        summary,
        format!("{description} `null` in place of the run's id means the token's run."),
        watched(schemas),
    )
    .body(message(&example(fields)))
    .never(TRACE_NEVER)
}

/// Bodies of these messages are read as far as they can be, and no more is asked of them: an error would stall a pipeline.
const TRACE_NEVER: &[u16] = &[400, 415];
