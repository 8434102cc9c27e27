//! The service, deployed to a separate emulator. The commands, the demo and the end-to-end tests
//! use it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::emulator::{Emulator, EmulatorOptions, Saved, client};
use crate::program::run_script;
use crate::{Checkout, Error, Installation, Packages, Progress, Result};

/// The emulator's region.
pub const REGION: &str = "us-east-1";
/// The emulator's account.
pub const ACCOUNT: &str = "123456789012";
/// The bucket for the functions' zips.
const CODE_BUCKET: &str = "functions";

/// What all stacks of a checkout share: the installed emulator and the packaged functions.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The checkout.
    pub checkout: Checkout,
    /// The emulator.
    pub installation: Installation,
    /// The functions.
    pub packages: Packages,
}

impl Tools {
    /// Installs and builds what is missing or has changed. This takes minutes the first time and
    /// seconds later.
    pub async fn ready(progress: Progress) -> Result<Self> {
        let checkout = Checkout::find()?;
        let installation = Installation::ready(&checkout, progress).await?;
        let packages = Packages::build(&checkout, &installation, progress).await?;
        Ok(Self { checkout, installation, packages })
    }
}

/// Credentials of the emulator.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// The access key id.
    pub access_key_id: String,
    /// The secret access key, which has no meaning outside the emulator.
    pub secret_access_key: String,
    /// The session token, if these are a role's credentials.
    pub session_token: Option<String>,
}

impl Credentials {
    /// The credentials of the operator, who may do everything except what a key policy forbids.
    #[must_use]
    pub fn operator() -> Self {
        Self { access_key_id: "test".to_owned(), secret_access_key: "test".to_owned(), session_token: None }
    }
}

/// The result of a deployment.
#[derive(Clone, Debug, Deserialize)]
pub struct Deployed {
    /// `created`, `updated` or `unchanged`.
    pub status: String,
    /// The template's outputs.
    pub outputs: BTreeMap<String, String>,
    /// The physical id of each resource, by its logical id in the template.
    pub resources: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct DeployRequest<'a> {
    endpoint: &'a str,
    stack: &'a str,
    template: PathBuf,
    parameters: BTreeMap<String, String>,
    bucket: &'a str,
    prefix: &'a str,
    zips: &'a BTreeMap<String, PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
}

/// A deployed service on a running emulator.
#[derive(Debug)]
pub struct Stack {
    /// The URL for AWS SDKs and the AWS CLI, without a trailing slash.
    pub aws_endpoint: String,
    /// The base URL of the service's API, without a trailing slash.
    pub api_endpoint: String,
    /// The result of the last deployment.
    pub deployed: Deployed,
    name: String,
    emulator: Emulator,
    http: reqwest::Client,
}

impl Stack {
    /// Starts an emulator and deploys the template, with `parameters` in addition to those that a
    /// local stack needs.
    pub async fn start(
        tools: &Tools,
        options: &EmulatorOptions,
        parameters: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let emulator = Emulator::start(&tools.checkout, &tools.installation, options).await?;
        Self::on(tools, emulator, &options.deployment, parameters).await
    }

    /// Deploys the template to a running emulator: creates the stack, or updates it and keeps its
    /// data.
    pub async fn on(
        tools: &Tools,
        emulator: Emulator,
        name: &str,
        parameters: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let addresses = emulator.addresses().clone();
        let deployed =
            deploy(tools, &addresses.aws_endpoint, &addresses.api_endpoint, name, parameters).await?;
        Ok(Self {
            aws_endpoint: addresses.aws_endpoint,
            api_endpoint: addresses.api_endpoint,
            deployed,
            name: name.to_owned(),
            emulator,
            http: client(),
        })
    }

    /// Deploys again with other parameters. Parameters that are not named return to their defaults.
    pub async fn update(&mut self, tools: &Tools, parameters: &BTreeMap<String, String>) -> Result<()> {
        self.deployed = deploy(tools, &self.aws_endpoint, &self.api_endpoint, &self.name, parameters).await?;
        Ok(())
    }

