//! Calls that a function's role must not allow, made with the role itself. IAM must deny each of
//! them. Control calls must succeed, so that a denial has no other cause.

mod copies;
mod environments;
mod keys;
mod other_services;
mod rows;

use end_to_end::rights::harness::{Harness, World};
use end_to_end::rights::sealed::CallResult;
use end_to_end::rights::{Outcome, ensure, functions};
use serde_json::Value;

/// The calls and their results.
#[derive(Default)]
pub(crate) struct Attempts {
    wrong: Vec<String>,
    denied: usize,
}

impl Attempts {
    /// Records a call that IAM must deny.
    pub(crate) fn expect_denied(&mut self, what: impl Into<String>, outcome: &CallResult) {
        match outcome {
            Err(code) if code.contains("AccessDenied") => self.denied += 1,
            Ok(()) => self.wrong.push(format!("allowed: {}", what.into())),
            Err(code) => self.wrong.push(format!("not denied by IAM, but {code}: {}", what.into())),
        }
    }

    /// Records a call that must succeed.
    pub(crate) fn expect_allowed(&mut self, what: impl Into<String>, outcome: &CallResult) {
        if let Err(code) = outcome {
            self.wrong.push(format!("{code}: {}", what.into()));
        }
    }
}

/// The resources that the calls target.
pub(crate) struct Targets {
    pub(crate) harness: Harness,
    pub(crate) world: World,
    /// The id of a workspace secret.
    pub(crate) secret: i64,
    /// The launch answer of a live run of the workspace.
    pub(crate) run: Value,
}

const NAME: &str = "NCBI_API_KEY";

#[tokio::test]
async fn iam_denies_every_call_outside_a_functions_rights() -> Outcome {
    let parameters = [("SweepSchedule", "rate(7 days)"), ("ComputeAccounts", environments::ALLOWED)];
    let harness = Harness::start(&parameters).await?;
    let world = World::make(&harness, "forbidden").await?;
    let secret = world.store(&harness, NAME).await?;
    let run = world.launch(&harness, "aws-batch").await?;
    let targets = Targets { harness, world, secret, run };
    let mut attempts = Attempts::default();
    keys::try_all(&targets, &mut attempts).await?;
    copies::try_all(&targets, &mut attempts).await?;
    rows::try_all(&targets, &mut attempts).await?;
    other_services::try_all(&targets, &mut attempts).await?;
    environments::try_all(&targets, &mut attempts).await?;
    targets.harness.stop().await?;
    ensure(attempts.wrong.is_empty(), || attempts.wrong.join("\n"))?;
    println!("{} calls denied by IAM", attempts.denied);
    ensure(attempts.denied > 300, || format!("only {} calls were denied", attempts.denied))
}
