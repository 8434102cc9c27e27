//! Sessions in other accounts: each function can ask for its own duty only, of a role with the name
//! of an environment's, in an account that the operators allow. The roles here trust every role of
//! the service's account, so that only the policies of the functions can deny.

use aws_config::SdkConfig;
use aws_sdk_sts::types::Tag;
use end_to_end::rights::logical;
use end_to_end::rights::sealed::{CallResult, call_result};
use local::platform::Platform;
use serde_json::json;

use super::{Attempts, Outcome, Targets, functions};

/// The account that the stack's parameter `ComputeAccounts` names.
pub(super) const ALLOWED: &str = "210987654321";
const FORBIDDEN: &str = "333333333333";
const ROLE: &str = "pipeline-secrets-open";
const OTHER_NAME: &str = "open";
const NAMING: &str = "pipeline-secrets-naming";
const DUTIES: [&str; 4] = ["check", "deliver", "observe", "remove"];

/// The duty of each function that has one.
fn duty_of(function: &str) -> Option<&'static str> {
    match function {
        "identity" => Some("check"),
        "launch-run" => Some("deliver"),
        "report-run" => Some("observe"),
        "cleanup-run" => Some("remove"),
        _ => None,
    }
}

pub(super) async fn try_all(targets: &Targets, attempts: &mut Attempts) -> Outcome {
    let harness = &targets.harness;
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"AWS": local::ACCOUNT}, "Action": ["sts:AssumeRole", "sts:TagSession"]}]});
    for (account, name) in [(ALLOWED, ROLE), (ALLOWED, OTHER_NAME), (FORBIDDEN, ROLE), (local::ACCOUNT, ROLE)]
    {
        let platform = Platform::elsewhere(&harness.stack, account, "eu-west-1").await;
        platform.create_role(name, &trust.to_string(), &json!([])).await?;
    }
    // In its own account, a trust policy that names a function needs no permission of the function.
    let with_duties = || functions().filter(|function| duty_of(function).is_some());
    let named: Outcome<Vec<_>> = with_duties()
        .map(|function| {
            let role = harness.resource(&format!("{}Role", logical(function)))?;
            Ok(format!("arn:aws:iam::{}:role/{role}", local::ACCOUNT))
        })
        .collect();
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"AWS": named?}, "Action": ["sts:AssumeRole", "sts:TagSession"]}]});
    let home = Platform::elsewhere(&harness.stack, local::ACCOUNT, "eu-west-1").await;
    home.create_role(NAMING, &trust.to_string(), &json!([])).await?;
    for function in with_duties() {
        let role = harness.role(function).await?;
        let outcome = assume(&role, (local::ACCOUNT, NAMING), &[("duty", "check")]).await;
        attempts.expect_denied(format!("{function} with a role in its own account that names it"), &outcome);
    }
    for function in functions() {
        let role = harness.role(function).await?;
        for duty in DUTIES {
            let outcome = assume(&role, (ALLOWED, ROLE), &[("duty", duty)]).await;
            let what = format!("{function} with the duty {duty}");
            match duty_of(function) == Some(duty) {
                true => attempts.expect_allowed(what, &outcome),
                false => attempts.expect_denied(what, &outcome),
            }
        }
        let duty = ("duty", duty_of(function).unwrap_or("check"));
        for (what, arn, tags) in [
            ("a role of another name", (ALLOWED, OTHER_NAME), &[duty][..]),
            ("a role in an account that is not allowed", (FORBIDDEN, ROLE), &[duty]),
            ("a role in its own account", (local::ACCOUNT, ROLE), &[duty]),
            ("no duty", (ALLOWED, ROLE), &[]),
            ("a second tag", (ALLOWED, ROLE), &[duty, ("scope", "workspace/42")]),
        ] {
            attempts.expect_denied(format!("{function} with {what}"), &assume(&role, arn, tags).await);
        }
    }
    Ok(())
}

async fn assume(function: &SdkConfig, (account, name): (&str, &str), tags: &[(&str, &str)]) -> CallResult {
    let request = aws_sdk_sts::Client::new(function).assume_role().role_session_name("rights");
    let mut request = request.role_arn(format!("arn:aws:iam::{account}:role/{name}"));
    for (key, value) in tags {
        let tag = Tag::builder().key(*key).value(*value).build();
        request = request.tags(tag.map_err(|_| "not a tag")?);
    }
    call_result(request.send().await)
}