    /// Deploys the template again under another name on the same emulator. Its API has no separate
    /// port: its base URL is the output `ApiEndpoint`.
    pub async fn deploy_beside(
        &self,
        tools: &Tools,
        name: &str,
        parameters: &BTreeMap<String, String>,
    ) -> Result<Deployed> {
        let first = deploy(tools, &self.aws_endpoint, "", name, parameters).await?;
        let api = first.outputs.get("ApiId").cloned().unwrap_or_default();
        let endpoint = format!("{}/_aws/execute-api/{api}/$default", self.aws_endpoint);
        deploy(tools, &self.aws_endpoint, &endpoint, name, parameters).await
    }

    /// The deployment's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns an output of the template.
    pub fn output(&self, name: &str) -> Result<&str> {
        let found = self.deployed.outputs.get(name).map(String::as_str);
        found.ok_or_else(|| Error::answer("the template's outputs", &format!("{name} is missing")))
    }

    /// Returns the deployed name of the function in this folder.
    pub fn function(&self, folder: &str) -> Result<&str> {
        self.output(&format!("{}Function", pascal_case(folder)))
    }

    /// Invokes a function and returns its response. If the function fails, the error contains only
    /// its error type.
    pub async fn invoke(&self, folder: &str, payload: &Value) -> Result<Value> {
        let what = format!("invoking {folder}");
        let name = self.function(folder)?;
        let url = format!("{}/2015-03-31/functions/{name}/invocations", self.aws_endpoint);
        // The emulator does not check the operator's signature.
        let signature = format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/lambda/aws4_request, SignedHeaders=host, Signature=0"
        );
        let sent = self.http.post(url).header("authorization", signature).json(payload);
        let answer = sent.send().await.map_err(|error| Error::answer(&what, &error))?;
        let (status, failed) = (answer.status(), answer.headers().contains_key("x-amz-function-error"));
        let body = answer.bytes().await.map_err(|error| Error::answer(&what, &error))?;
        let value: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if failed || !status.is_success() {
            let kind = value["errorType"].as_str().unwrap_or(status.as_str()).to_owned();
            return Err(Error::answer(what, &kind));
        }
        Ok(value)
    }

    /// Returns the credentials of a function, to test what its role may do.
    pub async fn credentials(&self, folder: &str) -> Result<Credentials> {
        self.credentials_of(self.function(folder)?).await
    }

    /// Deploys the template of compute environments in another account and region, with these
    /// parameters.
    pub async fn deploy_environment(
        &self,
        tools: &Tools,
        (account, region): (&str, &str),
        parameters: &Value,
    ) -> Result<Deployed> {
        let parameters = parameters.as_object().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        // Names of buckets are unique across accounts.
        let bucket = format!("{CODE_BUCKET}-{account}-{region}");
        let request = DeployRequest {
            endpoint: &self.aws_endpoint,
            stack: "environment",
            template: tools.checkout.root().join("infra/compute-environment.yaml"),
            parameters: parameters.map(|(name, value)| (name.clone(), text(value))).collect(),
            bucket: &bucket,
            prefix: "environment",
            zips: &BTreeMap::new(),
            account: Some(account),
            region: Some(region),
        };
        let script = tools.checkout.emulator_folder().join("deploy.py");
        let python = tools.installation.python();
        run_script(&python, &script, &request, "deploying infra/compute-environment.yaml").await
    }

    /// Returns the credentials of a function by its deployed name, which can belong to another
    /// stack on the same emulator.
    pub async fn credentials_of(&self, function: &str) -> Result<Credentials> {
        let action = format!("functions/{function}/credentials");
        let found = self.admin(reqwest::Method::GET, &action, None).await?;
        serde_json::from_value(found).map_err(|error| Error::answer(action, &error))
    }

    /// Returns the configuration with which the AWS SDK reaches this stack.
    pub async fn sdk_config(&self, credentials: &Credentials) -> SdkConfig {
        let provider = aws_sdk_sts::config::Credentials::new(
            &credentials.access_key_id,
            &credentials.secret_access_key,
            credentials.session_token.clone(),
            None,
            "local stack",
        );
        aws_config::defaults(BehaviorVersion::latest())
            .credentials_provider(provider)
            .region(Region::new(REGION))
            .endpoint_url(&self.aws_endpoint)
            .load()
            .await
    }

    /// Returns the environment variables with which the AWS CLI and programs under test reach this
    /// stack.
    #[must_use]
    pub fn environment(&self, credentials: &Credentials) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::from([
            ("AWS_ACCESS_KEY_ID".to_owned(), credentials.access_key_id.clone()),
            ("AWS_SECRET_ACCESS_KEY".to_owned(), credentials.secret_access_key.clone()),
            ("AWS_DEFAULT_REGION".to_owned(), REGION.to_owned()),
            ("AWS_REGION".to_owned(), REGION.to_owned()),
            ("AWS_ENDPOINT_URL".to_owned(), self.aws_endpoint.clone()),
        ]);
        if let Some(token) = &credentials.session_token {
            variables.insert("AWS_SESSION_TOKEN".to_owned(), token.clone());
        }
        variables
    }

    /// Makes `ListSecrets` show the account as of this time, at most five minutes ago, because
    /// lists on AWS can lag. `None` ends this.
    pub async fn list_secrets_as_of(&self, when: Option<SystemTime>) -> Result<()> {
        let since_1970 = when.and_then(|when| when.duration_since(UNIX_EPOCH).ok());
        let body = json!({ "asOf": since_1970.map(|time| time.as_secs_f64()) });
        self.admin(reqwest::Method::PUT, "secretsmanager/list", Some(&body)).await.map(drop)
    }

    /// Saves the state now, as a stop does. Otherwise a change is saved within two seconds.
    pub async fn save(&self) -> Result<()> {
        self.emulator.save().await
    }

    /// What the emulator has saved. `None`: its state is not kept.
    pub async fn saved(&self) -> Result<Option<Saved>> {
        self.emulator.saved().await
    }

    /// Stops the emulator and waits until its state is saved.
    pub async fn stop(self) -> Result<()> {
        self.emulator.stop().await
    }

    /// Calls an action of the emulator that AWS does not have (`infra/local/emulator/admin.py`
    /// lists the actions).
    pub(crate) async fn admin(
        &self,
        method: reqwest::Method,
        action: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        let url = format!("{}/_local/{action}", self.aws_endpoint);
        let mut request = self.http.request(method, url);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| Error::answer(action, &error))?;
        let succeeded = answer.status().is_success();
        let content: Value = answer.json().await.map_err(|error| Error::answer(action, &error))?;
        if succeeded {
            Ok(content)
        } else {
            Err(Error::answer(action, &content["message"].as_str().unwrap_or_default()))
        }
    }
}

