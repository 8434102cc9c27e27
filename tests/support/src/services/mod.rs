//! AWS in memory, as far as the functions use it: DynamoDB, KMS, Secrets Manager, EventBridge and
//! Batch, without sockets and without an SDK. A request is an operation and a JSON body. An answer
//! is a status and a JSON body.

mod dynamodb;
mod elsewhere;
mod limit;
mod others;
mod remote;
mod secrets;

use serde_json::{Value, json};

use others::describe;

#[cfg(test)]
pub(crate) use dynamodb::{ATTRIBUTES, INDEXES};
pub use dynamodb::{Database, TABLE};
pub use elsewhere::{Elsewhere, in_xml, is_session};
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
    /// Another account and region.
    pub elsewhere: Elsewhere,
    /// EventBridge: the events on the bus.
    pub notices: Vec<Notice>,
    /// The encryption contexts of the decrypted data keys.
    pub opened: Vec<Value>,
    nonce: u64,
}

impl Services {
    /// Answers a request with this access key: one of a session goes to the other account.
    pub fn answer_to(&mut self, access_key: &str, operation: &str, body: &Value) -> Answer {
        match is_session(access_key) {
            true => self.elsewhere.answer(access_key, operation, body),
            false => self.answer(operation, body),
        }
    }

    /// Answers a request. The operation is the part of `x-amz-target` after the dot, or method and
    /// path.
    pub fn answer(&mut self, operation: &str, body: &Value) -> Answer {
        match operation {
            "Decrypt" => self.decrypt(body),
            "GenerateDataKey" => self.generate_data_key(body),
            "DescribeKey" => (200, json!({ "KeyMetadata": { "KeyId": body["KeyId"] } })),
            "PutEvents" => self.put_events(body),
            "POST /v1/describejobs" => describe(&self.jobs, body),
            "AssumeRole" => self.elsewhere.assume_role(body),
            "CreateSecret" | "DescribeSecret" | "DeleteSecret" | "ListSecrets" => {
                self.target.answer(operation, body)
            }
            _ => self.database.answer(operation, body),
        }
    }

    /// Returns a new number with each call.
    fn next(&mut self) -> u64 {
        self.nonce += 1;
        self.nonce
    }
}

/// Returns an error as AWS's JSON services write it.
#[must_use]
pub fn refusal(code: &str) -> Answer {
    (400, json!({ "__type": code, "message": "refused by a test" }))
}
