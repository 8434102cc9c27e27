//! The compute platform: what AWS Batch and the ECS agent do with the response of a launch, with a
//! role that has only the statements of that response.

use aws_config::SdkConfig;
use serde_json::{Value, json};

use crate::{ACCOUNT, Credentials, Error, Job, JobStatus, REGION, Result, Stack};

/// The stack's AWS account, with the operator's permissions.
pub struct Platform<'a> {
    stack: &'a Stack,
    operator: SdkConfig,
    account: &'static str,
    region: &'static str,
    access_key: String,
}

impl<'a> Platform<'a> {
    /// Returns the account of this stack.
    pub async fn new(stack: &'a Stack) -> Self {
        Self::of(stack, ACCOUNT, REGION, Credentials::operator()).await
    }

    /// Returns another account and region on the same emulator, which takes an access key of 12
    /// digits for the root user of an account.
    pub async fn elsewhere(stack: &'a Stack, account: &'static str, region: &'static str) -> Self {
        let root = Credentials { access_key_id: account.to_owned(), ..Credentials::operator() };
        Self::of(stack, account, region, root).await
    }

    async fn of(
        stack: &'a Stack,
        account: &'static str,
        region: &'static str,
        credentials: Credentials,
    ) -> Self {
        let operator = stack.sdk_config(&credentials).await;
        let operator = operator.to_builder().region(aws_config::Region::new(region)).build();
        Self { stack, operator, account, region, access_key: credentials.access_key_id }
    }

    /// The configuration for AWS clients that may do everything except what a key policy forbids.
    #[must_use]
    pub fn operator(&self) -> &SdkConfig {
        &self.operator
    }

    /// Submits a head job whose environment names this run, moves it to RUNNING, and returns its
    /// id.
    pub async fn start_head_job(&self, run: &str) -> Result<String> {
        let environment = [("PIPELINE_SECRETS_WORKFLOW_ID", run)];
        let job = Job { name: "head", queue: QUEUE, environment: &environment, ..Job::default() };
        let job = self.submit(&job).await?;
        self.stack.move_job_in((self.account, self.region), &job, JobStatus::Running).await?;
        Ok(job)
    }

    /// The request body that records this job for a run.
    #[must_use]
    pub fn head_job(job: &str) -> Value {
        json!({"jobId": job, "jobQueue": QUEUE, "region": REGION})
    }

    /// Creates a role with the statements of a launch, as an operator does, and assumes it.
    pub async fn role(&self, name: &str, statements: &Value) -> Result<Credentials> {
        let root = json!({"AWS": format!("arn:aws:iam::{ACCOUNT}:root")});
        self.create_role(name, &trust(&root), statements).await?;
        self.assume(name).await
    }

    /// Creates a job role or an execution role with these statements, and returns its ARN.
    pub async fn task_role(&self, name: &str, statements: &Value) -> Result<String> {
        self.create_role(name, &trust(&json!({"Service": "ecs-tasks.amazonaws.com"})), statements).await?;
        Ok(format!("arn:aws:iam::{ACCOUNT}:role/{name}"))
    }

    /// Replaces the trust policy of a role.
    pub(crate) async fn set_trust(&self, name: &str, policy: &str) -> Result<()> {
        self.iam(&[("Action", "UpdateAssumeRolePolicy"), ("RoleName", name), ("PolicyDocument", policy)])
            .await
    }

    /// Puts the end of a job on a bus of another account, as AWS Batch would.
    pub(crate) async fn put_event(&self, bus: &str, job: &str) -> Result<()> {
        let detail = json!({"jobId": job, "status": "SUCCEEDED"}).to_string();
        let entry = aws_sdk_eventbridge::types::PutEventsRequestEntry::builder()
            .event_bus_name(bus)
            .source("aws.batch")
            .detail_type("Batch Job State Change")
            .detail(detail)
            .build();
        let answer =
            aws_sdk_eventbridge::Client::new(&self.operator).put_events().entries(entry).send().await;
        let answer = answer.map_err(|error| failed("PutEvents", &error.into()))?;
        match answer.failed_entry_count() {
            0 => Ok(()),
            _ => Err(Error::answer("PutEvents", &"the event was refused")),
        }
    }

