//! A table in memory, behind the real SDK.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::client::sdk_config;
use crate::{Faults, TABLE};

/// A separate table for one test, with the keys and indexes of `infra/template.yaml`.
#[derive(Clone, Debug)]
pub struct Table {
    /// The SDK's client, which retries a failed call twice, without delay.
    pub client: Client,
    /// The table's name.
    pub name: String,
    /// Records the client's calls and can fail them.
    pub faults: Faults,
    quiet: Client,
}

impl Table {
    /// Creates a table.
    #[allow(clippy::unused_async, reason = "an implementation may need to await")]
    pub async fn start() -> Self {
        let faults = Faults::default();
        Self { client: client(&faults), name: TABLE.into(), quiet: client(&faults.quiet()), faults }
    }

    /// Returns a client whose calls are not recorded and do not fail, for a test's own reads and
    /// writes.
    #[must_use]
    pub fn quiet(&self) -> &Client {
        &self.quiet
    }

    /// Returns a row.
    ///
    /// # Panics
    ///
    /// Panics if the database refuses the request.
    pub async fn row(&self, pk: &str, sk: &str) -> Option<HashMap<String, AttributeValue>> {
        let request = self.quiet.get_item().table_name(&self.name).consistent_read(true);
        let request = request.key("pk", AttributeValue::S(pk.into())).key("sk", AttributeValue::S(sk.into()));
        let answer = request.send().await.expect("the row is read");
        answer.item
    }

    /// Returns all rows of the table.
    ///
    /// # Panics
    ///
    /// Panics if the database refuses the request.
    pub async fn rows(&self) -> Vec<HashMap<String, AttributeValue>> {
        let mut rows = Vec::new();
        let mut start = None;
        loop {
            let request = self.quiet.scan().table_name(&self.name).consistent_read(true);
            let answer = request.set_exclusive_start_key(start).send().await.expect("the table is read");
            rows.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() {
                return rows;
            }
        }
    }
}

fn client(faults: &Faults) -> Client {
    let retries = RetryConfig::standard().with_initial_backoff(Duration::from_millis(1));
    Client::new(&sdk_config(faults.clone()).retry_config(retries).build())
}

#[cfg(test)]
mod tests {
    use crate::services::{ATTRIBUTES, INDEXES};

    /// The table's part of the template, without spaces.
    fn template() -> String {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/template.yaml");
        let text = std::fs::read_to_string(path).unwrap();
        let from = text.find("Type: AWS::DynamoDB::Table").unwrap();
        let table = &text[from..from + text[from..].find("SSESpecification").unwrap()];
        table
            .lines()
            .map(|line| line.split(" #").next().unwrap())
            .flat_map(str::chars)
            .filter(|c| *c != ' ')
            .collect()
    }

    #[test]
    fn keys_and_indexes_match_the_template() {
        let template = template();
        let keys = |[hash, range]: [&str; 2]| {
            format!(
                "KeySchema:[{{AttributeName:{hash},KeyType:HASH}},{{AttributeName:{range},KeyType:RANGE}}]"
            )
        };
        for (name, kind) in &ATTRIBUTES {
            assert!(template.contains(&format!("{{AttributeName:{name},AttributeType:{kind}}}")), "{name}");
        }
        assert_eq!(template.matches("AttributeType:").count(), ATTRIBUTES.len());
        for (name, schema, projection, included) in &INDEXES {
            let included = match included.is_empty() {
                true => String::new(),
                false => format!(",NonKeyAttributes:[{}]", included.join(",")),
            };
            let index = format!(
                "IndexName:{name}{}Projection:{{ProjectionType:{projection}{included}}}",
                keys(*schema)
            );
            assert!(template.contains(&index), "{index}");
        }
        assert_eq!(template.matches("IndexName:").count(), INDEXES.len());
        assert!(template.contains(&keys(["pk", "sk"])));
    }
}
