//! The account that the contenders work on, with an organization, users, secrets and runs created
//! by the functions themselves, and the requests to each function.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use support::TABLE;

use crate::aws::{Aws, DEPLOYMENT, Snapshot};
use crate::error::{Error, Result};
use crate::function::{Function, Program};

/// The ARN of the envelope key.
pub(crate) const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/envelope";
const REGION: &str = "eu-west-1";

pub(crate) struct Fixture {
    pub(crate) aws: Aws,
    /// The folder of this run: logs and certificates.
    pub(crate) folder: PathBuf,
    /// The folder of the release programs.
    programs: PathBuf,
    pub(crate) workspace: u64,
    /// The workspace owner's id.
    owner: String,
    /// The workspace owner's token, and its id.
    token: String,
    token_id: String,
    /// A user and a workspace without secrets.
    pub(crate) empty_workspace: Snapshot,
}

impl Fixture {
    /// Creates an account with an organization, a workspace and its owner.
    pub(crate) async fn set(aws: Aws, folder: &Path, programs: &Path) -> Result<Self> {
        let mut fixture = Self {
            aws,
            folder: folder.to_owned(),
            programs: programs.to_owned(),
            workspace: 0,
            owner: String::new(),
            token: String::new(),
            token_id: String::new(),
            empty_workspace: Snapshot::default(),
        };
        fixture.aws.restore(&Snapshot::default());
        let event = json!({ "apply": {
            "users": [{ "userName": "olivia", "email": "olivia@example.org", "tokens": [{ "name": "compare" }] }],
            "organizations": [{ "name": "example", "workspaces": [{
                "name": "genomics", "fullName": "Example genomics", "platforms": ["aws-batch", "slurm"],
                "participants": [{ "user": "olivia", "role": "owner" }],
            }] }],
        } });
        let mut identity = fixture.start(&fixture.ours("identity")).await?;
        let (applied, _) = identity.invoke(&event).await?;
        let user = &applied["users"][0];
        let workspace = applied["organizations"][0]["workspaces"][0]["id"].as_u64();
        let token = user["tokens"][0]["accessKey"].as_str();
        let (Some(workspace), Some(token)) = (workspace, token) else {
            return Err(wrong("identity", "its answer to apply has no workspace or no token"));
        };
        fixture.workspace = workspace;
        fixture.owner = user["id"].to_string();
        token.clone_into(&mut fixture.token);
        fixture.token_id = user["tokens"][0]["id"].to_string();
        fixture.empty_workspace = fixture.aws.snapshot();
        Ok(fixture)
    }

    /// One of our functions, built with its release profile and configured as in
    /// `infra/template.yaml`.
    pub(crate) fn ours(&self, function: &str) -> Program {
        Program {
            name: function.to_owned(),
            command: vec![self.programs.join(function).into_os_string()],
            environment: self.environment(),
        }
    }

    /// The minimal function that makes the same calls as this one of ours.
    pub(crate) fn limit(&self, function: &str) -> Program {
        Program {
            name: format!("limit of {function}"),
            command: vec![self.programs.join(format!("limit-{function}")).into_os_string()],
            environment: self.environment(),
        }
    }

