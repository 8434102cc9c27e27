//! A DynamoDB server instead of the database in process, to run the tests against another
//! implementation.
//!
//! Each database is a table with a unique name. The tests see the usual name.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Map, Value};

use super::{Answer, TABLE};

/// A table on a server.
pub(super) struct Remote {
    /// The server's host and port.
    address: String,
    table: String,
}

impl Remote {
    /// Chooses a new table name on the server at `endpoint`, such as `http://127.0.0.1:8000`.
    pub(super) fn new(endpoint: &str) -> Self {
        static TABLES: AtomicU32 = AtomicU32::new(0);
        let address = endpoint.strip_prefix("http://").expect("DYNAMODB_ENDPOINT starts with http://");
        let number = TABLES.fetch_add(1, Ordering::Relaxed);
        Self {
            address: address.trim_end_matches('/').to_owned(),
            table: format!("{TABLE}-{}-{number}", std::process::id()),
        }
    }

    pub(super) fn answer(&self, operation: &str, body: &Value) -> Answer {
        let body = self.with_table(body).to_string();
        let answer = self.send(operation, &body);
        answer.unwrap_or_else(|error| panic!("{operation} of DynamoDB at {}: {error}", self.address))
    }

    /// Sends a request with HTTP/1.0, which has one request per connection and no chunked answers.
    fn send(&self, operation: &str, body: &str) -> std::io::Result<Answer> {
        let head = format!(
            "POST / HTTP/1.0\r\nHost: {}\r\nX-Amz-Target: DynamoDB_20120810.{operation}\r\n\
             Content-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=tests/20260101/eu-west-1/dynamodb/aws4_request, \
             SignedHeaders=host, Signature=0\r\n\r\n",
            self.address,
            body.len(),
        );
        let mut stream = TcpStream::connect(&self.address)?;
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let unknown = || std::io::Error::other("no HTTP answer");
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(unknown)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(unknown)?;
        let body = serde_json::from_str(&body.replace(&self.table, TABLE)).map_err(std::io::Error::other)?;
        Ok((status, body))
    }

    /// Replaces the table name in `TableName` and in the keys of `RequestItems`.
    fn with_table(&self, value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                let renamed = fields.iter().map(|(name, value)| match (name.as_str(), value) {
                    ("TableName", _) => (name.clone(), Value::from(self.table.clone())),
                    ("RequestItems", Value::Object(tables)) => {
                        let tables = tables.values().map(|items| (self.table.clone(), items.clone()));
                        (name.clone(), Value::Object(tables.collect()))
                    }
                    _ => (name.clone(), self.with_table(value)),
                });
                Value::Object(renamed.collect::<Map<_, _>>())
            }
            Value::Array(values) => values.iter().map(|value| self.with_table(value)).collect(),
            other => other.clone(),
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // A table that remains on a test server is harmless.
        let _ = self.send("DeleteTable", &serde_json::json!({ "TableName": self.table }).to_string());
    }
}
