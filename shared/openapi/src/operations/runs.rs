//! Launches, receipts, and the reports of runs.

use domain::ids::RunId;
use domain::resolve::MAX_IN_LAUNCH;
use domain::run::State;
use http_api::wire::launches::{LaunchAnswer, LaunchBody, PreviewAnswer};
use http_api::wire::reports::{EndReport, HeadJobReport, TraceAnswer};
use http_api::wire::runs::{ClaimAnswer, Receipt, RunList, RunState};
use serde_json::{Value, json};

use super::{Described, END, example};
use crate::parts::{idempotency_key, no_content, query};
use crate::schemas::Schemas;

const RUN: &str = "0a1bABCDEFGHIJ";
const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:tower-0a1bABCDEFGHIJ-AbCdEf";

/// `plugins { … }` in base64.
const CONFIG: &str = "cGx1Z2lucyB7CiAgICBpZCAnbmYtcGlwZWxpbmUtc2VjcmV0c0AwLjEuMCcKfQouLi4=";

const LINES: &str = "With `Accept: text/plain`: lines of the form `name=value`, without quotes. Only for AWS Batch: \
    `layout`; `region`; `store`, the names of the copies from which the head job makes Nextflow's secrets store, separated \
    by spaces; and `nextflowConfig`, which is `nextflow.config` in base64. With the layout `plugin`, the copies in `store` \
    are fragments of the store, in order. With `per-name`, each is one value, and the name of the secret follows the slash. \
    `store` is empty with the layout `bundle`. Both are empty for a run without secrets.";

const CLAIM_LINES: &str = "Only for Kubernetes, with `Accept: text/plain`: two lines of the form `name=value`. `store` is \
    Nextflow's secrets store, and `secretData` is the field `data` of a Secret, both JSON on one line.";

fn launch_body(schemas: &mut Schemas) -> Value {
    schemas.body::<LaunchBody>(&json!({"platform": "aws-batch", "layout": "bundle", "userSecrets": []}))
}

fn scope_statement() -> Value {
    json!({"Sid": "ReadPipelineSecrets", "Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
        "Resource": "arn:aws:secretsmanager:us-east-1:123456789012:secret:tower-0a1b*",
        "Condition": {"StringEquals": {"secretsmanager:ResourceTag/pipeline-secrets:deployment": "pipeline-secrets",
            "secretsmanager:ResourceTag/pipeline-secrets:scope": "workspace/42"}}})
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
        "environment": {"PIPELINE_SECRETS_ENDPOINT": "https://api.example.org", "PIPELINE_SECRETS_WORKFLOW_ID": RUN,
            "PIPELINE_SECRETS_RUN_TOKEN": token},
        "batch": {"secrets": [{"name": "NCBI_API_KEY", "valueFrom": value_from}]},
        "nextflow": {"config": "plugins {\n    id 'nf-pipeline-secrets@0.1.0'\n}\n...", "prelude": "..."},
        "iam": {
            "statements": [scope_statement()],
            "runStatements": [{"Sid": "ReadPipelineSecrets", "Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
                "Resource": format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:tower-{RUN}*"),
                "Condition": {"StringEquals": {"secretsmanager:ResourceTag/pipeline-secrets:deployment": "pipeline-secrets",
                    "secretsmanager:ResourceTag/pipeline-secrets:scope": "workspace/42",
                    "secretsmanager:ResourceTag/pipeline-secrets:run": RUN}}}],
        },
    });
    let lines = format!(
        "workflowId={RUN}\nstate=pending\nexpires=2026-10-26T12:42:21Z\nrunToken={token}\nlayout=plugin\n\
         region=us-east-1\nstore=tower-{RUN}.nextflow\nnextflowConfig={CONFIG}\n"
    );
    let (status, mut answer) =
        schemas.answer_or_lines::<LaunchAnswer<'_>>("The run and its tokens.", &launched, &lines);
    answer["content"]["text/plain"]["schema"]["description"] = LINES.into();
    Described::new(
        "Launch a run with its secrets",
        format!(
            "Resolves the run's secrets, at most {MAX_IN_LAUNCH}. A user secret overrides the workspace secret of the \
             same name. For AWS Batch, copies the secrets to AWS Secrets Manager and returns references to the copies, \
             which are deleted after the run ends. For an HPC scheduler or Kubernetes, returns a claim token. If a secret is missing \
             or cannot be delivered, nothing is created."
        ),
        (status, answer),
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
        "warnings": ["Jobs in this workspace can read your user secrets in this launch while the run lasts."],
        "iam": {"statements": [scope_statement()]},
    });
    Described::new(
        "Preview a launch",
        "Returns the secrets that a launch with this body would resolve, or the reasons for which it would be refused. \
         On AWS Batch, `iam.statements` are for the roles of all runs of the workspace. Creates nothing.",
        schemas.answer::<PreviewAnswer<'_>>("The secrets that a launch would resolve.", &preview),
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
        "outcome": {"result": "succeeded", "exitStatus": 0, "reportedBy": "head-job", "cancelledBy": null},
        "secrets": [given()],
        "copies": [format!("tower-{RUN}")],
    })
}

