//! Everything else that a function's credentials might be tried on: events, jobs, other functions, IAM itself.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use end_to_end::rights::aws::Raw;
use end_to_end::rights::sealed::{CallResult, tried};
use serde_json::json;

use super::{Outcome, Targets, Trial, functions};

pub(super) async fn try_all(targets: &Targets, trial: &mut Trial) -> Outcome {
    let harness = &targets.harness;
    let bus = harness.stack.output("EventBusName")?;
    for function in functions() {
        let role = harness.role(function).await?;
        let mut refuse =
            |what: &str, outcome: CallResult| trial.refuse(format!("{function} {what}"), &outcome);
        let announces = ["launch-run", "claim-run", "report-run"].contains(&function);
        let events = aws_sdk_eventbridge::Client::new(&role);
        for (bus, source) in [
            ("default", "pipeline-secrets"),
            ("default", "aws.batch"),
            (bus, "somebody-else"),
            (bus, "pipeline-secrets"),
        ] {
            if announces && bus != "default" && source == "pipeline-secrets" {
                continue;
            }
            let entry = PutEventsRequestEntry::builder()
                .event_bus_name(bus)
                .source(source)
                .detail_type("x")
                .detail("{}");
            refuse(
                &format!("PutEvents of {source} to {bus}"),
                tried(events.put_events().entries(entry.build()).send().await),
            );
        }
        let batch = aws_sdk_batch::Client::new(&role);
        let submitted = batch.submit_job().job_name("x").job_queue("heads").job_definition("head");
        refuse("SubmitJob", tried(submitted.send().await));
        refuse("TerminateJob", tried(batch.terminate_job().job_id("x").reason("x").send().await));
        if !["report-run", "cleanup-run"].contains(&function) {
            refuse("DescribeJobs", tried(batch.describe_jobs().jobs("x").send().await));
        }
        let raw = Raw::new(&harness.stack.aws_endpoint, harness.stack.credentials(function).await?);
        let invoked = raw.invoke(harness.stack.function("identity")?, &json!({"apply": {}})).await?;
        refuse("InvokeFunction of identity", answered(invoked.status, &invoked.answer.to_string()));
        let own = harness.resource(&format!("{}Role", end_to_end::rights::logical(function)))?;
        for action in ["GetRole", "DeleteRolePolicy", "PutRolePolicy"] {
            let document = json!({"Version": "2012-10-17", "Statement": []}).to_string();
            let asked = [
                ("Action", action),
                ("RoleName", own),
                ("PolicyName", "rights"),
                ("PolicyDocument", &document),
            ];
            let (status, text) = raw.iam(&asked).await?;
            refuse(action, answered(status, &text));
        }
        let group = harness.stack.output("ReadSecretsLogGroup")?;
        let order = json!({"logGroupName": group});
        for action in ["FilterLogEvents", "DeleteLogGroup"] {
            let (status, text) = raw.json("logs", &format!("Logs_20140328.{action}"), &order).await?;
            refuse(action, answered(status, &text));
        }
    }
    Ok(())
}

fn answered(status: reqwest::StatusCode, text: &str) -> CallResult {
    match (status.is_success(), text.contains("AccessDenied")) {
        (true, _) => Ok(()),
        (false, true) => Err("AccessDenied".to_owned()),
        (false, false) => Err(format!("{status} {text}")),
    }
}
