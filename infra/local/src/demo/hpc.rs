//! The chapter on an HPC cluster: it runs the head job's script as a job script does. Instead of
//! Nextflow, it runs a command that prints the secrets store.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Findings, Reporter};
use crate::{Caller, Error, Result, Stack, Tools};

/// What this chapter needs.
pub(super) struct Cluster<'a> {
    pub(super) tools: &'a Tools,
    pub(super) stack: &'a Stack,
    /// The demo's folder.
    pub(super) folder: &'a Path,
    pub(super) owner: &'a Caller,
    pub(super) launcher: &'a Caller,
    pub(super) organization: i64,
    pub(super) workspace: i64,
}

/// The secrets that the launch selects, with the values that must be delivered.
type Expected<'a> = BTreeMap<&'a str, &'a str>;

impl Cluster<'_> {
    pub(super) async fn run<W: Write>(
        &self,
        log: &mut Reporter<'_, W>,
        findings: &mut Findings,
        key: &str,
    ) -> Result<()> {
        let launches = format!("/launches?workspaceId={}", self.workspace);
        let refused =
            self.launcher.call(Method::POST, &launches, Some(&json!({"platform": "slurm"}))).await?;
        log.step(&format!("Liam launches a run on slurm: {} {}", refused.status.as_u16(), refused.text))?;
        let platforms = format!("/orgs/{}/workspaces/{}/platforms", self.organization, self.workspace);
        self.owner.put(&platforms, &json!({"platforms": ["aws-batch", "slurm"]})).await?;
        log.step("Olivia enables slurm in the workspace")?;
        let refused =
            self.launcher.call(Method::POST, &launches, Some(&json!({"platform": "slurm"}))).await?;
        log.step(&format!("Liam tries again: {} {}", refused.status.as_u16(), refused.text))?;

        let one_line = "TGljZW5jZSBvbiBvbmUgbGluZQ==".repeat(100);
        let secrets = format!("/pipeline-secrets?workspaceId={}", self.workspace);
        self.owner.post(&secrets, &json!({"name": "SENTIEON_LICENSE_LINE", "value": one_line})).await?;
        let expected: Expected<'_> =
            BTreeMap::from([("NCBI_API_KEY", key), ("SENTIEON_LICENSE_LINE", &one_line)]);
        log.step(
            "Olivia stores the license as one line of base64. Liam selects both secrets of the pipeline",
        )?;

        let stores = self.folder.join("stores");
        findings.hpc_values_match = self.run_script(&stores, &expected).await?;
        log.step(&format!(
            "nextflow-with-secrets delivers exactly these values: {}",
            super::yes(findings.hpc_values_match)
        ))?;
        findings.hpc_store_left = std::fs::read_dir(&stores).map_or(0, Iterator::count);
        log.step(&format!("secrets stores left on disk: {}", findings.hpc_store_left))?;
        findings.second_claim_refused = self.claim_twice(&launches, &expected).await?;
        log.step(&format!("a claim token works only once: {}", super::yes(findings.second_claim_refused)))
    }

    /// Runs the head job's script as a user's job script does.
    async fn run_script(&self, stores: &Path, expected: &Expected<'_>) -> Result<bool> {
        let token = self.folder.join("token");
        let written = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&token);
        written
            .and_then(|mut file| file.write_all(self.launcher.token().as_bytes()))
            .map_err(Error::file(&token))?;
        let names: Vec<_> = expected.keys().copied().collect();
        let finished = tokio::process::Command::new(
            self.tools.checkout.root().join("infra/head-job/nextflow-with-secrets"),
        )
        .args(["--workspace", &self.workspace.to_string(), "--platform", "slurm"])
        .args(["--workspace-secrets", &names.join(","), "--user-secrets", "none", "--"])
        .args(["sh", "-c", "cat \"$NXF_SECRETS_FILE\""])
        .env("PIPELINE_SECRETS_ENDPOINT", &self.stack.api_endpoint)
        .env("PIPELINE_SECRETS_TOKEN_FILE", &token)
        .env("PIPELINE_SECRETS_DIR", stores)
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .map_err(Error::file("infra/head-job/nextflow-with-secrets"))?;
        if !finished.status.success() {
            let stderr = String::from_utf8_lossy(&finished.stderr).into_owned();
            return Err(Error::answer("nextflow-with-secrets", &stderr.lines().last().unwrap_or("failed")));
        }
        Ok(holds(&finished.stdout, expected))
    }

    /// Launches a run and claims it twice: the first claim returns the values, the second 410, and
    /// the run stays live until its end.
    async fn claim_twice(&self, launches: &str, expected: &Expected<'_>) -> Result<bool> {
        let names: Vec<_> = expected.keys().collect();
        let request = json!({"platform": "slurm", "workspaceSecrets": names, "userSecrets": []});
        let launched = self.launcher.post(launches, &request).await?;
        let text = |name: &str| launched[name].as_str().unwrap_or_default();
        let run = text("workflowId");
        let claimer = Caller::new(&self.stack.api_endpoint, text("claimToken"));
        let path = format!("/runs/{run}/claim");
        let first = claimer.call(Method::POST, &path, None).await?;
        let second = claimer.call(Method::POST, &path, None).await?;
        let live = self.launcher.get(&format!("/runs/{run}")).await?["state"] == "running";
        Caller::new(&self.stack.api_endpoint, text("runToken"))
            .post(&format!("/runs/{run}/end"), &json!({"success": true}))
            .await?;
        Ok(holds(first.text.as_bytes(), expected) && second.status.as_u16() == 410 && live)
    }
}

/// Whether Nextflow's secrets store holds exactly these values, beside the random entry.
fn holds(store: &[u8], expected: &Expected<'_>) -> bool {
    let Ok(entries) = serde_json::from_slice::<Vec<Value>>(store) else {
        return false;
    };
    let found: Expected<'_> = entries
        .iter()
        .filter(|entry| entry["name"] != "PIPELINE_SECRETS_SALT")
        .filter_map(|entry| Some((entry["name"].as_str()?, entry["value"].as_str()?)))
        .collect();
    entries.len() == expected.len() + 1 && found == *expected
}
