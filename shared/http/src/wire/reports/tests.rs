use super::*;
use crate::operation::Operation;
use crate::testing::event::read_body;
use crate::testing::form::{self, Presence, Type};
use crate::testing::sample::RUN;
use serde_json::json;

fn read_head_job(body: &[u8]) -> Result<HeadJob, Problem> {
    read_body(Operation::RecordHeadJob, body, head_job)
}

fn read_end(body: &[u8]) -> Result<Outcome, Problem> {
    read_body(Operation::EndRun, body, |body| Ok(ended(&body)))
}

const JOB: [(&str, &str); 3] =
    [("jobId", "\"876da822-4198\""), ("jobQueue", "\"heads\""), ("region", "\"us-east-1\"")];

#[test]
fn a_malformed_head_job_is_refused_by_the_field() {
    let fields = JOB.map(|(name, _)| (name, Type::Text, Presence::Required));
    form::check(&JOB, &fields, |body| read_head_job(body).map(drop));
}

#[test]
fn a_head_job_needs_valid_aws_batch_identifiers() {
    let job = |field: &str, value: &str| {
        let mut body = json!({ "jobId": "876da822-4198", "jobQueue": "heads", "region": "us-east-1" });
        body[field] = value.into();
        body.to_string()
    };
    for (field, value) in [
        ("jobId", "876da822-4198-45f2-a252-6cea32512ea8:12"),
        ("jobId", "876da822-4198-45f2-a252-6cea32512ea8#0"),
        ("jobId", &"x".repeat(128)),
        ("jobQueue", "arn:aws:batch:us-east-1:123456789012:job-queue/heads_1"),
        ("jobQueue", &"x".repeat(512)),
        ("region", &"x".repeat(32)),
    ] {
        let job = read_head_job(job(field, value).as_bytes()).unwrap();
        let found = match field {
            "jobId" => job.job_id,
            "jobQueue" => job.queue,
            _ => job.region,
        };
        assert_eq!(found, value, "{field}");
    }
    for (field, value) in [
        ("jobId", ""),
        ("jobId", "hidden/1"),
        ("jobId", &"x".repeat(129)),
        ("jobQueue", ""),
        ("jobQueue", "hidden queue"),
        ("jobQueue", "hidden#1"),
        ("jobQueue", &"x".repeat(513)),
        ("region", ""),
        ("region", "us_east_1"),
        ("region", &"x".repeat(33)),
    ] {
        let problem = read_head_job(job(field, value).as_bytes()).unwrap_err();
        let message = problem.message();
        assert_eq!(problem.status(), 400, "{field} {value:?}: {message}");
        assert!(message.contains(field) && !message.contains("hidden"), "{field} {value:?}: {message}");
    }
}

#[test]
fn a_malformed_end_is_refused_by_the_field() {
    for (example, field) in [
        ([("success", "true"), ("exitStatus", "0")], ("exitStatus", Type::Number, Presence::Optional)),
        ([("success", "false"), ("exitStatus", "-1")], ("exitStatus", Type::Number, Presence::Optional)),
    ] {
        form::check(&example, &[field], |body| read_end(body).map(drop));
    }
    for body in [
        "{}",
        r#"{"success": null}"#,
        r#"{"success": "true"}"#,
        r#"{"success": 1}"#,
        r#"{"success": true, "success": true}"#,
        r#"{"exitStatus": 0}"#,
    ] {
        let problem = read_end(body.as_bytes()).unwrap_err();
        assert_eq!(problem.status(), 400, "{body}");
        assert!(problem.message().contains("success"), "{body}: {}", problem.message());
    }
}

#[test]
fn an_end_is_reported_with_its_exit_status() {
    for (body, result, exit_status) in [
        (r#"{"success": true}"#, RunResult::Succeeded, None),
        (r#"{"success": true, "exitStatus": 0}"#, RunResult::Succeeded, Some(0)),
        (r#"{"success": false, "exitStatus": -1}"#, RunResult::Failed, Some(-1)),
        (r#"{"success": false, "exitStatus": null}"#, RunResult::Failed, None),
    ] {
        let expected = Outcome { result, exit_status, reported_by: ReportedBy::Report, cancelled_by: None };
        assert_eq!(read_end(body.as_bytes()).unwrap(), expected, "{body}");
    }
}

#[test]
fn nextflows_last_message_ends_the_run_and_a_corrupt_one_ends_it_as_failed() {
    let deep = format!(r#"{{"a": {}1{}, "success": true}}"#, "[".repeat(10_000), "]".repeat(10_000));
    for (message, result, exit_status) in [
        (r#"{"workflow": {"success": true, "exitStatus": 0}}"#, RunResult::Succeeded, Some(0)),
        (r#"{"workflow": {"success": false, "exitStatus": 1}}"#, RunResult::Failed, Some(1)),
        (r#"{"workflow": {"exitStatus": 0}}"#, RunResult::Failed, Some(0)),
        (r#"{"workflow": {"success": true, "exitStatus": null}}"#, RunResult::Succeeded, None),
        (r#"{"workflow": {}, "success": true}"#, RunResult::Failed, None),
        (r#"{"success": true, "exitStatus": 0}"#, RunResult::Succeeded, Some(0)),
        (r#"{"workflow": null, "success": true}"#, RunResult::Succeeded, None),
        (
            r#"{"workflow": {"success": true, "commandLine": "\ud800", "params": [{}]}}"#,
            RunResult::Succeeded,
            None,
        ),
        (r#"{"workflow": {"success": true}, "success": "yes"}"#, RunResult::Succeeded, None),
        (&deep, RunResult::Succeeded, None),
        (r#"{"workflow": [true, 0], "success": true}"#, RunResult::Failed, None),
        (r#"{"workflow": {"success": "true", "exitStatus": 0}}"#, RunResult::Failed, None),
        (r#"{"workflow": {"success": true, "exitStatus": "0"}}"#, RunResult::Failed, None),
        (r#"{"workflow": {"success": true, "success": true}}"#, RunResult::Failed, None),
        (r#"{"workflow": {"success": true}"#, RunResult::Failed, None),
        ("[true, 0]", RunResult::Failed, None),
        ("{}", RunResult::Failed, None),
        ("", RunResult::Failed, None),
        ("corrupt", RunResult::Failed, None),
    ] {
        let expected = Outcome { result, exit_status, reported_by: ReportedBy::Report, cancelled_by: None };
        assert_eq!(completed(message), expected, "{}", &message[..message.len().min(80)]);
    }
}

#[test]
fn a_message_is_answered_with_the_address_of_the_receipt() {
    let run = RunId::new(RUN).unwrap();
    let answer = TraceAnswer::new(&run, "https://api.example.org/runs/x".to_owned());
    let expected = json!({ "workflowId": RUN, "watchUrl": "https://api.example.org/runs/x", "status": "OK" });
    assert_eq!(serde_json::to_value(answer).unwrap(), expected);
}
