//! DynamoDB: dynoxide in process, or the server that `DYNAMODB_ENDPOINT` names.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Answer;
use super::remote::Remote;

/// The table's name.
pub const TABLE: &str = "pipeline-secrets";

/// A database with the table of `infra/template.yaml`.
pub struct Database(Engine);

enum Engine {
    InProcess(dynoxide::Database),
    Server(Remote),
}

impl Default for Database {
    fn default() -> Self {
        let database = Self(match std::env::var("DYNAMODB_ENDPOINT") {
            Ok(endpoint) => Engine::Server(Remote::new(&endpoint)),
            Err(_) => Engine::InProcess(dynoxide::Database::memory().expect("a database in memory")),
        });
        let (status, answer) = database.answer("CreateTable", &table());
        assert_eq!(status, 200, "{answer}");
        database
    }
}

impl Database {
    /// Answers a request.
    #[must_use]
    pub fn answer(&self, operation: &str, body: &Value) -> Answer {
        let db = match &self.0 {
            Engine::InProcess(database) => database,
            Engine::Server(remote) => return remote.answer(operation, body),
        };
        match operation {
            "CreateTable" => run(body, |request| db.create_table(request)),
            "DescribeTable" => run(body, |request| db.describe_table(request)),
            "GetItem" => run(body, |request| db.get_item(request)),
            "BatchGetItem" => run(body, |request| db.batch_get_item(request)),
            "BatchWriteItem" => run(body, |request| db.batch_write_item(request)),
            "PutItem" => run(body, |request| db.put_item(request)),
            "UpdateItem" => run(body, |request| db.update_item(request)),
            "DeleteItem" => run(body, |request| db.delete_item(request)),
            "Query" => run(body, |request| db.query(request)),
            "Scan" => run(body, |request| db.scan(request)),
            "TransactWriteItems" => run(body, |request| db.transact_write_items(request)),
            _ => (400, json!({ "__type": "UnknownOperationException" })),
        }
    }

    /// Puts a row, in DynamoDB's JSON.
    pub fn put(&self, row: &Value) {
        let (status, answer) = self.answer("PutItem", &json!({ "TableName": TABLE, "Item": row }));
        assert_eq!(status, 200, "{answer}");
    }

    /// Deletes a row.
    pub fn remove(&self, pk: &str, sk: &str) {
        let key = json!({ "pk": { "S": pk }, "sk": { "S": sk } });
        let (status, answer) = self.answer("DeleteItem", &json!({ "TableName": TABLE, "Key": key }));
        assert_eq!(status, 200, "{answer}");
    }

    /// Returns all rows, in DynamoDB's JSON.
    #[must_use]
    pub fn rows(&self) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut request = json!({ "TableName": TABLE, "ConsistentRead": true });
        loop {
            let (status, mut answer) = self.answer("Scan", &request);
            assert_eq!(status, 200, "{answer}");
            if let Value::Array(page) = answer["Items"].take() {
                rows.extend(page);
            }
            match answer["LastEvaluatedKey"].take() {
                Value::Null => return rows,
                last => request["ExclusiveStartKey"] = last,
            }
        }
    }
}

fn run<Request: DeserializeOwned, Response: Serialize>(
    body: &Value,
    action: impl FnOnce(Request) -> dynoxide::errors::Result<Response>,
) -> Answer {
    let request = match Request::deserialize(body) {
        Ok(request) => request,
        Err(error) => {
            return (400, json!({ "__type": "ValidationException", "message": error.to_string() }));
        }
    };
    match action(request) {
        Ok(response) => (200, serde_json::to_value(&response).expect("an answer is JSON")),
        Err(error) => {
            (error.status_code(), serde_json::from_str(&error.to_json()).expect("an error is JSON"))
        }
    }
}

/// The key attributes, with their types.
pub(crate) const ATTRIBUTES: [(&str, &str); 6] =
    [("pk", "S"), ("sk", "S"), ("dueShard", "S"), ("due", "N"), ("runScope", "S"), ("created", "N")];

/// An index: its name, its key, its projection, and the attributes of the projection `INCLUDE`.
pub(crate) type Index = (&'static str, [&'static str; 2], &'static str, &'static [&'static str]);

/// The indexes.
pub(crate) const INDEXES: [Index; 3] = [
    ("due", ["dueShard", "due"], "KEYS_ONLY", &[]),
    ("by-workspace", ["runScope", "created"], "ALL", &[]),
    ("live", ["runScope", "dueShard"], "INCLUDE", &["user", "copyCount", "platform", "state"]),
];

fn table() -> Value {
    let keys = |[hash, range]: [&str; 2]| json!([{ "AttributeName": hash, "KeyType": "HASH" }, { "AttributeName": range, "KeyType": "RANGE" }]);
    let indexes = INDEXES.map(|(name, schema, kind, included)| {
        let mut projection = json!({ "ProjectionType": kind });
        if !included.is_empty() {
            projection["NonKeyAttributes"] = json!(included);
        }
        json!({ "IndexName": name, "KeySchema": keys(schema), "Projection": projection })
    });
    let attributes = ATTRIBUTES.map(|(name, kind)| json!({ "AttributeName": name, "AttributeType": kind }));
    json!({
        "TableName": TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attributes,
        "KeySchema": keys(["pk", "sk"]),
        "GlobalSecondaryIndexes": indexes,
    })
}
