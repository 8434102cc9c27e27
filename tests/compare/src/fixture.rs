//! What the contenders play on: an account with an organisation, people, secrets and runs, all made by the functions
//! themselves, and the requests that each function is asked.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use support::TABLE;

use crate::aws::{Aws, DEPLOYMENT, Snapshot};
use crate::error::{Error, Result};
use crate::function::{Function, Program};

/// The envelope key.
pub(crate) const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/envelope";
/// The region.
const REGION: &str = "eu-west-1";

/// The fixture.
pub(crate) struct Fixture {
    /// The services.
    pub(crate) aws: Aws,
    /// The folder of this run: logs and certificates.
    pub(crate) folder: PathBuf,
    /// Where the release programs are.
    programs: PathBuf,
    /// The workspace.
    pub(crate) workspace: u64,
    /// Its owner's id.
    owner: String,
    /// Its owner's token.
    token: String,
    /// People and a workspace, no secret.
    pub(crate) people: Snapshot,
}

impl Fixture {
    /// An account with an organisation, a workspace and its owner.
    pub(crate) async fn set(aws: Aws, folder: &Path, programs: &Path) -> Result<Self> {
        let mut fixture = Self {
            aws,
            folder: folder.to_owned(),
            programs: programs.to_owned(),
            workspace: 0,
            owner: String::new(),
            token: String::new(),
            people: Snapshot::default(),
        };
        fixture.aws.restore(&Snapshot::default());
        let order = json!({ "apply": {
            "users": [{ "userName": "olivia", "email": "olivia@example.org", "tokens": [{ "name": "compare" }] }],
            "organizations": [{ "name": "example", "workspaces": [{
                "name": "genomics", "fullName": "Example genomics", "platforms": ["aws-batch", "slurm"],
                "participants": [{ "user": "olivia", "role": "owner" }],
            }] }],
        } });
        let mut identity = fixture.start(&fixture.ours("identity")).await?;
        let (made, _) = identity.invoke(&order).await?;
        let user = &made["users"][0];
        let workspace = made["organizations"][0]["workspaces"][0]["id"].as_u64();
        let token = user["tokens"][0]["accessKey"].as_str();
        let (Some(workspace), Some(token)) = (workspace, token) else {
            return Err(wrong("identity", "its answer to apply lacks the workspace or the token"));
        };
        fixture.workspace = workspace;
        fixture.owner = user["id"].to_string();
        token.clone_into(&mut fixture.token);
        fixture.people = fixture.aws.snapshot();
        Ok(fixture)
    }

    /// One of our functions, as its release profile builds it and `infra/template.yaml` configures it.
    pub(crate) fn ours(&self, function: &str) -> Program {
        Program {
            name: function.to_owned(),
            command: vec![self.programs.join(function).into_os_string()],
            environment: self.environment(),
        }
    }

    /// The least function that makes the same calls as this one of ours.
    pub(crate) fn limit(&self, function: &str) -> Program {
        Program {
            name: format!("limit of {function}"),
            command: vec![self.programs.join(format!("limit-{function}")).into_os_string()],
            environment: self.environment(),
        }
    }

