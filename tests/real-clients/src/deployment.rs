//! The deployed service that real clients run against.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    harness::{set_mode, wait_until},
    service::STORE,
};

/// A service, a user of it who may launch in a workspace, and secrets in it.
pub struct Deployment {
    endpoint: String,
    token: String,
    token_file: PathBuf,
    workspace: String,
}

impl Deployment {
    /// A service, the token of an owner or admin of a workspace that allows HPC, and that workspace. The secrets
    /// are written there; its lease must be shorter than the tests' patience of three minutes.
    ///
    /// # Panics
    /// When it does not work.
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

    /// The secrets that each run gets, by name.
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

    /// What must be in no file, argument or environment but a task's own: the user's token, and the values.
    #[must_use]
    pub fn hidden(&self) -> Vec<String> {
        let mut hidden: Vec<_> = Self::secrets().into_iter().map(|(_, value)| value).collect();
        hidden.push(self.token.clone());
        hidden
    }

    /// The settings of the script for it, as lines for a job script.
    #[must_use]
    pub fn settings(&self) -> String {
        format!(
            "export PIPELINE_SECRETS_ENDPOINT={} PIPELINE_SECRETS_TOKEN_FILE={} PIPELINE_SECRETS_WORKSPACE={}\n",
            self.endpoint,
            self.token_file.display(),
            self.workspace
        )
    }

    /// A run's state, as the service says it.
    #[must_use]
    pub fn state(&self, workflow: &str) -> String {
        let (_, answer) = self.ask("GET", &format!("/runs/{workflow}?workspaceId={}", self.workspace), None);
        answer.lines().find_map(|line| line.strip_prefix("state=")).unwrap_or_default().to_owned()
    }

    /// Waits until a run that nobody renews any more has ended.
    pub fn let_lease_end(&self, workflow: &str) {
        wait_until(&format!("the lease of {workflow} is over"), || self.state(workflow) == "ended");
    }

    /// The user's own key for NCBI wins over the workspace's.
    fn write_secrets(&self, home: &Path) {
        let in_workspace = format!("/pipeline-secrets?workspaceId={}", self.workspace);
        for (name, value) in Self::secrets() {
            let body = home.join("body.json");
            let write = |path: &str, value: &str| {
                fs::write(&body, serde_json::json!({"name": name, "value": value}).to_string())
                    .expect("a body");
                let (code, answer) = self.ask("POST", path, Some(&body));
                assert!(
                    code == 200 || answer.contains("already exists"),
                    "{name} cannot be stored: {code} {answer}"
                );
            };
            if name == "NCBI_API_KEY" {
                write("/pipeline-secrets", &value);
                write(&in_workspace, "the workspace's, which the user's own overrides");
            } else {
                write(&in_workspace, &value);
            }
            fs::remove_file(&body).expect("the body");
        }
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Path>) -> (u16, String) {
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
        let mut asking = curl.spawn().expect("curl");
        std::io::Write::write_all(&mut asking.stdin.take().expect("a pipe"), options.as_bytes())
            .expect("options");
        let output = asking.wait_with_output().expect("an answer");
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        let (answer, code) = answer.rsplit_once('\n').unwrap_or_default();
        (code.parse().unwrap_or(0), answer.to_owned())
    }
}
