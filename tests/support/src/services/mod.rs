//! AWS in memory, as far as the functions use it: DynamoDB, KMS, Secrets Manager, EventBridge and Batch, without sockets
//! and without an SDK. A request is an operation and a JSON body; an answer is a status and a JSON body.

mod dynamodb;
mod limit;
mod others;
mod remote;
mod secrets;

use serde_json::{Value, json};

#[cfg(test)]
pub(crate) use dynamodb::{ATTRIBUTES, INDEXES};
pub use dynamodb::{Database, TABLE};
pub use limit::Limit;
pub use others::{Job, Notice, QUEUE};
pub use secrets::{StoredSecret, Target};

/// An answer: status and JSON body.
pub type Answer = (u16, Value);

/// One account in one region.
#[derive(Default)]
pub struct Services {
    /// DynamoDB.
    pub database: Database,
    /// Secrets Manager.
    pub target: Target,
    /// AWS Batch: jobs by id.
    pub jobs: Vec<Job>,
    /// EventBridge: what was put on the bus.
    pub notices: Vec<Notice>,
    /// Data keys that were decrypted: the encryption context of each.
    pub opened: Vec<Value>,
    nonce: u64,
}

impl Services {
    /// Answers a request: the operation as `x-amz-target` names it behind its dot, or method and path.
    pub fn answer(&mut self, operation: &str, body: &Value) -> Answer {
        match operation {
            "Decrypt" => self.decrypt(body),
            "GenerateDataKey" => self.generate_data_key(body),
            "DescribeKey" => (200, json!({ "KeyMetadata": { "KeyId": body["KeyId"] } })),
            "PutEvents" => self.put_events(body),
            "POST /v1/describejobs" => self.describe_jobs(body),
            "CreateSecret" | "DescribeSecret" | "DeleteSecret" | "ListSecrets" => {
                self.target.answer(operation, body)
            }
            _ => self.database.answer(operation, body),
        }
    }

    /// A number that was never given before.
    fn next(&mut self) -> u64 {
        self.nonce += 1;
        self.nonce
    }
}

/// A refusal as AWS's JSON services write it.
#[must_use]
pub fn refusal(code: &str) -> Answer {
    (400, json!({ "__type": code, "message": "refused by a test" }))
}