    /// What every contender finds in its environment.
    pub(crate) fn environment(&self) -> Vec<(String, OsString)> {
        let endpoint = self.aws.endpoint();
        let roots = self.aws.roots().as_os_str();
        let pairs: [(&str, OsString); 21] = [
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
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// Starts a contender.
    pub(crate) async fn start(&self, program: &Program) -> Result<Function> {
        Function::start(program, &self.folder).await
    }

    /// An account with this many secrets, each of a value of so many bytes.
    pub(crate) async fn secrets(&self, count: usize, bytes: usize) -> Result<Snapshot> {
        self.aws.restore(&self.people);
        let mut writer = self.start(&self.ours("write-secrets")).await?;
        let value = "x".repeat(bytes);
        for number in 0..count {
            let (answer, _) = writer.invoke(&self.create(&format!("SECRET_{number}"), &value)).await?;
            expect("write-secrets", &answer, 200)?;
        }
        Ok(self.aws.snapshot())
    }

    /// A run on this platform, launched with what the account holds, and its tokens.
    pub(crate) async fn run(&self, from: &Snapshot, platform: &str) -> Result<Launched> {
        self.aws.restore(from);
        let mut launcher = self.start(&self.ours("launch-run")).await?;
        self.launched(&mut launcher, platform).await
    }

    /// One more run.
    pub(crate) async fn launched(&self, launcher: &mut Function, platform: &str) -> Result<Launched> {
        let (answer, _) = launcher.invoke(&self.launch(platform, "bundle")).await?;
        let body = expect("launch-run", &answer, 200)?;
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let run = Launched { id: text("workflowId"), run: text("runToken"), claim: text("claimToken") };
        match run.id.is_empty() {
            true => Err(wrong("launch-run", "its answer names no run")),
            false => Ok(run),
        }
    }

    /// Storing a secret in the workspace.
    pub(crate) fn create(&self, name: &str, value: &str) -> Value {
        self.request("POST /pipeline-secrets", &json!({}), Some(&json!({ "name": name, "value": value })))
    }

    /// Listing the workspace's secrets.
    pub(crate) fn list(&self) -> Value {
        self.request("GET /pipeline-secrets", &json!({}), None)
    }

    /// Launching with everything.
    pub(crate) fn launch(&self, platform: &str, layout: &str) -> Value {
        self.request("POST /launches", &json!({}), Some(&json!({ "platform": platform, "layout": layout })))
    }

    /// Asking who one is.
    pub(crate) fn who(&self) -> Value {
        self.request("GET /user-info", &json!({}), None)
    }

    /// Claiming a run's secrets.
    pub(crate) fn claim(&self, run: &Launched) -> Value {
        let path = json!({ "workflowId": run.id });
        bearing(self.request("POST /runs/{workflowId}/claim", &path, None), &run.claim)
    }

    /// A heartbeat.
    pub(crate) fn heartbeat(&self, run: &Launched) -> Value {
        let path = json!({ "workflowId": run.id });
        bearing(self.request("POST /runs/{workflowId}/heartbeat", &path, None), &run.run)
    }

    /// The end of a run.
    pub(crate) fn end(&self, run: &Launched) -> Value {
        let path = json!({ "workflowId": run.id });
        let body = json!({ "success": true, "exitStatus": 0 });
        bearing(self.request("POST /runs/{workflowId}/end", &path, Some(&body)), &run.run)
    }

    /// What the authorizer is asked.
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
                "accountId": "111122223333", "apiId": "a", "fixture": "$default", "routeKey": route,
                "http": { "method": method, "path": raw_path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "tw" },
                "authorizer": { "lambda": { "userId": self.owner } },
            },
            "body": body.map(Value::to_string),
            "isBase64Encoded": false,
        })
    }
}

/// A run, and what may be done in its name.
#[derive(Clone)]
pub(crate) struct Launched {
    /// Its id.
    pub(crate) id: String,
    run: String,
    claim: String,
}

fn bearing(mut event: Value, token: &str) -> Value {
    event["headers"]["authorization"] = format!("Bearer {token}").into();
    event
}

/// The JSON body of an answer that must have this status.
pub(crate) fn expect(contender: &str, answer: &Value, status: u16) -> Result<Value> {
    if answer["statusCode"] != status {
        return Err(wrong(
            contender,
            format!("{} where {status} was expected: {}", answer["statusCode"], answer["body"]),
        ));
    }
    let body = answer["body"].as_str().unwrap_or_default();
    serde_json::from_str(body).map_err(|_| wrong(contender, "its body is no JSON"))
}

/// A wrong answer.
pub(crate) fn wrong(contender: &str, what: impl Into<String>) -> Error {
    Error::Wrong { contender: contender.to_owned(), what: what.into() }
}

/// How long a run that gave no heartbeat is left alone, where a sweep must have something to do.
pub(crate) const SOON: Duration = Duration::from_secs(1);
