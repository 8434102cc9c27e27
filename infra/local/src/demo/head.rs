//! The jobs of the demo, which AWS Batch executes (docs/emulator.md): head jobs, and a job with the
//! secrets of a launch in its definition. Instead of Nextflow, a head job runs a shell.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::platform::Platform;
use crate::{Error, Job, Result, Stack};

/// The longest wait for a job, each of which takes a second.
const LONGEST: Duration = Duration::from_mins(1);

/// Ends with the exit code in the file that the demo writes.
const UNTIL_TOLD: &str = r#"until [ -e "$DEMO_FINISH" ]; do sleep 0.1; done; exit "$(cat "$DEMO_FINISH")""#;

/// Prints the names of the secrets with the digests of their values.
const PRINT_DIGESTS: &str = r#"
digest() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1; }
for name in $DEMO_SECRETS; do
  eval "value=\$$name"
  echo "$name $(printf %s "$value" | digest)"
done"#;

/// The queue whose jobs are executed.
pub(super) struct Queue<'a> {
    stack: &'a Stack,
    platform: &'a Platform<'a>,
    arn: String,
    folder: PathBuf,
}

impl<'a> Queue<'a> {
    pub(super) async fn create(stack: &'a Stack, platform: &'a Platform<'a>, folder: &Path) -> Result<Self> {
        let arn = stack.create_executing_queue("demo").await?;
        Ok(Self { stack, platform, arn, folder: folder.to_owned() })
    }

    /// Submits the head job of a launch with its environment. It sources the prelude, which records
    /// it, and runs until [`finish`](Self::finish).
    pub(super) async fn start_head_job(&self, launch: &Value) -> Result<String> {
        let text = |name: &str| launch[name].as_str().unwrap_or_default();
        let finish = self.finish_file(text("workflowId"));
        let finish = finish.to_string_lossy();
        let given = launch["environment"].as_object().into_iter().flatten();
        let mut environment: Vec<_> =
            given.map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default())).collect();
        environment.push(("DEMO_FINISH", &finish));
        let prelude = launch["nextflow"]["prelude"].as_str().unwrap_or_default();
        let script = format!("set -euo pipefail\n{prelude}\n{UNTIL_TOLD}");
        let command = ["bash", "-c", &script];
        let job = Job {
            name: "head",
            queue: &self.arn,
            command: &command,
            environment: &environment,
            ..Job::default()
        };
        self.platform.submit(&job).await
    }

    /// Makes the head job of a run end with this exit code.
    pub(super) fn finish(&self, run: &str, exit_code: u8) -> Result<()> {
        let file = self.finish_file(run);
        // The job must not read a file that is not yet written.
        let new = file.with_extension("new");
        std::fs::write(&new, exit_code.to_string()).map_err(Error::file(&new))?;
        std::fs::rename(&new, &file).map_err(Error::file(&file))
    }

    fn finish_file(&self, run: &str) -> PathBuf {
        self.folder.join(format!("finish-{run}"))
    }

    /// Runs a job with the secrets of a launch in its definition, and returns whether the digests
    /// that it prints are those of these values.
    pub(super) async fn job_has(&self, values: &[(&str, &str)], launch: &Value) -> Result<bool> {
        let role = self.platform.task_role("demo-tasks", &launch["iam"]["statements"]).await?;
        let names: Vec<_> = values.iter().map(|(name, _)| *name).collect();
        let names = names.join(" ");
        let environment = [("DEMO_SECRETS", names.as_str())];
        let command = ["sh", "-c", PRINT_DIGESTS];
        let job = Job {
            name: "task",
            queue: &self.arn,
            command: &command,
            environment: &environment,
            secrets: &launch["batch"]["secrets"],
            execution_role: Some(&role),
            ..Job::default()
        };
        let job = self.platform.submit(&job).await?;
        self.stack.wait_for_job(&job, "SUCCEEDED", LONGEST).await?;
        let output = self.stack.job_output(&job).await?.concat();
        let expected = values.iter().map(|(name, value)| format!("{name} {}", digest(value)));
        Ok(output.lines().eq(expected))
    }

    /// Waits until the receipt names the head job. A head job that has failed is an error with its
    /// output.
    pub(super) async fn wait_until_recorded(
        &self,
        job: &str,
        receipt: impl AsyncFn() -> Result<Value>,
    ) -> Result<()> {
        let start = Instant::now();
        while receipt().await?["headJob"]["jobId"] != job {
            let status = self.stack.job(job).await?["status"].clone();
            if status == "FAILED" || start.elapsed() > LONGEST {
                let output = self.stack.job_output(job).await?.join("");
                return Err(Error::answer("the head job", &format!("it is not recorded: {}", output.trim())));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

fn digest(value: &str) -> String {
    Sha256::digest(value.as_bytes()).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
