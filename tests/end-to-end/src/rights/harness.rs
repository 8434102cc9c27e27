//! A deployed stack with a workspace, its users and secrets. Tests invoke its functions directly,
//! as API Gateway does.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use http_api::Operation;
use http_api::operation::Function;
use local::{Credentials, Deployed, EmulatorOptions, Progress, Stack, Tools};
use serde_json::{Value, json};

use crate::rights::aws::{Invoked, RawClient};
use crate::rights::{Outcome, ensure};

/// A deployed stack.
pub struct Harness {
    /// The local stack.
    pub stack: Stack,
    /// The tools for further deployments.
    pub tools: Tools,
    /// The account operator's configuration.
    pub operator: SdkConfig,
    /// The account operator's client for services without an SDK.
    pub raw: RawClient,
    folder: tempfile::TempDir,
}

/// The name of the deployed stack.
pub const DEPLOYMENT: &str = "rights";

impl Harness {
    /// Deploys the template with these parameters on free loopback ports.
    pub async fn start(parameters: &[(&str, &str)]) -> Outcome<Self> {
        let tools = Tools::ready(Progress::Quiet).await?;
        let folder = tempfile::tempdir()?;
        let options = EmulatorOptions::for_test(folder.path().join("stack"), DEPLOYMENT);
        let stack = Stack::start(&tools, &options, &owned(parameters)).await?;
        let operator = stack.sdk_config(&Credentials::operator()).await;
        let raw = RawClient::new(&stack.aws_endpoint, Credentials::operator());
        Ok(Self { stack, tools, operator, raw, folder })
    }

    /// Deploys the template a second time, next to the first stack.
    pub async fn deploy_beside(&self, name: &str, parameters: &[(&str, &str)]) -> Outcome<Deployed> {
        Ok(self.stack.deploy_beside(&self.tools, name, &owned(parameters)).await?)
    }

    /// Updates the stack with other parameters.
    pub async fn update(&mut self, parameters: &[(&str, &str)]) -> Outcome {
        Ok(self.stack.update(&self.tools, &owned(parameters)).await?)
    }

    /// Stops the stack and removes its files.
    pub async fn stop(self) -> Outcome {
        self.stack.stop().await?;
        // Files left in a temporary folder are not a failure.
        let _ = self.folder.close();
        Ok(())
    }

    /// Returns an AWS configuration with a function's role.
    pub async fn role(&self, function: &str) -> Outcome<SdkConfig> {
        let credentials = self.stack.credentials(function).await?;
        Ok(self.stack.sdk_config(&credentials).await)
    }

    /// Returns a resource's physical id.
    pub fn resource(&self, logical: &str) -> Outcome<&str> {
        let found = self.stack.deployed.resources.get(logical).map(String::as_str);
        found.ok_or_else(|| format!("the template has no {logical}").into())
    }

    /// Invokes a function with any event.
    pub async fn invoke(&self, function: &str, event: &Value) -> Outcome<Invoked> {
        self.raw.invoke(self.stack.function(function)?, event).await
    }

    /// Invokes the function of an operation, as API Gateway does after its authorizer has accepted
    /// the caller.
    pub async fn request(&self, call: &Call<'_>) -> Outcome<Invoked> {
        self.invoke(folder(call.operation.function()), &call.event()).await
    }

    /// Like [`request`](Self::request), but fails unless the answer is a success.
    pub async fn done(&self, call: &Call<'_>) -> Outcome<Value> {
        let invoked = self.request(call).await?;
        ensure(matches!(invoked.http_status(), 200..300), || {
            format!("{}: {} {}", call.operation.id(), invoked.http_status(), invoked.answer)
        })?;
        Ok(invoked.body())
    }

    /// Creates users and workspaces, as an operator does.
    pub async fn apply(&self, document: &Value) -> Outcome<Value> {
        let applied = self.invoke("identity", &json!({ "apply": document })).await?;
        ensure(!applied.failed && applied.answer["error"].is_null(), || {
            format!("apply: {}", applied.answer)
        })?;
        Ok(applied.answer)
    }

