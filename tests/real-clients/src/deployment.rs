//! The deployed service that real clients use.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    harness::{set_mode, wait_until},
    service::STORE,
};

/// A service with a user who may launch in a workspace, and secrets in it.
pub struct Deployment {
    endpoint: String,
    token: String,
    token_file: PathBuf,
    workspace: String,
}

impl Deployment {
    /// Stores the secrets in a workspace that allows HPC, with the token of its owner or an admin.
    /// The service's lease must be shorter than the tests' timeout of three minutes.
    ///
    /// # Panics
    /// If a request fails.
    #[must_use]
    pub fn of(home: &Path, endpoint: &str, token: &str, workspace: &str) -> Self {
        let token_file = home.join("token");
        fs::write(&token_file, token).expect("a token file");
        set_mode(&token_file, 0o600);
        let [endpoint, token, workspace] = [endpoint, token, workspace].map(str::to_owned);
        let deployment = Self { endpoint, token, token_file, workspace };
        deployment.write_secrets(home);
        deployment
    }

    /// Returns the names and values of the secrets of each run.
    ///
    /// # Panics
    /// Never: the store is a constant.
    #[must_use]
    pub fn secrets() -> Vec<(String, String)> {
        let store: serde_json::Value = serde_json::from_str(STORE).expect("a store");
        let text = |entry: &serde_json::Value, key: &str| entry[key].as_str().expect("text").to_owned();
        store
            .as_array()
            .expect("an array")
            .iter()
            .map(|entry| (text(entry, "name"), text(entry, "value")))
            .collect()
    }

    /// Returns the texts that must not be in any file, argument or environment except a task's: the
    /// user's token and the values.
    #[must_use]
    pub fn hidden(&self) -> Vec<String> {
        let mut hidden: Vec<_> = Self::secrets().into_iter().map(|(_, value)| value).collect();
        hidden.push(self.token.clone());
        hidden
    }

    /// Returns the script's settings as lines for a job script.
    #[must_use]
    pub fn settings(&self) -> String {
        format!(
            "export PIPELINE_SECRETS_ENDPOINT={} PIPELINE_SECRETS_TOKEN_FILE={} PIPELINE_SECRETS_WORKSPACE={}\n",
            self.endpoint,
            self.token_file.display(),
            self.workspace
        )
    }

    /// Returns a run's state.
    #[must_use]
    pub fn state(&self, workflow: &str) -> String {
        let (_, answer) =
            self.request("GET", &format!("/runs/{workflow}?workspaceId={}", self.workspace), None);
        answer.lines().find_map(|line| line.strip_prefix("state=")).unwrap_or_default().to_owned()
    }

    /// Waits until a run without heartbeats has ended.
    pub fn wait_for_lease_end(&self, workflow: &str) {
        wait_until(&format!("the lease of {workflow} has expired"), || self.state(workflow) == "ended");
    }

    /// Stores the secrets. `NCBI_API_KEY` is a user secret that overrides a workspace secret.
    fn write_secrets(&self, home: &Path) {
        let in_workspace = format!("/pipeline-secrets?workspaceId={}", self.workspace);
        for (name, value) in Self::secrets() {
            let body = home.join("body.json");
            let write = |path: &str, value: &str| {
                fs::write(&body, serde_json::json!({"name": name, "value": value}).to_string())
                    .expect("a body");
                let (code, answer) = self.request("POST", path, Some(&body));
                assert!(
                    code == 200 || answer.contains("already exists"),
                    "storing {name} failed: {code} {answer}"
                );
            };
            if name == "NCBI_API_KEY" {
                write("/pipeline-secrets", &value);
                write(&in_workspace, "the workspace secret, which the user secret overrides");
            } else {
                write(&in_workspace, &value);
            }
            fs::remove_file(&body).expect("the body");
        }
    }

    fn request(&self, method: &str, path: &str, body: Option<&Path>) -> (u16, String) {
        let mut options = format!(
            "silent\nrequest = {method}\nurl = \"{}{path}\"\nheader = \"Authorization: Bearer {}\"\nwrite-out = \"\\n%{{http_code}}\"\n",
            self.endpoint, self.token
        );
        match body {
            Some(body) => {
                options.push_str("header = \"Content-Type: application/json\"\n");
                options.extend(["data-binary = \"@", &body.to_string_lossy(), "\"\n"]);
            }
            None => options.push_str("header = \"Accept: text/plain\"\n"),
        }
        let mut curl = Command::new("curl");
        curl.args(["-q", "--config", "-"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped());
        let mut running = curl.spawn().expect("curl");
        std::io::Write::write_all(&mut running.stdin.take().expect("a pipe"), options.as_bytes())
            .expect("options");
        let output = running.wait_with_output().expect("an answer");
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        let (answer, code) = answer.rsplit_once('\n').unwrap_or_default();
        (code.parse().unwrap_or(0), answer.to_owned())
    }
}
