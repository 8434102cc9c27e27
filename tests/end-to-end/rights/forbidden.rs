//! What no role may do, tried under the role itself: every call here has to be refused by IAM, beside controls that have
//! to go through, so that a refusal is not for another reason.

mod copies;
mod keys;
mod other_services;
mod rows;

use end_to_end::rights::harness::{Harness, World};
use end_to_end::rights::sealed::CallResult;
use end_to_end::rights::{Outcome, ensure, functions};
use serde_json::Value;

/// What was tried, and what came of it.
#[derive(Default)]
pub(crate) struct Trial {
    wrong: Vec<String>,
    refused: usize,
}

impl Trial {
    /// IAM has to refuse it.
    pub(crate) fn refuse(&mut self, what: impl Into<String>, outcome: &CallResult) {
        match outcome {
            Err(code) if code.contains("AccessDenied") => self.refused += 1,
            Ok(()) => self.wrong.push(format!("allowed: {}", what.into())),
            Err(code) => self.wrong.push(format!("not refused by IAM but {code}: {}", what.into())),
        }
    }

    /// IAM must not be what refuses it.
    pub(crate) fn permit(&mut self, what: impl Into<String>, outcome: &CallResult) {
        if let Err(code) = outcome {
            self.wrong.push(format!("{code}: {}", what.into()));
        }
    }
}

/// What there is to try the roles on.
pub(crate) struct Targets {
    /// The stack.
    pub(crate) harness: Harness,
    /// The workspace whose secret is stored.
    pub(crate) world: World,
    /// The secret.
    pub(crate) secret: i64,
    /// A live run of the workspace: the answer of its launch.
    pub(crate) run: Value,
}

const NAME: &str = "NCBI_API_KEY";

#[tokio::test]
async fn iam_refuses_every_function_what_is_not_its_own() -> Outcome {
    let harness = Harness::start(&[("SweepSchedule", "rate(7 days)")]).await?;
    let world = World::make(&harness, "forbidden").await?;
    let secret = world.store(&harness, NAME).await?;
    let run = world.launch(&harness, "aws-batch").await?;
    let targets = Targets { harness, world, secret, run };
    let mut trial = Trial::default();
    keys::try_all(&targets, &mut trial).await?;
    copies::try_all(&targets, &mut trial).await?;
    rows::try_all(&targets, &mut trial).await?;
    other_services::try_all(&targets, &mut trial).await?;
    targets.harness.stop().await?;
    ensure(trial.wrong.is_empty(), || trial.wrong.join("\n"))?;
    println!("{} calls refused by IAM", trial.refused);
    ensure(trial.refused > 300, || format!("only {} calls were tried", trial.refused))
}
