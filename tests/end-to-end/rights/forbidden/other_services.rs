//! Other services that a function's credentials could reach: events, jobs, other functions, IAM
//! itself.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use end_to_end::rights::aws::RawClient;
use end_to_end::rights::sealed::{CallResult, call_result};
use serde_json::json;

use super::{Attempts, Outcome, Targets, functions};

pub(super) async fn try_all(targets: &Targets, attempts: &mut Attempts) -> Outcome {
    let harness = &targets.harness;
    let bus = harness.stack.output("EventBusName")?;
    for function in functions() {
        let role = harness.role(function).await?;
        let mut expect_denied =
            |what: &str, outcome: CallResult| attempts.expect_denied(format!("{function} {what}"), &outcome);
        let announces = ["launch-run", "claim-run", "report-run"].contains(&function);
        let events = aws_sdk_eventbridge::Client::new(&role);
        for (bus, source) in [
            ("default", "pipeline-secrets"),
            ("default", "aws.batch"),
            (bus, "another-source"),
            (bus, "pipeline-secrets"),
            ("default", "pipeline-secrets.expiry"),
            (bus, "pipeline-secrets.expiry"),
        ] {
            let own = match function {
                "identity" => Some("pipeline-secrets.expiry"),
                _ => announces.then_some("pipeline-secrets"),
            };
            if bus != "default" && own == Some(source) {
                continue;
            }
            let entry = PutEventsRequestEntry::builder()
                .event_bus_name(bus)
                .source(source)
                .detail_type("x")
                .detail("{}");
            expect_denied(
                &format!("PutEvents of {source} to {bus}"),
                call_result(events.put_events().entries(entry.build()).send().await),
            );
        }
        let batch = aws_sdk_batch::Client::new(&role);
        let submitted = batch.submit_job().job_name("x").job_queue("heads").job_definition("head");
        expect_denied("SubmitJob", call_result(submitted.send().await));
        expect_denied(
            "TerminateJob",
            call_result(batch.terminate_job().job_id("x").reason("x").send().await),
        );
        if !["report-run", "cleanup-run"].contains(&function) {
            expect_denied("DescribeJobs", call_result(batch.describe_jobs().jobs("x").send().await));
        }
        let raw = RawClient::new(&harness.stack.aws_endpoint, harness.stack.credentials(function).await?);
        let invoked = raw.invoke(harness.stack.function("identity")?, &json!({"apply": {}})).await?;
        expect_denied("InvokeFunction of identity", result_of(invoked.status, &invoked.answer.to_string()));
        let own = harness.resource(&format!("{}Role", end_to_end::rights::logical(function)))?;
        for action in ["GetRole", "DeleteRolePolicy", "PutRolePolicy"] {
            let document = json!({"Version": "2012-10-17", "Statement": []}).to_string();
            let request = [
                ("Action", action),
                ("RoleName", own),
                ("PolicyName", "rights"),
                ("PolicyDocument", &document),
            ];
            let (status, text) = raw.iam(&request).await?;
            expect_denied(action, result_of(status, &text));
        }
        let group = harness.stack.output("ReadSecretsLogGroup")?;
        let input = json!({"logGroupName": group});
        for action in ["FilterLogEvents", "DeleteLogGroup"] {
            let (status, text) = raw.json("logs", &format!("Logs_20140328.{action}"), &input).await?;
            expect_denied(action, result_of(status, &text));
        }
    }
    Ok(())
}

fn result_of(status: reqwest::StatusCode, text: &str) -> CallResult {
    match (status.is_success(), text.contains("AccessDenied")) {
        (true, _) => Ok(()),
        (false, true) => Err("AccessDenied".to_owned()),
        (false, false) => Err(format!("{status} {text}")),
    }
}
