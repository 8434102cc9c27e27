//! Chromium, driven over `WebDriver` (<https://www.w3.org/TR/webdriver2/>), JSON over HTTP. The
//! tests need ten of its commands. Of the crates for it, thirtyfour changes the features of
//! `serde_json` for the whole workspace, and the license of fantoccini's protocol crate is not in
//! `deny.toml`.

use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// The key under which `WebDriver` refers to an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser window. It closes when this value is dropped.
pub struct Browser {
    http: reqwest::Client,
    /// The URL of the session.
    session: String,
    _driver: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts Chromium with an empty profile. Returns `None` if it is not installed.
    pub async fn start() -> Option<Self> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .ok()?;
        let mut lines = BufReader::new(driver.stdout.take().expect("its output")).lines();
        let port = loop {
            let line = lines.next_line().await.expect("its output").expect("the port of chromedriver");
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let profile = tempfile::tempdir().expect("a folder");
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(2)).build();
        let http = http.expect("an HTTP client");
        let created = http
            .post(format!("http://127.0.0.1:{port}/session"))
            .json(&capabilities(profile.path().to_str().expect("a path")));
        let created: Value = created.send().await.expect("a session").json().await.expect("JSON");
        let id = created["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {created}"));
        let session = format!("http://127.0.0.1:{port}/session/{id}");
        Some(Self { http, session, _driver: driver, _profile: profile })
    }

    async fn command(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let mut request = self.http.request(method, format!("{}{path}", self.session));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer: Value = request.send().await.expect("chromedriver").json().await.expect("JSON");
        match answer["value"]["error"].as_str() {
            Some(error) => {
                Err(format!("{error}: {}", answer["value"]["message"].as_str().unwrap_or_default()))
            }
            None => Ok(answer["value"].clone()),
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.command(Method::POST, path, Some(body)).await
    }

    /// Opens an address and waits until it is loaded.
    pub async fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url })).await.expect("a page");
    }

    /// Runs the body of a function in the page and returns its result. It may return a promise.
    pub async fn run(&self, script: &str, arguments: &[Value]) -> Value {
        self.try_run(script, arguments).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Like [`run`](Self::run), with the error.
    pub async fn try_run(&self, script: &str, arguments: &[Value]) -> Result<Value, String> {
        self.post("/execute/sync", &json!({ "script": script, "args": arguments })).await
    }

    /// Clicks an element that a script returned, where a person would.
    pub async fn click(&self, element: &Value) -> Result<(), String> {
        let id = element[ELEMENT].as_str().ok_or("not an element")?;
        self.post(&format!("/element/{id}/click"), &json!({})).await.map(drop)
    }

    /// Types into an element that a script returned. For a file field, the text is a path.
    pub async fn type_into(&self, element: &Value, text: &str) -> Result<(), String> {
        let id = element[ELEMENT].as_str().ok_or("not an element")?;
        self.post(&format!("/element/{id}/value"), &json!({ "text": text })).await.map(drop)
    }

    /// Presses keys, wherever the focus is.
    pub async fn press(&self, keys: &str) {
        let down_and_up = |key: char| {
            [
                json!({"type": "keyDown", "value": key.to_string()}),
                json!({"type": "keyUp", "value": key.to_string()}),
            ]
        };
        let actions: Vec<_> = keys.chars().flat_map(down_and_up).collect();
        let body = json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]});
        self.post("/actions", &body).await.expect("keys");
    }

    /// Calls the `DevTools` protocol: <https://chromedevtools.github.io/devtools-protocol/>.
    pub async fn devtools(&self, command: &str, parameters: &Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.post("/goog/cdp/execute", &body).await.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Returns and clears a log: `browser` (the console, with violations of policies) or
    /// `performance` (every request).
    pub async fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.post("/se/log", &json!({ "type": kind })).await.expect("a log");
        entries.as_array().cloned().unwrap_or_default()
    }

    /// Returns a picture of the window, as PNG.
    pub async fn picture(&self) -> Vec<u8> {
        let picture = self.command(Method::GET, "/screenshot", None).await.expect("a picture");
        STANDARD.decode(picture.as_str().unwrap_or_default()).expect("base64")
    }

    /// Shows pages in this size, as on a device, in light or dark.
    pub async fn show_as(&self, width: u32, height: u32, dark: bool) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics).await;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", &features).await;
    }

    /// Ends the session, so that no process is left.
    pub async fn stop(self) {
        let _ = self.command(Method::DELETE, "", None).await;
    }
}

fn capabilities(profile: &str) -> Value {
    let arguments = [
        "--headless=new",
        "--no-sandbox", // for root, in a container
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--no-proxy-server",
        "--lang=en-US",
        "--window-size=1200,900",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    ];
    let mut arguments: Vec<String> = arguments.map(str::to_owned).into();
    arguments.push(format!("--user-data-dir={profile}"));
    json!({"capabilities": {"alwaysMatch": {
        "browserName": "chrome",
        "goog:chromeOptions": {"args": arguments},
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        "timeouts": {"script": 60_000, "pageLoad": 60_000},
    }}})
}
