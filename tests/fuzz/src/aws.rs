//! AWS as a function from a call to its answer, behind the real adapters.

use std::sync::{Arc, Mutex};

use aws_smithy_types::retry::RetryConfig;
use aws_types::SdkConfig;
use support::{Backend, Call, Lost, sdk_config};

pub(crate) use support::REGION;

/// From the name of a call to the body of its answer.
type Answers = dyn Fn(&str) -> Vec<u8> + Send + Sync;

/// What answers, and the calls that came: a name, as in `GetItem` or method and path, and a body.
#[derive(Clone)]
pub(crate) struct Aws {
    answer: Arc<Answers>,
    calls: Arc<Mutex<Vec<(String, String)>>>,
}

impl Aws {
    /// AWS that answers a call of this name so, with status 200.
    pub(crate) fn answering(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self { answer: Arc::new(answer), calls: Arc::default() }
    }

    /// AWS whose table holds this one row, in DynamoDB's JSON, wherever it is looked for.
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

    /// AWS in which there is nothing.
    pub(crate) fn empty() -> Self {
        Self::answering(|_| b"{}".to_vec())
    }

    /// The calls that came, each with its body.
    pub(crate) fn calls(&self) -> Vec<(String, String)> {
        self.calls.lock().expect("the calls").clone()
    }

    /// A client's configuration without retries.
    pub(crate) fn config(&self) -> SdkConfig {
        sdk_config(self.clone()).retry_config(RetryConfig::disabled()).build()
    }

    /// The table's adapter.
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

/// Runs to the end, on a runtime of this thread.
pub(crate) fn wait<T>(work: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(work))
}

/// Time for nothing twice: what is contended is contended at once.
pub(crate) struct NoWait;

#[async_trait::async_trait(?Send)]
impl domain::ports::Backoff for NoWait {
    async fn wait(&self, _: u32) -> bool {
        false
    }

    fn has_time(&self) -> bool {
        true
    }
}

/// What a handler is given at the present, in a hurry.
pub(crate) fn context(settings: &domain::settings::Settings) -> domain::Context<'_> {
    domain::Context { now: domain::Timestamp::now(), randomness: &Fixed, backoff: &NoWait, settings }
}

/// Randomness that is the same every time.
pub(crate) struct Fixed;

impl domain::ports::Randomness for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}
