//! A deployed service for as long as its tests take.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_config::SdkConfig;
use local::{Credentials, Emulator, EmulatorOptions, Lifetime, Progress, Stack, Tools};

/// Stands in every value that tests store: wherever it turns up beside a run's copies and claims, a value got out.
pub const MARK: &str = "kAnArIeNvOgEl";

/// A deployed service.
pub struct Harness {
    /// Where it is.
    pub stack: Stack,
    pub(crate) http: reqwest::Client,
    pub(crate) operator: SdkConfig,
    tokens: Mutex<Vec<String>>,
    worlds: AtomicU32,
    template: PathBuf,
    pub(crate) folder: tempfile::TempDir,
}

impl Harness {
    /// Builds what is missing, and deploys the template on free ports of loopback with these parameters. It is gone with
    /// this value, or with the process.
    pub async fn start(parameters: &[(&str, &str)]) -> local::Result<Self> {
        Self::start_behind(parameters, None, |_| ()).await
    }

    /// The same, its functions finding AWS at another address: that of something in front of it, which is told where AWS
    /// is before anything asks.
    pub async fn start_behind(
        parameters: &[(&str, &str)],
        functions_endpoint: Option<&str>,
        tell: impl FnOnce(&str),
    ) -> local::Result<Self> {
        let tools = Tools::ready(Progress::Quiet).await?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = EmulatorOptions {
            folder: folder.path().join("stack"),
            deployment: "pipeline-secrets-test".to_owned(),
            aws_port: 0,
            api_port: 0,
            lifetime: Lifetime::Passing,
        };
        let parameters: BTreeMap<_, _> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (checkout, installation) = (&tools.checkout, &tools.installation);
        let emulator = Emulator::start_behind(checkout, installation, &options, functions_endpoint).await?;
        tell(&emulator.addresses().aws_endpoint);
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

    /// Stops it, and removes what it wrote.
    pub async fn stop(self) -> local::Result<()> {
        self.stack.stop().await?;
        // What is left in a temporary folder is no failure.
        let _ = self.folder.close();
        Ok(())
    }

    /// The deployed template, as it is written.
    #[must_use]
    pub fn template(&self) -> String {
        std::fs::read_to_string(&self.template).expect("the template")
    }

    /// What the emulator itself printed.
    #[must_use]
    pub fn emulator_log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stack/emulator.log")).expect("the emulator's log")
    }

    /// A number that no other world of this harness has.
    pub(crate) fn next_world(&self) -> u32 {
        self.worlds.fetch_add(1, Ordering::Relaxed)
    }

    /// Remembers a token that was handed out, to look for it where it must not be.
    pub fn handed_out(&self, token: &str) {
        self.tokens.lock().expect("the tokens").push(token.to_owned());
    }

    /// Every token that was handed out.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        self.tokens.lock().expect("the tokens").clone()
    }
}
