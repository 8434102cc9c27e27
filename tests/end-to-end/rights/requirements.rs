//! What AWS asks for and no emulator shows, in one table: each demand with the page that makes it, asserted on the template
//! as CloudFormation expands it.

mod functions;
mod keys;
mod operations;

use end_to_end::rights::template::Template;
use end_to_end::rights::{Outcome, ensure, functions};
use local::{Progress, Tools};

/// One demand.
pub(crate) struct Demand {
    /// What is demanded.
    pub(crate) what: &'static str,
    /// The page that asks for it.
    pub(crate) page: &'static str,
    /// What of the template breaks it: names, none where it holds.
    pub(crate) broken: fn(&Template) -> Vec<String>,
}

#[tokio::test]
async fn the_template_meets_every_demand_of_aws() -> Outcome {
    let tools = Tools::ready(Progress::Quiet).await?;
    let template = Template::expanded(&tools).await?;
    let demands = keys::DEMANDS.iter().chain(operations::DEMANDS).chain(functions::DEMANDS);
    let mut broken = Vec::new();
    for demand in demands {
        println!("{} <{}>", demand.what, demand.page);
        for name in (demand.broken)(&template) {
            broken.push(format!("{name}: {} <{}>", demand.what, demand.page));
        }
    }
    ensure(broken.is_empty(), || broken.join("\n"))
}

/// Rights that no exercise on the emulator misses: it does the deed itself, or does not ask; each is a demand above. Or the
/// right is for a restored table alone, which a test of its own reconciles.
pub(crate) struct Unseen {
    /// Whose; every function's where none is named.
    pub(crate) functions: &'static [&'static str],
    /// The statement.
    pub(crate) sid: &'static str,
    /// The actions.
    pub(crate) actions: &'static [&'static str],
}

/// All of them.
pub(crate) const UNSEEN: &[Unseen] = &[
    Unseen { functions: &[], sid: "Logs", actions: &["logs:CreateLogStream", "logs:PutLogEvents"] },
    Unseen { functions: &["launch-run"], sid: "Copies", actions: &["secretsmanager:TagResource"] },
    Unseen { functions: &["cleanup-run"], sid: "FailedCleanups", actions: &["sqs:SendMessage"] },
    Unseen { functions: &["identity"], sid: "Read", actions: &["SECRETS#*", "TOKEN#*"] },
    Unseen { functions: &["identity"], sid: "Change", actions: &["SECRETS#*"] },
    Unseen { functions: &["identity"], sid: "Delete", actions: &["SECRETS#*"] },
];

/// Every function's name in the template.
pub(crate) fn logical_names() -> impl Iterator<Item = String> {
    functions().map(end_to_end::rights::logical)
}

/// The names for which it does not hold.
pub(crate) fn unless(names: impl IntoIterator<Item = String>, holds: impl Fn(&str) -> bool) -> Vec<String> {
    names.into_iter().filter(|name| !holds(name)).collect()
}
