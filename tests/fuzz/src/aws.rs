//! A fake AWS for the real adapters: a function from a call to its answer.

use std::sync::{Arc, Mutex};

use aws_smithy_types::retry::RetryConfig;
use aws_types::SdkConfig;
use support::{Backend, Call, Lost, sdk_config};

pub(crate) use support::REGION;

/// A function from the name of a call to the body of its answer.
type Answers = dyn Fn(&str) -> Vec<u8> + Send + Sync;

/// The fake AWS, and the calls it received: the name, for example `GetItem` or method and path, and
/// the body.
#[derive(Clone)]
pub(crate) struct Aws {
    answer: Arc<Answers>,
    calls: Arc<Mutex<Vec<(String, String)>>>,
}

impl Aws {
    /// Creates a fake that answers calls with this function, with status 200.
    pub(crate) fn answering(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self { answer: Arc::new(answer), calls: Arc::default() }
    }

    /// Creates a fake whose table returns this row, in DynamoDB's JSON, for every key.
    pub(crate) fn holding(row: &str) -> Self {
        let row = row.to_owned();
        Self::answering(move |call| {
            let answer = match call {
                "GetItem" => format!("{{\"Item\":{row}}}"),
                "Query" => format!("{{\"Items\":[{row}]}}"),
                "BatchGetItem" => format!("{{\"Responses\":{{\"pipeline-secrets\":[{row}]}}}}"),
                _ => "{}".to_owned(),
            };
            answer.into_bytes()
        })
    }

    /// Creates a fake without data.
    pub(crate) fn empty() -> Self {
        Self::answering(|_| b"{}".to_vec())
    }

    /// Returns the received calls with their bodies.
    pub(crate) fn calls(&self) -> Vec<(String, String)> {
        self.calls.lock().expect("the calls").clone()
    }

    /// Returns a client configuration without retries.
    pub(crate) fn config(&self) -> SdkConfig {
        sdk_config(self.clone()).retry_config(RetryConfig::disabled()).build()
    }

    /// Returns the table's adapter.
    pub(crate) fn store(&self) -> store_dynamodb::Store {
        store_dynamodb::Store::new(aws_sdk_dynamodb::Client::new(&self.config()), "pipeline-secrets")
    }
}

impl std::fmt::Debug for Aws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Aws")
    }
}

impl Backend for Aws {
    async fn answer(&self, call: Call) -> Result<(u16, Vec<u8>), Lost> {
        let body = (self.answer)(&call.operation);
        self.calls.lock().expect("the calls").push((call.operation, call.body.to_string()));
        Ok((200, body))
    }
}

/// Runs a future on this thread's runtime.
pub(crate) fn wait<T>(work: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(work))
}

/// A backoff without retries.
pub(crate) struct NoWait;

#[async_trait::async_trait(?Send)]
impl domain::ports::Backoff for NoWait {
    async fn wait(&self, _: u32) -> bool {
        false
    }

    fn remaining(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }

    async fn pause(&self, _: std::time::Duration) {}
}

/// Returns a context with the current time and no retries.
pub(crate) fn context(settings: &domain::settings::Settings) -> domain::Context<'_> {
    domain::Context { now: domain::Timestamp::now(), randomness: &Fixed, backoff: &NoWait, settings }
}

/// Deterministic randomness.
pub(crate) struct Fixed;

impl domain::ports::Randomness for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}