    /// Creates a role with this trust policy and these statements, which can be none.
    pub async fn create_role(&self, name: &str, trust: &str, statements: &Value) -> Result<()> {
        let policy = json!({"Version": "2012-10-17", "Statement": statements});
        self.iam(&[("Action", "CreateRole"), ("RoleName", name), ("AssumeRolePolicyDocument", trust)])
            .await?;
        if statements.as_array().is_some_and(Vec::is_empty) {
            return Ok(());
        }
        self.iam(&[
            ("Action", "PutRolePolicy"),
            ("RoleName", name),
            ("PolicyName", "read-copies"),
            ("PolicyDocument", &policy.to_string()),
        ])
        .await
    }

    /// Assumes the role, whose trust policy must allow the account to do so, and returns the
    /// session's credentials.
    pub async fn assume(&self, name: &str) -> Result<Credentials> {
        let session = aws_sdk_sts::Client::new(&self.operator)
            .assume_role()
            .role_arn(format!("arn:aws:iam::{ACCOUNT}:role/{name}"))
            .role_session_name("demo")
            .send()
            .await
            .map_err(|error| failed("AssumeRole", &error.into()))?;
        let session = session
            .credentials()
            .ok_or_else(|| Error::answer("AssumeRole", &"the response has no credentials"))?;
        Ok(Credentials {
            access_key_id: session.access_key_id().to_owned(),
            secret_access_key: session.secret_access_key().to_owned(),
            session_token: Some(session.session_token().to_owned()),
        })
    }

    async fn iam(&self, parameters: &[(&str, &str)]) -> Result<()> {
        let form: String = [("Version", "2010-05-08")]
            .iter()
            .chain(parameters)
            .map(|(name, value)| format!("{name}={}", percent_encoded(value)))
            .collect::<Vec<_>>()
            .join("&");
        let signature = format!(
            "AWS4-HMAC-SHA256 Credential={}/20260101/{}/iam/aws4_request, SignedHeaders=host, Signature=0",
            self.access_key, self.region
        );
        let answer = reqwest::Client::new()
            .post(&self.stack.aws_endpoint)
            .header("authorization", signature)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await
            .map_err(|error| Error::answer("IAM", &error))?;
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(Error::answer("IAM", &answer.status())),
        }
    }

    /// The number of a run's copies that are in Secrets Manager now.
    pub async fn copies(&self, run: &str) -> Result<usize> {
        let secrets = aws_sdk_secretsmanager::Client::new(&self.operator);
        let listed =
            secrets.list_secrets().send().await.map_err(|error| failed("ListSecrets", &error.into()))?;
        let prefix = format!("tower-{run}");
        let is_copy = |name: Option<&str>| name.is_some_and(|name| name.starts_with(&prefix));
        Ok(listed.secret_list().iter().filter(|secret| is_copy(secret.name())).count())
    }
}

/// Resolves `<secret ARN>:<NAME>::` as the ECS agent does: reads the secret's JSON and returns the
/// string under the name.
pub async fn resolve(role: &SdkConfig, value_from: &str) -> Result<String> {
    let parts: Vec<&str> = value_from.split(':').collect();
    let (arn, name) = (parts[..parts.len().min(7)].join(":"), parts.get(7).copied().unwrap_or_default());
    let secret = aws_sdk_secretsmanager::Client::new(role)
        .get_secret_value()
        .secret_id(arn)
        .send()
        .await
        .map_err(|error| failed("GetSecretValue", &error.into()))?;
    let text = secret.secret_string().unwrap_or_default();
    let bundle: Value =
        serde_json::from_str(text).map_err(|_| Error::answer("the copy", &"it is not JSON"))?;
    let value =
        bundle[name].as_str().ok_or_else(|| Error::answer("the copy", &"it does not contain the name"))?;
    Ok(value.to_owned())
}

/// Reports an AWS error without its text, which can contain parts of the request.
pub(crate) fn failed(operation: &str, error: &aws_sdk_sts::error::BoxError) -> Error {
    let text = format!("{error:?}");
    let denied = text.contains("AccessDenied");
    Error::answer(operation, &if denied { "AccessDenied" } else { "failed" })
}

fn trust(principal: &Value) -> String {
    let statement = json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

const QUEUE: &str = "heads";

/// Percent-encodes all but the unreserved characters (RFC 3986 §2.1).
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