pub(super) fn list(schemas: &mut Schemas) -> Described {
    let runs = json!({"runs": [receipt()], "next": null});
    let most = json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 50});
    Described::new(
        "List runs",
        "Lists the runs of the workspace or, without a workspace, the runs that the caller launched outside a workspace, \
         newest first. A run that was launched a moment ago may be missing.",
        schemas.answer::<RunList<'_>>("A page of runs.", &runs),
    )
    .parameters([
        query("max", "The maximum number of runs.", most),
        query("after", "Returns the page that follows this run: `next` of the previous page.", schemas.parameter::<RunId>()),
        query("state", "Returns only runs in this state.", schemas.parameter::<State>()),
    ])
}

pub(super) fn describe(schemas: &mut Schemas) -> Described {
    let lines = format!("workflowId={RUN}\nstate=ended\n");
    Described::new(
        "Describe a run",
        "Returns the run's receipt: the secrets that it received, its dates, and its outcome. The user who launched the \
         run and the participants of its workspace can read it, with or without `workspaceId`.",
        schemas.answer_or_lines::<Receipt<'_>>("The receipt.", &receipt(), &lines),
    )
}

pub(super) fn cancel() -> Described {
    Described::new(
        "Cancel a run",
        "Ends the run and deletes its copies, as if the run had reported its end. The user who launched the run and the \
         roles owner, admin and maintain of its workspace can cancel it. Stops no job: on AWS Batch, terminate the head job \
         with `aws batch terminate-job`, which also ends the run; on other platforms, cancel the job of the scheduler. \
         While the recorded head job may run, and while the run is being launched, the request is refused with 409. A run \
         that has ended does not change.",
        no_content("The run has ended. Its copies are deleted within seconds."),
    )
    .parameters([query(
        "force",
        "Ends the run even if its recorded head job may run. Its later tasks cannot read the secrets and fail. A run that \
         is being launched is refused nevertheless.",
        json!({"type": "boolean", "default": false}),
    )])
    .errors(&[409])
}

pub(super) fn claim(schemas: &mut Schemas) -> Described {
    let store = json!([
        {"name": "NCBI_API_KEY", "value": "0f1e2d3c"},
        {"name": "PIPELINE_SECRETS_SALT", "value": "c6b0a2f5d8414f7f9e3fb2d1a7c05e94"},
    ]);
    let lines = format!("store={store}\nsecretData={{\"NCBI_API_KEY\":\"MGYxZTJkM2M=\"}}\n");
    let (status, mut answer) =
        schemas.answer_or_lines::<ClaimAnswer>("The secrets of the run.", &store, &lines);
    answer["content"]["text/plain"]["schema"]["description"] = CLAIM_LINES.into();
    Described::new(
        "Claim a run's secrets",
        "Returns the secrets of the run to the head job, once, with the versions that are current now. On HPC: Nextflow's \
         secrets store. On Kubernetes: the store for the head job, and the data of a Secret for tasks. Retry only if the response has `Retry-After`. After any other error, or if the response is lost, launch a new \
         run: the claim token may have been used. If the user who launched the run no \
         longer has permission to launch it, the claim is refused and the run ends. This is the only response that contains \
         secret values.",
        (status, answer),
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
        "For AWS Batch: from now on, only the final state of this job ends the run. The job must exist and must not have \
         finished. It must name this run: in the variable `PIPELINE_SECRETS_WORKFLOW_ID` of the container environment \
         with which it was submitted, or in its tag `pipeline-secrets:run`. A second head job for the same run is refused.",
        state(schemas, "The head job was recorded.", "pending"),
    )
    .body(schemas.body::<HeadJobReport>(&job))
    .errors(&[409, 410, 422])
}

pub(super) fn renew_lease(schemas: &mut Schemas) -> Described {
    Described::new(
        "Send a heartbeat",
        "Extends the run's lease. The service ends a run whose lease expires.",
        state(schemas, "The run's state.", "running"),
    )
    .never(&[400])
}

pub(super) fn end(schemas: &mut Schemas) -> Described {
    Described::new(
        "Report the end",
        format!("{END} A run that has ended does not change."),
        state(schemas, "The run's state.", "ending"),
    )
    .body(schemas.body::<EndReport>(&json!({"success": true, "exitStatus": 0})))
}

/// A body without required fields: the service reads a few fields if they are present.
fn message(example: &Value) -> Value {
    let schema = json!({
        "description": "A message in Nextflow's format. Of its content, only the outcome in the last message is stored; nothing \
            is logged. No message is refused because of its format.",
    });
    json!({"required": false, "content": {"application/json": {"schema": schema, "example": example}}})
}

fn watched(schemas: &mut Schemas) -> (u16, Value) {
    let example =
        json!({"workflowId": RUN, "watchUrl": format!("https://api.example.org/runs/{RUN}"), "status": "OK"});
    schemas.answer::<TraceAnswer<'_>>("The message was received.", &example)
}

pub(super) fn trace_create(schemas: &mut Schemas) -> Described {
    let fields = json!({"sessionId": "1ff65bc4-9402-47ce-a67c-8b5e70d01f85", "runName": "mad_curie", "workflowId": RUN});
    Described::new(
        "Announce the run (Nextflow)",
        "Extends the run's lease and returns the run of the token, whatever the body contains. A well-formed run token \
         always gets 200, because Nextflow aborts the pipeline when a report fails.",
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
        format!(
            "{description} A `workflowId` of `null` means the run of the token. A well-formed run token always gets 200, \
             because Nextflow aborts the pipeline when a report fails; a message for another run changes nothing."
        ),
        watched(schemas),
    )
    .body(message(&example(fields)))
    .never(TRACE_NEVER)
}

/// An error response would abort the pipeline.
const TRACE_NEVER: &[u16] = &[400, 404, 415];
