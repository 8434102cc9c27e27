//! `cargo local demo`: runs the service end to end on a temporary stack, prints each step as a
//! story and checks it.

mod denied;
mod elsewhere;
mod head;
mod hpc;
mod story;

use std::collections::BTreeMap;
use std::io::Write;

use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use serde::Serialize;

use crate::emulator::{EmulatorOptions, Lifetime};
use crate::{Error, Progress, Result, Stack, Tools};

/// The findings of the demo. With `--json`, they are printed as one JSON object on one line.
#[derive(Serialize, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate finding")]
pub struct Findings {
    /// The number of secrets stored.
    pub stored: usize,
    /// Whether no read returned a value to any caller.
    pub read_back_refused: bool,
    /// Whether a participant with the view role was refused a write.
    pub viewer_write_refused: bool,
    /// The owner of the `NCBI_API_KEY` that the launch resolves: `user` or `workspace`.
    pub override_winner: String,
    /// The number of copies in Secrets Manager during the first run.
    pub copies_during_run: usize,
    /// Whether each `valueFrom`, resolved as the ECS agent does, returned the stored bytes.
    pub values_match: bool,
    /// Whether a job that AWS Batch executed found the stored bytes in its environment.
    pub job_values_match: bool,
    /// The number of copies left after the first run succeeded.
    pub copies_after_success: usize,
    /// The number of copies left after the second run failed.
    pub copies_after_failure: usize,
    /// The number of copies left after the lease of the third run expired.
    pub copies_after_lost_event: usize,
    /// Whether another workspace's role was denied the first run's copies.
    pub other_workspace_refused: bool,
    /// Whether an HPC head job received exactly the expected values.
    pub hpc_values_match: bool,
    /// The number of secrets stores left on disk after the head job ended.
    pub hpc_store_left: usize,
    /// Whether the second use of a claim token was refused.
    pub second_claim_refused: bool,
    /// The number of copies of a run in its compute environment, in another account and region.
    pub copies_elsewhere: usize,
    /// The number of its copies in the account of the deployment.
    pub copies_at_home_of_run_elsewhere: usize,
    /// The number of its copies left after its end.
    pub copies_after_run_elsewhere: usize,
    /// Whether another workspace was refused the role of the environment.
    pub foreign_role_refused: bool,
    /// Whether a role was refused that can be assumed without its external ID.
    pub loose_role_refused: bool,
    /// Whether an event that the other account forged was refused.
    pub forged_event_refused: bool,
    /// Whether a run whose environment withdrew its role kept its copies until the role was back.
    pub withdrawn_role_kept_the_run: bool,
    /// The calls that IAM denied because they exceed the permissions of a function's role.
    pub denied_calls: Vec<String>,
    /// The number of records in the workspace's audit trail.
    pub audit_rows: usize,
}

impl Findings {
    /// Describes each finding that differs from the expected one.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        let checks = [
            (self.stored == 3, "not all secrets were stored"),
            (self.read_back_refused, "a read returned a value"),
            (self.viewer_write_refused, "a participant with the view role could write"),
            (self.override_winner == "user", "the user secret did not override the workspace secret"),
            (self.copies_during_run == 1, "the run did not have exactly one copy"),
            (self.values_match, "a delivered value differed from the stored one"),
            (self.job_values_match, "a value in the environment of a job differed from the stored one"),
            (self.copies_after_success == 0, "copies were left after a successful run"),
            (self.copies_after_failure == 0, "copies were left after a failed run"),
            (self.copies_after_lost_event == 0, "copies were left after a lease expired"),
            (self.other_workspace_refused, "another workspace's role could read the copies"),
            (self.hpc_values_match, "a value in Nextflow's secrets store differed from the stored one"),
            (self.hpc_store_left == 0, "a secrets store was left on disk"),
            (self.second_claim_refused, "a claim token worked twice"),
            (self.copies_elsewhere == 1, "the run in the environment did not have exactly one copy there"),
            (self.copies_at_home_of_run_elsewhere == 0, "a run in an environment had a copy at home"),
            (self.copies_after_run_elsewhere == 0, "copies were left in an environment"),
            (self.foreign_role_refused, "another workspace could register the role of an environment"),
            (self.loose_role_refused, "a role that anyone can assume could be registered"),
            (self.forged_event_refused, "a forged event was accepted"),
            (self.withdrawn_role_kept_the_run, "a run whose role was withdrawn was ended without it"),
            (self.denied_calls.len() == denied::EXPECTED, "IAM allowed a call that it must deny"),
            (self.audit_rows > 0, "the audit trail is empty"),
        ];
        checks.iter().filter(|(passed, _)| !passed).map(|(_, difference)| (*difference).to_owned()).collect()
    }
}

