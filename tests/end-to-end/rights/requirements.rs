//! AWS requirements that an emulator does not enforce, each with its documentation page, asserted
//! on the template as CloudFormation expands it.

mod functions;
mod keys;
mod operations;

use end_to_end::rights::template::Template;
use end_to_end::rights::{Outcome, ensure, functions};
use local::{Progress, Tools};

/// A requirement on the template.
pub(crate) struct Requirement {
    pub(crate) what: &'static str,
    /// The documentation page.
    pub(crate) page: &'static str,
    /// Returns the names of the resources that violate it.
    pub(crate) violations: fn(&Template) -> Vec<String>,
}

#[tokio::test]
async fn the_template_meets_every_requirement_of_aws() -> Outcome {
    let tools = Tools::ready(Progress::Quiet).await?;
    let template = Template::expanded(&tools).await?;
    let requirements =
        keys::REQUIREMENTS.iter().chain(operations::REQUIREMENTS).chain(functions::REQUIREMENTS);
    let mut violations = Vec::new();
    for requirement in requirements {
        println!("{} <{}>", requirement.what, requirement.page);
        for name in (requirement.violations)(&template) {
            violations.push(format!("{name}: {} <{}>", requirement.what, requirement.page));
        }
    }
    ensure(violations.is_empty(), || violations.join("\n"))
}

/// Rights without which every exercise on the emulator still succeeds. The emulator acts itself or
/// does not check the right, and a requirement above asserts it; or the right is only for a
/// restored table, which `restored` tests.
pub(crate) struct Untested {
    /// The functions with the right; every function if empty.
    pub(crate) functions: &'static [&'static str],
    pub(crate) sid: &'static str,
    pub(crate) actions: &'static [&'static str],
}

pub(crate) const UNTESTED: &[Untested] = &[
    Untested { functions: &[], sid: "Logs", actions: &["logs:CreateLogStream", "logs:PutLogEvents"] },
    Untested { functions: &["launch-run"], sid: "Copies", actions: &["secretsmanager:TagResource"] },
    Untested { functions: &["cleanup-run"], sid: "FailedCleanups", actions: &["sqs:SendMessage"] },
    Untested { functions: &["identity"], sid: "Read", actions: &["TOKEN#*"] },
];

/// Returns every function's name in the template.
pub(crate) fn logical_names() -> impl Iterator<Item = String> {
    functions().map(end_to_end::rights::logical)
}

/// Returns the names for which `holds` is false.
pub(crate) fn unless(names: impl IntoIterator<Item = String>, holds: impl Fn(&str) -> bool) -> Vec<String> {
    names.into_iter().filter(|name| !holds(name)).collect()
}