    /// The environment of every contender.
    pub(crate) fn environment(&self) -> Vec<(String, OsString)> {
        let endpoint = self.aws.endpoint();
        let roots = self.aws.roots().as_os_str();
        let pairs: [(&str, OsString); 25] = [
            ("PATH", std::env::var_os("PATH").unwrap_or_default()),
            ("HOME", self.folder.clone().into_os_string()),
            ("AWS_REGION", REGION.into()),
            ("AWS_DEFAULT_REGION", REGION.into()),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".into()),
            ("AWS_SECRET_ACCESS_KEY", "secret".into()),
            ("AWS_ENDPOINT_URL", endpoint.into()),
            ("SSL_CERT_FILE", roots.into()),
            ("NODE_EXTRA_CA_CERTS", roots.into()),
            ("AWS_CA_BUNDLE", roots.into()),
            ("AWS_LAMBDA_FUNCTION_NAME", "compare".into()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1".into()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".into()),
            ("TABLE_NAME", TABLE.into()),
            ("DEPLOYMENT", DEPLOYMENT.into()),
            ("ENVELOPE_KEY_ARN", KEY.into()),
            ("EVENT_BUS_NAME", "bus".into()),
            ("RUN_PREFIX", "ab12".into()),
            ("API_ENDPOINT", "https://api.example.org".into()),
            ("ACCOUNT_ID", "111122223333".into()),
            ("LOG_LEVEL", "INFO".into()),
            // The benchmark launches faster than its runs end.
            ("LIVE_RUNS_PER_USER", "10000".into()),
            ("LIVE_RUNS_PER_WORKSPACE", "10000".into()),
            ("LIVE_COPIES_PER_USER", "10000".into()),
            ("LIVE_COPIES_PER_WORKSPACE", "10000".into()),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// Starts a contender.
    pub(crate) async fn start(&self, program: &Program) -> Result<Function> {
        Function::start(program, &self.folder).await
    }

    /// Creates an account with `count` secrets, each with a value of this many bytes.
    pub(crate) async fn secrets(&self, count: usize, bytes: usize) -> Result<Snapshot> {
        self.aws.restore(&self.empty_workspace);
        let mut writer = self.start(&self.ours("write-secrets")).await?;
        let value = "x".repeat(bytes);
        for number in 0..count {
            let (answer, _) = writer.invoke(&self.create(&format!("SECRET_{number}"), &value)).await?;
            expect("write-secrets", &answer, 200)?;
        }
        Ok(self.aws.snapshot())
    }

    /// Launches a run on this platform with every secret in the account.
    pub(crate) async fn run(&self, from: &Snapshot, platform: &str) -> Result<Launched> {
        self.aws.restore(from);
        let mut launcher = self.start(&self.ours("launch-run")).await?;
        self.launched(&mut launcher, platform).await
    }

    /// Launches another run.
    pub(crate) async fn launched(&self, launcher: &mut Function, platform: &str) -> Result<Launched> {
        let (answer, _) = launcher.invoke(&self.launch(platform, "bundle")).await?;
        let body = expect("launch-run", &answer, 200)?;
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let run = Launched { id: text("workflowId"), run: text("runToken"), claim: text("claimToken") };
        match run.id.is_empty() {
            true => Err(wrong("launch-run", "its answer has no workflowId")),
            false => Ok(run),
        }
    }

    /// A request to store a secret in the workspace.
    pub(crate) fn create(&self, name: &str, value: &str) -> Value {
        self.request("POST /pipeline-secrets", &json!({}), Some(&json!({ "name": name, "value": value })))
    }

    /// A request to list the workspace's secrets.
    pub(crate) fn list(&self) -> Value {
        self.request("GET /pipeline-secrets", &json!({}), None)
    }

    /// A request to launch with every secret.
    pub(crate) fn launch(&self, platform: &str, layout: &str) -> Value {
        self.request("POST /launches", &json!({}), Some(&json!({ "platform": platform, "layout": layout })))
    }

    /// A request for the caller's user info.
    pub(crate) fn user_info(&self) -> Value {
        self.request("GET /user-info", &json!({}), None)
    }

    /// A request to claim a run's secrets.
    pub(crate) fn claim(&self, run: &Launched) -> Value {
        let path = json!({ "workflowId": run.id });
        with_bearer(self.request("POST /runs/{workflowId}/claim", &path, None), &run.claim)
    }

    /// A heartbeat.
    pub(crate) fn heartbeat(&self, run: &Launched) -> Value {
        let path = json!({ "workflowId": run.id });
        with_bearer(self.request("POST /runs/{workflowId}/heartbeat", &path, None), &run.run)
    }

    /// The end of a run.
    pub(crate) fn end(&self, run: &Launched) -> Value {
        let path = json!({ "workflowId": run.id });
        let body = json!({ "success": true, "exitStatus": 0 });
        with_bearer(self.request("POST /runs/{workflowId}/end", &path, Some(&body)), &run.run)
    }

    /// An event for the authorizer.
    pub(crate) fn authorize(&self) -> Value {
        json!({ "version": "2.0", "type": "REQUEST", "identitySource": [format!("Bearer {}", self.token)] })
    }

    /// An event as API Gateway sends it (payload format 2.0).
    fn request(&self, route: &str, path: &Value, body: Option<&Value>) -> Value {
        let (method, raw_path) = route.split_once(' ').unwrap_or_default();
        json!({
            "version": "2.0", "routeKey": route, "rawPath": raw_path,
            "rawQueryString": format!("workspaceId={}", self.workspace),
            "headers": { "content-type": "application/json", "accept": "application/json", "host": "api.example.org" },
            "queryStringParameters": { "workspaceId": self.workspace.to_string() },
            "pathParameters": path,
            "requestContext": {
                "accountId": "111122223333", "apiId": "a", "stage": "$default", "routeKey": route,
                "http": { "method": method, "path": raw_path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "tw" },
                "authorizer": { "lambda": { "userId": self.owner, "tokenId": self.token_id, "scope": "all" } },
            },
            "body": body.map(Value::to_string),
            "isBase64Encoded": false,
        })
    }
}

/// A run and its tokens.
#[derive(Clone)]
pub(crate) struct Launched {
    /// Its id.
    pub(crate) id: String,
    run: String,
    claim: String,
}

fn with_bearer(mut event: Value, token: &str) -> Value {
    event["headers"]["authorization"] = format!("Bearer {token}").into();
    event
}

/// Returns the JSON body of an answer, which must have this status.
pub(crate) fn expect(contender: &str, answer: &Value, status: u16) -> Result<Value> {
    if answer["statusCode"] != status {
        return Err(wrong(
            contender,
            format!("status {}, expected {status}: {}", answer["statusCode"], answer["body"]),
        ));
    }
    let body = answer["body"].as_str().unwrap_or_default();
    serde_json::from_str(body).map_err(|_| wrong(contender, "its body is not JSON"))
}

/// The error for a wrong answer.
pub(crate) fn wrong(contender: &str, what: impl Into<String>) -> Error {
    Error::Wrong { contender: contender.to_owned(), what: what.into() }
}

/// How soon a run without a heartbeat is due, where a sweep needs due runs.
pub(crate) const SOON: Duration = Duration::from_secs(1);