async fn deploy(
    tools: &Tools,
    aws_endpoint: &str,
    api_endpoint: &str,
    name: &str,
    parameters: &BTreeMap<String, String>,
) -> Result<Deployed> {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    let mut all = BTreeMap::from([
        ("Architecture".to_owned(), architecture.to_owned()),
        ("CodeBucket".to_owned(), CODE_BUCKET.to_owned()),
        ("CodePrefix".to_owned(), tools.packages.prefix.clone()),
        ("PublicEndpoint".to_owned(), api_endpoint.to_owned()),
        ("RunPrefix".to_owned(), run_prefix(name)),
        // Tests send more requests than people.
        ("ThrottleRate".to_owned(), "1000".to_owned()),
        ("ThrottleBurst".to_owned(), "2000".to_owned()),
    ]);
    all.extend(parameters.clone());
    let request = DeployRequest {
        endpoint: aws_endpoint,
        stack: name,
        template: tools.checkout.template(),
        parameters: all,
        bucket: CODE_BUCKET,
        prefix: &tools.packages.prefix,
        zips: &tools.packages.zips,
        account: None,
        region: None,
    };
    let script = tools.checkout.emulator_folder().join("deploy.py");
    run_script(&tools.installation.python(), &script, &request, "deploying infra/template.yaml").await
}

/// Derives the run prefix from the stack's name, so that it is the same in every deployment.
/// `infra/deploy` makes a random one.
fn run_prefix(name: &str) -> String {
    // FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv
    let hash =
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{:04x}", hash >> 16)
}

fn pascal_case(folder: &str) -> String {
    folder
        .split('-')
        .flat_map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stack_name_has_a_different_run_prefix() {
        assert_eq!(run_prefix("rights").len(), 4);
        assert_ne!(run_prefix("rights"), run_prefix("beside"));
        assert_eq!(run_prefix("rights"), run_prefix("rights"));
    }

    #[test]
    fn the_name_of_a_resource_derives_from_the_functions_folder() {
        assert_eq!(pascal_case("read-secrets"), "ReadSecrets");
        assert_eq!(pascal_case("identity"), "Identity");
    }
}
