//! A table in memory, behind the real SDK over loopback.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
    Projection, ProjectionType, ScalarAttributeType,
};
use dynoxide::Database;

use crate::Faults;

/// A table of its own for one test, with the keys and indexes of `infra/template.yaml`; it ends with the test's runtime.
#[derive(Clone, Debug)]
pub struct Table {
    /// The SDK's client, which repeats a failed call twice, at once.
    pub client: Client,
    /// The table's name.
    pub name: String,
    /// What the client's calls are, and how to fail them.
    pub faults: Faults,
    quiet: Client,
}

impl Table {
    /// Makes a table.
    ///
    /// # Panics
    ///
    /// Where loopback or the database refuses: no test can go on then.
    pub async fn start() -> Self {
        let database = Database::memory().expect("a database in memory");
        let listener =
            tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port on loopback");
        let address = listener.local_addr().expect("the listener's address");
        tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()));
        let endpoint = format!("http://{address}");
        let faults = Faults::new();
        let table = Self {
            client: client(&endpoint, &faults),
            name: "pipeline-secrets".into(),
            faults,
            quiet: client(&endpoint, &Faults::new()),
        };
        table.create().await;
        table
    }

    /// A client whose calls are neither written down nor failed: for what a test does beside the code that it tests.
    #[must_use]
    pub fn quiet(&self) -> &Client {
        &self.quiet
    }

    async fn create(&self) {
        let mut request =
            self.quiet.create_table().table_name(&self.name).billing_mode(BillingMode::PayPerRequest);
        for (name, kind) in ATTRIBUTES {
            request = request.attribute_definitions(
                AttributeDefinition::builder()
                    .attribute_name(name)
                    .attribute_type(kind)
                    .build()
                    .expect("complete"),
            );
        }
        for (name, keys, projection) in INDEXES {
            let index = GlobalSecondaryIndex::builder()
                .index_name(name)
                .set_key_schema(Some(key_schema(keys)))
                .projection(Projection::builder().projection_type(projection).build());
            request = request.global_secondary_indexes(index.build().expect("complete"));
        }
        request.set_key_schema(Some(key_schema(["pk", "sk"]))).send().await.expect("the table is created");
    }

    /// A row as it stands.
    ///
    /// # Panics
    ///
    /// Where the database refuses.
    pub async fn row(&self, pk: &str, sk: &str) -> Option<HashMap<String, AttributeValue>> {
        let request = self.quiet.get_item().table_name(&self.name).consistent_read(true);
        let request = request.key("pk", AttributeValue::S(pk.into())).key("sk", AttributeValue::S(sk.into()));
        let answer = request.send().await.expect("the row is read");
        answer.item
    }

    /// Every row of the table.
    ///
    /// # Panics
    ///
    /// Where the database refuses.
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

fn client(endpoint: &str, faults: &Faults) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .endpoint_url(endpoint)
        .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
        .http_client(faults.clone())
        .build();
    Client::from_conf(config)
}

fn key_schema([hash, range]: [&str; 2]) -> Vec<KeySchemaElement> {
    [(hash, KeyType::Hash), (range, KeyType::Range)]
        .map(|(name, kind)| {
            KeySchemaElement::builder().attribute_name(name).key_type(kind).build().expect("complete")
        })
        .into()
}

const ATTRIBUTES: [(&str, ScalarAttributeType); 6] = [
    ("pk", ScalarAttributeType::S),
    ("sk", ScalarAttributeType::S),
    ("dueShard", ScalarAttributeType::S),
    ("due", ScalarAttributeType::N),
    ("runScope", ScalarAttributeType::S),
    ("created", ScalarAttributeType::N),
];

const INDEXES: [(&str, [&str; 2], ProjectionType); 2] = [
    ("due", ["dueShard", "due"], ProjectionType::KeysOnly),
    ("by-workspace", ["runScope", "created"], ProjectionType::All),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The part of the template that describes the table, without spaces.
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
    fn keys_and_indexes_are_those_of_the_template() {
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
        for (name, schema, projection) in &INDEXES {
            let index =
                format!("IndexName:{name}{}Projection:{{ProjectionType:{projection}}}", keys(*schema));
            assert!(template.contains(&index), "{index}");
        }
        assert_eq!(template.matches("IndexName:").count(), INDEXES.len());
        assert!(template.contains(&keys(["pk", "sk"])));
    }
}
