//! The browser, the service, and the people of the README's story.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use console_tests::{AUDIENCE, Browser, CLIENT, Page, Provider, Proxy};
use end_to_end::{Harness, MARK};
use local::{Progress, Tools};
use serde_json::{Value, json};

/// The people: names and roles.
const PEOPLE: [(&str, &str); 3] = [("olivia", "owner"), ("liam", "launch"), ("vera", "view")];

/// An account in which runs can execute.
pub(crate) const OTHER_ACCOUNT: &str = "210987654321";

pub(crate) struct Fixture {
    pub(crate) browser: Browser,
    pub(crate) proxy: Proxy,
    /// A provider for people, if it is installed.
    pub(crate) provider: Option<Provider>,
    pub(crate) org: i64,
    /// The workspace of the tests, called `genomics`.
    pub(crate) workspace: i64,
    /// The workspace of the pictures, called `variants`.
    pub(crate) other_workspace: i64,
    harness: Harness,
    tokens: Vec<String>,
    /// What the browser logged so far.
    logged: Mutex<Vec<Value>>,
}

impl Fixture {
    /// Starts the browser, then the service. `None` without a browser.
    pub(crate) async fn start() -> Option<Self> {
        let browser = Browser::start().await?;
        // The browser's own start page is not part of what the tests look at.
        browser.open("about:blank").await;
        browser.log("performance").await;
        let provider = Provider::start(&root().join(".local/console-checks")).await;
        assert!(
            provider.is_some() || std::env::var_os("CI").is_none(),
            "no test may be skipped in CI: tests/console/install-checkers installs the provider"
        );
        let issuers = provider.as_ref().map_or_else(String::new, |provider| {
            json!([{"issuer": provider.issuer, "audience": AUDIENCE, "kind": "people", "clientId": CLIENT, "signUp": true}])
                .to_string()
        });
        let parameters = [
            ("OidcIssuers", issuers.as_str()),
            ("AuthorizerCacheSeconds", "2"), // tests of revoked tokens wait for the cache
            ("ComputeAccounts", OTHER_ACCOUNT),
            ("DeletionProtection", "false"),
            ("ThrottleRate", "10000"),
            ("ThrottleBurst", "10000"),
        ];
        let harness = Harness::start(&parameters).await.expect("a deployed stack");
        let user = |name: &str| json!({"userName": name, "email": format!("{name}@example.org"), "tokens": [{"name": "laptop"}]});
        let participants: Vec<_> =
            PEOPLE.iter().map(|(name, role)| json!({"user": name, "role": role})).collect();
        let document = json!({
        "users": [user("olivia"), user("liam"), user("vera"), user("maya")],
        "organizations": [{"name": "example", "workspaces": [
            {"name": "genomics", "fullName": "Example genomics", "platforms": ["aws-batch", "slurm"], "participants": participants},
            {"name": "variants", "fullName": "Variant calling", "platforms": ["aws-batch", "slurm"], "participants": participants},
        ]}]});
        let applied = harness.stack.invoke("identity", &json!({"apply": document})).await.expect("identity");
        let tokens = applied["users"]
            .as_array()
            .expect("users")
            .iter()
            .map(|user| text(&user["tokens"][0]["accessKey"]));
        let organization = &applied["organizations"][0];
        let id = |value: &Value| value["id"].as_i64().expect("an id");
        let proxy = Proxy::start(&harness.stack.api_endpoint).await;
        Some(Self {
            browser,
            proxy,
            provider,
            org: id(organization),
            workspace: id(&organization["workspaces"][0]),
            other_workspace: id(&organization["workspaces"][1]),
            tokens: tokens.collect(),
            harness,
            logged: Mutex::default(),
        })
    }

    /// Deploys again without the console. Returns the status of `GET /console` before and after,
    /// and the resources that are left of it.
    pub(crate) async fn leave_out_the_console(&mut self) -> (u16, u16, Vec<String>) {
        let page = format!("{}/console", self.harness.stack.api_endpoint);
        let client = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        let status = async || client.get(&page).send().await.expect("an answer").status().as_u16();
        let before = status().await;
        let tools = Tools::ready(Progress::Quiet).await.expect("tools");
        let parameters = [("ServeConsole", "false"), ("DeletionProtection", "false")];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        self.harness.stack.update(&tools, &parameters).await.expect("an update");
        let left = self.harness.stack.deployed.resources.keys();
        (before, status().await, left.filter(|name| name.starts_with("Console")).cloned().collect())
    }

