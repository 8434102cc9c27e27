//! A service that is deployed for the duration of its tests.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_config::SdkConfig;
use local::{Credentials, Emulator, EmulatorOptions, Progress, Stack, Tools};

/// Is part of every value that tests store. Outside a run's copies and claims, it is a leaked
/// value.
pub const MARK: &str = "kAnArIeNvOgEl";

/// A deployed service.
pub struct Harness {
    /// The local stack.
    pub stack: Stack,
    pub(crate) http: reqwest::Client,
    pub(crate) operator: SdkConfig,
    tokens: Mutex<Vec<String>>,
    worlds: AtomicU32,
    template: PathBuf,
    pub(crate) folder: tempfile::TempDir,
}

impl Harness {
    /// Builds what is missing, and deploys the template with these parameters on free loopback
    /// ports. The stack stops when this value is dropped or the process exits.
    pub async fn start(parameters: &[(&str, &str)]) -> local::Result<Self> {
        Self::start_behind(parameters, None, |_| ()).await
    }

    /// Like [`start`](Self::start), but the functions call AWS at `functions_endpoint`, a proxy.
    /// `set_upstream` receives the address of AWS before the first call.
    pub async fn start_behind(
        parameters: &[(&str, &str)],
        functions_endpoint: Option<&str>,
        set_upstream: impl FnOnce(&str),
    ) -> local::Result<Self> {
        let tools = Tools::ready(Progress::Quiet).await?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = EmulatorOptions::for_test(folder.path().join("stack"), "pipeline-secrets-test");
        let parameters: BTreeMap<_, _> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (checkout, installation) = (&tools.checkout, &tools.installation);
        let emulator = Emulator::start_behind(checkout, installation, &options, functions_endpoint).await?;
        set_upstream(&emulator.addresses().aws_endpoint);
        let stack = Stack::on(&tools, emulator, &options.deployment, &parameters).await?;
        let operator = stack.sdk_config(&Credentials::operator()).await;
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        let template = tools.checkout.template();
        let harness = Self {
            stack,
            http,
            operator,
            tokens: Mutex::default(),
            worlds: AtomicU32::new(0),
            template,
            folder,
        };
        harness.keep_events().await;
        Ok(harness)
    }

    /// Stops the stack and removes its files.
    pub async fn stop(self) -> local::Result<()> {
        self.stack.stop().await?;
        // Files left in a temporary folder are not a failure.
        let _ = self.folder.close();
        Ok(())
    }

    /// Returns the source of the deployed template.
    #[must_use]
    pub fn template(&self) -> String {
        std::fs::read_to_string(&self.template).expect("the template")
    }

    /// Returns the emulator's log.
    #[must_use]
    pub fn emulator_log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stack/emulator.log")).expect("the emulator's log")
    }

    /// Returns a number that is unique among the worlds of this harness.
    pub(crate) fn next_world(&self) -> u32 {
        self.worlds.fetch_add(1, Ordering::Relaxed)
    }

    /// Records an issued token, so that later checks can search for it.
    pub fn record_token(&self, token: &str) {
        self.tokens.lock().expect("the tokens").push(token.to_owned());
    }

    /// Returns every recorded token.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        self.tokens.lock().expect("the tokens").clone()
    }
}