    /// Runs an operator's script from `infra/` against the stack.
    pub async fn script(&self, script: &str, arguments: &[&str]) -> Outcome<std::process::Output> {
        let own = self.tools.installation.aws().parent().map(std::path::Path::to_owned);
        let search = std::env::var("PATH")?;
        let search = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&search)))?;
        let operator = Credentials::operator();
        let mut run = tokio::process::Command::new(self.tools.checkout.root().join("infra").join(script));
        run.args(["--stack", self.stack.name()])
            .args(arguments)
            .env("PATH", search)
            .env("AWS_ENDPOINT_URL", &self.stack.aws_endpoint)
            .env("AWS_ACCESS_KEY_ID", operator.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", operator.secret_access_key)
            .env("AWS_DEFAULT_REGION", local::REGION)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(run.output().await?)
    }

    /// Reads a row as the operator.
    pub async fn row(&self, pk: &str, sk: &str) -> Outcome<Option<BTreeMap<String, AttributeValue>>> {
        let request = aws_sdk_dynamodb::Client::new(&self.operator).get_item();
        let request = request.table_name(self.stack.output("TableName")?).consistent_read(true);
        let (pk, sk) = (AttributeValue::S(pk.to_owned()), AttributeValue::S(sk.to_owned()));
        let answer = request.key("pk", pk).key("sk", sk).send().await?;
        Ok(answer.item.map(|item| item.into_iter().collect()))
    }

    /// Removes an attribute of a row as the operator.
    pub async fn clear(&self, pk: &str, sk: &str, attribute: &str) -> Outcome {
        let request = aws_sdk_dynamodb::Client::new(&self.operator).update_item();
        let request = request.table_name(self.stack.output("TableName")?);
        let (pk, sk) = (AttributeValue::S(pk.to_owned()), AttributeValue::S(sk.to_owned()));
        let request = request.key("pk", pk).key("sk", sk).update_expression("REMOVE #a");
        request.expression_attribute_names("#a", attribute).send().await?;
        Ok(())
    }

    /// Sets an attribute of a row as the operator.
    pub async fn set(&self, pk: &str, sk: &str, attribute: &str, value: AttributeValue) -> Outcome {
        let request = aws_sdk_dynamodb::Client::new(&self.operator).update_item();
        let request = request.table_name(self.stack.output("TableName")?);
        let (pk, sk) = (AttributeValue::S(pk.to_owned()), AttributeValue::S(sk.to_owned()));
        let request = request.key("pk", pk).key("sk", sk).update_expression("SET #a = :v");
        let request = request.expression_attribute_names("#a", attribute);
        request.expression_attribute_values(":v", value).send().await?;
        Ok(())
    }
}

/// A workspace and its members.
pub struct World {
    /// The organization.
    pub org: i64,
    /// The workspace.
    pub workspace: i64,
    /// The workspace's owner.
    pub owner: i64,
    /// The owner's personal access token.
    pub token: String,
    /// Another member, with the role `launch`.
    pub member: i64,
}

impl World {
    /// Creates a workspace and its members with `apply`. `name` makes their names unique.
    pub async fn make(harness: &Harness, name: &str) -> Outcome<Self> {
        let user = |person: &str| json!({"userName": format!("{person}-{name}"), "email": format!("{person}-{name}@example.org"), "tokens": [{"name": "test"}]});
        let participant =
            |person: &str, role: &str| json!({"user": format!("{person}-{name}"), "role": role});
        let made = harness
            .apply(&json!({"users": [user("olivia"), user("liam")], "organizations": [{"name": format!("org-{name}"), "workspaces": [{
                "name": "genomics", "platforms": ["aws-batch", "slurm"],
                "participants": [participant("olivia", "owner"), participant("liam", "launch")]}]}]}))
            .await?;
        let id = |value: &Value| value["id"].as_i64().ok_or("the answer of identity has no id");
        let organization = &made["organizations"][0];
        Ok(Self {
            org: id(organization)?,
            workspace: id(&organization["workspaces"][0])?,
            owner: id(&made["users"][0])?,
            token: made["users"][0]["tokens"][0]["accessKey"].as_str().ok_or("no token")?.to_owned(),
            member: id(&made["users"][1])?,
        })
    }