    pub(crate) async fn stop(self) {
        self.browser.stop().await;
        self.harness.stop().await.expect("a stopped stack");
    }

    pub(crate) fn page(&self) -> Page<'_> {
        Page { browser: &self.browser }
    }

    pub(crate) fn token(&self, name: &str) -> &str {
        // Maya is a user without a role.
        let index = PEOPLE.iter().position(|(known, _)| *known == name).unwrap_or(PEOPLE.len());
        &self.tokens[index]
    }

    /// Opens the console in a new document and signs in with a token.
    pub(crate) async fn sign_in_with(&self, token: &str) -> Page<'_> {
        self.keep_log().await;
        self.browser.open("about:blank").await;
        self.browser.open(&format!("{}/console", self.proxy.endpoint)).await;
        let page = self.page();
        page.type_into("Access token", token).await;
        page.click("Sign in").await;
        page.sees("My secrets").await;
        page
    }

    pub(crate) async fn sign_in(&self, name: &str) -> Page<'_> {
        self.sign_in_with(self.token(name)).await
    }

    /// Signs in and opens a view of the workspace.
    pub(crate) async fn view(&self, name: &str, view: &str) -> Page<'_> {
        let page = self.sign_in(name).await;
        page.click_workspace().await;
        if view != "Secrets" {
            page.click(view).await;
        }
        page.sees(&format!("example / genomics: {view}")).await;
        page.settles().await;
        page
    }

    /// Calls the API as a person, without the browser.
    pub(crate) async fn call(&self, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}{path}", self.harness.stack.api_endpoint);
        let client = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        let mut request = client.request(method.parse().expect("a method"), url).bearer_auth(token);
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    /// Starts a head job for the run and records it.
    pub(crate) async fn record_head_job(&self, run: &str, token: &str) {
        let job = self.harness.head_job(run).await;
        let (status, answer) = self.call(token, "PUT", &format!("/runs/{run}/head-job"), &job).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// Deploys the role of a workspace's only credentials, as an administrator of the other account
    /// does.
    pub(crate) async fn deploy_the_role(&self, region: &str) {
        let scope = format!("?workspaceId={}", self.workspace);
        let get = async |path: &str| {
            let path = format!("{path}{scope}");
            self.call(self.token("olivia"), "GET", &path, &Value::Null).await.1
        };
        let list = get("/credentials").await;
        let described = get(&format!("/credentials/{}", text(&list["credentials"][0]["id"]))).await;
        let tools = Tools::ready(Progress::Quiet).await.expect("tools");
        let (place, parameters) = ((OTHER_ACCOUNT, region), &described["setup"]["parameters"]);
        self.harness.stack.deploy_environment(&tools, place, parameters).await.expect("a role");
    }

    /// Stores a workspace secret as its owner, unless it exists.
    pub(crate) async fn store(&self, name: &str) {
        let path = format!("/pipeline-secrets?workspaceId={}", self.workspace);
        let body = json!({"name": name, "value": format!("{MARK} stored")});
        let (status, answer) = self.call(self.token("olivia"), "POST", &path, &body).await;
        assert!(status == 200 || status == 409, "{status} {answer}");
    }

    /// Keeps what the browser logged, before another document is opened.
    pub(crate) async fn keep_log(&self) {
        for kind in ["browser", "performance"] {
            let entries = self.browser.log(kind).await;
            self.logged.lock().expect("the log").extend(entries);
        }
    }

    pub(crate) fn logged(&self) -> Vec<Value> {
        self.logged.lock().expect("the log").clone()
    }

    /// Saves a picture of the whole page in `target/console`, for the documents.
    pub(crate) async fn picture(&self, name: &str) {
        let size = "return [innerWidth, Math.min(Math.max(document.body.scrollHeight, 480), 1600), matchMedia('(prefers-color-scheme: dark)').matches]";
        let shown = self.browser.run(size, &[]).await;
        let number =
            |index: usize| shown[index].as_u64().and_then(|it| u32::try_from(it).ok()).expect("a size");
        self.browser.show_as(number(0), number(1), shown[2] == true).await;
        let folder = root().join("target/console");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(format!("{name}.png")), self.browser.picture().await).expect("a picture");
    }
}

/// The steps of several tests.
pub(crate) trait Steps {
    async fn click_workspace(&self);
}

impl Steps for Page<'_> {
    async fn click_workspace(&self) {
        let script = "const link = [...document.querySelectorAll('ul.cards a')].find((one) => one.textContent.includes('genomics')); link?.click(); return link && true";
        self.until("choose the workspace", script, &[]).await;
    }
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}