/// Prints the story, or nothing if only the findings are wanted.
pub(crate) struct Reporter<'a, W> {
    out: &'a mut W,
    silent: bool,
}

impl<W: Write> Reporter<'_, W> {
    fn line(&mut self, text: &str) -> Result<()> {
        if self.silent {
            return Ok(());
        }
        writeln!(self.out, "{text}").map_err(Error::file("standard output"))
    }

    fn chapter(&mut self, title: &str) -> Result<()> {
        self.line(&format!("\n{title}"))
    }

    fn step(&mut self, text: &str) -> Result<()> {
        self.line(&format!("  {text}"))
    }

    fn table(&mut self, head: &[&str], rows: &[Vec<String>]) -> Result<()> {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN).set_header(head.to_vec());
        table.add_rows(rows.to_vec());
        for line in table.to_string().lines() {
            self.step(line)?;
        }
        Ok(())
    }
}

fn yes(passed: bool) -> &'static str {
    if passed { "yes" } else { "NO" }
}

/// Runs the demo on a temporary stack, which is removed afterwards.
pub async fn demo(json: bool, out: &mut impl Write) -> Result<()> {
    let progress = if json { Progress::Quiet } else { Progress::Shown };
    let tools = Tools::ready(progress).await?;
    let folder = tools.checkout.local_folder()?.join(format!("demo-{}", std::process::id()));
    let options = EmulatorOptions {
        folder: folder.clone(),
        deployment: "pipeline-secrets-demo".to_owned(),
        aws_port: 0,
        api_port: 0,
        lifetime: Lifetime::Passing,
    };
    progress.step("Deploying infra/template.yaml to a temporary local stack …");
    // A lease of seconds instead of half an hour, and the sweep as often as EventBridge allows, to
    // avoid long waits.
    let parameters = BTreeMap::from(
        [
            ("LeaseSeconds", "20"),
            ("SweepSchedule", "rate(1 minute)"),
            ("DeletionProtection", "false"),
            ("ComputeAccounts", elsewhere::OTHER_ACCOUNT),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let story = async {
        let stack = Stack::start(&tools, &options, &parameters).await?;
        let mut reporter = Reporter { out, silent: json };
        let findings = Box::pin(story::run(&tools, &stack, &folder, &mut reporter)).await;
        stack.stop().await?;
        findings
    };
    let outcome = Box::pin(story).await;
    let removed = std::fs::remove_dir_all(&folder);
    let findings = outcome?;
    if folder.exists() {
        removed.map_err(Error::file(&folder))?;
    }
    let differences = findings.differences();
    let summary = match json {
        true => serde_json::to_string(&findings).map_err(|error| Error::State(error.to_string()))?,
        false if differences.is_empty() => "\nAll checks passed.".to_owned(),
        false => String::new(),
    };
    writeln!(out, "{summary}").map_err(Error::file("standard output"))?;
    match differences.is_empty() {
        true => Ok(()),
        false => Err(Error::State(format!("the demo failed: {}", differences.join("; ")))),
    }
}