    /// A request by the owner in the workspace.
    #[must_use]
    pub fn call(&self, operation: Operation) -> Call<'static> {
        Call::new(operation).by(self.owner).query("workspaceId", &self.workspace.to_string())
    }

    /// A request by the owner for user secrets and runs.
    #[must_use]
    pub fn own(&self, operation: Operation) -> Call<'static> {
        Call::new(operation).by(self.owner)
    }

    /// Stores a secret in the workspace.
    pub async fn store(&self, harness: &Harness, name: &str) -> Outcome<i64> {
        let call =
            self.call(Operation::CreatePipelineSecret).body(&json!({"name": name, "value": "a value"}));
        let made = harness.done(&call).await?;
        made["secretId"].as_i64().ok_or_else(|| "no secretId".into())
    }

    /// Launches a run in the workspace with all of its secrets.
    pub async fn launch(&self, harness: &Harness, platform: &str) -> Outcome<Value> {
        harness.done(&self.call(Operation::LaunchRun).body(&json!({"platform": platform}))).await
    }
}

/// A request, in the form in which API Gateway sends it to a function.
pub struct Call<'a> {
    operation: Operation,
    caller: Option<Value>,
    path: BTreeMap<&'a str, String>,
    query: BTreeMap<&'a str, String>,
    headers: BTreeMap<&'a str, String>,
    body: Option<Value>,
}

impl<'a> Call<'a> {
    /// A request without a caller.
    #[must_use]
    pub fn new(operation: Operation) -> Self {
        let headers = BTreeMap::from([("content-type", "application/json".to_owned())]);
        Self {
            operation,
            caller: None,
            path: BTreeMap::default(),
            query: BTreeMap::default(),
            headers,
            body: None,
        }
    }

    /// Sets the user that the authorizer has identified.
    #[must_use]
    pub fn by(self, user: i64) -> Self {
        Self { caller: Some(json!({"userId": user.to_string()})), ..self }
    }

    /// Sets a login that does not have a user yet.
    #[must_use]
    pub fn by_new_login(self, issuer: &str, subject: &str) -> Self {
        Self { caller: Some(json!({"issuer": issuer, "subject": subject, "signUp": "true"})), ..self }
    }

    /// Adds a path parameter.
    #[must_use]
    pub fn path(mut self, name: &'a str, value: &impl ToString) -> Self {
        self.path.insert(name, value.to_string());
        self
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn query(mut self, name: &'a str, value: &str) -> Self {
        self.query.insert(name, value.to_owned());
        self
    }

    /// Adds a header. Its name must be in lower case.
    #[must_use]
    pub fn header(mut self, name: &'a str, value: &str) -> Self {
        self.headers.insert(name, value.to_owned());
        self
    }

    /// Sets a token as `Authorization`.
    #[must_use]
    pub fn bearer(self, token: &Value) -> Self {
        self.header("authorization", &format!("Bearer {}", token.as_str().unwrap_or_default()))
    }

    /// Sets the body.
    #[must_use]
    pub fn body(self, body: &Value) -> Self {
        Self { body: Some(body.clone()), ..self }
    }

    /// Returns the event for the function.
    #[must_use]
    pub fn event(&self) -> Value {
        let mut context = json!({"http": {"method": self.operation.method()}, "stage": "$default"});
        if let Some(caller) = &self.caller {
            context["authorizer"] = json!({"lambda": caller});
        }
        json!({
            "version": "2.0",
            "routeKey": self.operation.route_key(),
            "headers": self.headers,
            "queryStringParameters": self.query,
            "pathParameters": self.path,
            "requestContext": context,
            "body": self.body.as_ref().map(Value::to_string),
            "isBase64Encoded": false,
        })
    }
}

/// Returns the folder name of a function.
#[must_use]
pub fn folder(function: Function) -> &'static str {
    match function {
        Function::ReadSecrets => "read-secrets",
        Function::WriteSecrets => "write-secrets",
        Function::LaunchRun => "launch-run",
        Function::ClaimRun => "claim-run",
        Function::ReportRun => "report-run",
        Function::Identity => "identity",
    }
}

fn owned(parameters: &[(&str, &str)]) -> BTreeMap<String, String> {
    parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
