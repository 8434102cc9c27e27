//! `cargo local demo`: the main job from end to end on a fresh stack of its own, told as a story and checked at each step.

mod denied;
mod hpc;
mod story;

use std::collections::BTreeMap;
use std::io::Write;

use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use serde::Serialize;

use crate::emulator::{EmulatorOptions, Lifetime};
use crate::{Error, Progress, Result, Stack, Tools};

/// What the demo found. Printed as one JSON object on one line with `--json`.
#[derive(Serialize, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a finding of its own")]
pub struct Findings {
    /// Secrets that were stored.
    pub stored: usize,
    /// Whether no answer of any read held a value, for any caller.
    pub read_back_refused: bool,
    /// Whether the member with the view role was refused a write.
    pub viewer_write_refused: bool,
    /// Whose `NCBI_API_KEY` the launch takes: `user` or `workspace`.
    pub override_winner: String,
    /// Copies in Secrets Manager while the first run lasted.
    pub copies_during_run: usize,
    /// Whether each `valueFrom`, resolved as the ECS agent does, gave the stored bytes.
    pub values_match: bool,
    /// Copies left after the first run succeeded.
    pub copies_after_success: usize,
    /// Copies left after the second run failed.
    pub copies_after_failure: usize,
    /// Copies left after the third run was never heard of again.
    pub copies_after_lost_event: usize,
    /// Whether another workspace's role was refused the first run's copies.
    pub other_workspace_refused: bool,
    /// Whether an HPC head job got its Nextflow store exactly.
    pub hpc_values_match: bool,
    /// Stores left on disk after the head job ended.
    pub hpc_store_left: usize,
    /// Whether a claim token was refused the second time.
    pub second_claim_refused: bool,
    /// What IAM refused when each function's role was tried beyond its rights.
    pub denied_calls: Vec<String>,
    /// Rows of the workspace's audit trail.
    pub audit_rows: usize,
}

impl Findings {
    /// What differs from what must be, in words.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        let checks = [
            (self.stored == 3, "not every secret was stored"),
            (self.read_back_refused, "a value could be read back"),
            (self.viewer_write_refused, "a viewer could write"),
            (self.override_winner == "user", "the user's own secret did not win"),
            (self.copies_during_run == 1, "the run did not have exactly one copy"),
            (self.values_match, "a value differed at the target"),
            (self.copies_after_success == 0, "copies were left after success"),
            (self.copies_after_failure == 0, "copies were left after failure"),
            (self.copies_after_lost_event == 0, "copies were left after a lost event"),
            (self.other_workspace_refused, "another workspace's role could read the copies"),
            (self.hpc_values_match, "a value differed in Nextflow's store"),
            (self.hpc_store_left == 0, "a store was left"),
            (self.second_claim_refused, "a claim token worked twice"),
            (self.denied_calls.len() == denied::EXPECTED, "IAM allowed a call that it must refuse"),
            (self.audit_rows > 0, "the audit trail is empty"),
        ];
        checks.iter().filter(|(holds, _)| !holds).map(|(_, what)| (*what).to_owned()).collect()
    }
}

/// Where the story goes: to a reader, or nowhere where a program reads.
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

fn yes(holds: bool) -> &'static str {
    if holds { "yes" } else { "NO" }
}

/// Plays the story on a stack that is made for it and removed afterwards.
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
    progress.step("Deploying infra/template.yaml to a fresh local stack …");
    // A lease of seconds instead of half an hour, and the sweep as often as EventBridge allows: nobody wants to wait.
    let parameters = BTreeMap::from(
        [("LeaseSeconds", "20"), ("SweepSchedule", "rate(1 minute)"), ("DeletionProtection", "false")]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let played = async {
        let stack = Stack::start(&tools, &options, &parameters).await?;
        let mut reporter = Reporter { out, silent: json };
        let findings = Box::pin(story::play(&tools, &stack, &folder, &mut reporter)).await;
        stack.stop().await?;
        findings
    };
    let played = Box::pin(played).await;
    let removed = std::fs::remove_dir_all(&folder);
    let findings = played?;
    if folder.exists() {
        removed.map_err(Error::file(&folder))?;
    }
    let differences = findings.differences();
    let summary = match json {
        true => serde_json::to_string(&findings).map_err(|error| Error::State(error.to_string()))?,
        false if differences.is_empty() => "\nEverything was as it must be.".to_owned(),
        false => String::new(),
    };
    writeln!(out, "{summary}").map_err(Error::file("standard output"))?;
    match differences.is_empty() {
        true => Ok(()),
        false => Err(Error::State(format!("the demo saw what must not be: {}", differences.join("; ")))),
    }
}
