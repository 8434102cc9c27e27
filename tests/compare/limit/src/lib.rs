//! The minimal functions: the Lambda runtime, the AWS SDK, and the AWS calls of one of our
//! functions, with requests and answers of the same size. They do not parse, check, decide, seal,
//! log or measure anything.
#![allow(clippy::missing_panics_doc, reason = "a contender exits on any failure")]

use std::collections::HashMap;
use std::process::ExitCode;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, Put, TransactWriteItem};
use aws_smithy_types::Blob;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Runs a function: calls `start` once, then the handler that it returned for each invocation.
pub fn run<Start, Handler>(start: Start) -> ExitCode
where
    Start: AsyncFnOnce(SdkConfig) -> Handler,
    Handler: AsyncFn(),
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
    runtime.block_on(async {
        let handler = start(aws_config::defaults(BehaviorVersion::v2026_01_12()).load().await).await;
        let answer = async |_: LambdaEvent<Box<RawValue>>| {
            handler().await;
            Ok::<Value, std::convert::Infallible>(json!({ "statusCode": 200, "body": "{}" }))
        };
        lambda_runtime::run(service_fn(answer)).await.expect("a connection to the Runtime API");
    });
    ExitCode::SUCCESS
}

/// Returns an environment variable, or an empty string.
#[must_use]
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// DynamoDB.
pub struct Table {
    client: aws_sdk_dynamodb::Client,
    name: String,
    scope: String,
}

impl Table {
    /// Creates a client and opens its connection.
    pub async fn open(config: &SdkConfig) -> Self {
        let client = aws_sdk_dynamodb::Client::new(config);
        let table = Self { client, name: variable("TABLE_NAME"), scope: variable("SCOPE") };
        table.get().await;
        table
    }

    /// `GetItem`.
    pub async fn get(&self) {
        let request = self.client.get_item().table_name(&self.name).consistent_read(true);
        request.set_key(Some(key(&self.scope, "META"))).send().await.expect("a row");
    }

    /// `UpdateItem`.
    pub async fn update(&self) {
        let request = self.client.update_item().table_name(&self.name).set_key(Some(key("LIMIT", "UPDATED")));
        let request = request.update_expression("SET #a = :a").expression_attribute_names("#a", "lastUsed");
        request
            .expression_attribute_values(":a", text("2026-11-25T10:20:30Z"))
            .send()
            .await
            .expect("changed");
    }

    /// `Query` of a scope's secrets.
    pub async fn query(&self) {
        let request = self.client.query().table_name(&self.name).consistent_read(true);
        let request = request.key_condition_expression("#pk = :pk AND begins_with(#sk, :sk)");
        let request = request.expression_attribute_names("#pk", "pk").expression_attribute_names("#sk", "sk");
        let request = request.expression_attribute_values(":pk", text(&format!("SECRETS#{}", self.scope)));
        request.expression_attribute_values(":sk", text("SECRET#")).send().await.expect("rows");
    }

    /// `Query` of a shard of the index of due runs.
    pub async fn query_due(&self, shard: &str) {
        let request = self.client.query().table_name(&self.name).index_name("due").limit(500);
        let request = request.key_condition_expression("#shard = :shard AND #due <= :due");
        let request = request.expression_attribute_names("#shard", "dueShard");
        let request = request.expression_attribute_names("#due", "due");
        let request = request.expression_attribute_values(":shard", text(shard));
        let now = AttributeValue::N("1764064800000".into());
        request.expression_attribute_values(":due", now).send().await.expect("rows");
    }

    /// `Query` of the index of live runs.
    pub async fn query_live(&self) {
        let request = self.client.query().table_name(&self.name).index_name("live").limit(500);
        let request = request.key_condition_expression("#scope = :scope");
        let request = request.expression_attribute_names("#scope", "runScope");
        request.expression_attribute_values(":scope", text(&self.scope)).send().await.expect("rows");
    }

    /// `Query` of all rows of a partition.
    pub async fn query_partition(&self, partition: &str) {
        let request = self.client.query().table_name(&self.name).consistent_read(true);
        let request = request.key_condition_expression("#pk = :pk").expression_attribute_names("#pk", "pk");
        request.expression_attribute_values(":pk", text(partition)).send().await.expect("rows");
    }

    /// `BatchGetItem` of two rows.
    pub async fn batch_get(&self) {
        let keys = [key(&self.scope, "META"), key("LIMIT", "MEMBER")];
        let keys = KeysAndAttributes::builder().set_keys(Some(keys.into())).consistent_read(true).build();
        let request = self.client.batch_get_item().request_items(&self.name, keys.expect("complete"));
        request.send().await.expect("rows");
    }

    /// `TransactWriteItems` of this many rows.
    pub async fn transact(&self, rows: usize) {
        let items = (0..rows).map(|row| {
            let put = Put::builder().table_name(&self.name).set_item(Some(item(row)));
            let put = put.condition_expression("attribute_not_exists(pk) OR attribute_exists(pk)").build();
            TransactWriteItem::builder().put(put.expect("complete")).build()
        });
        let request = self.client.transact_write_items().set_transact_items(Some(items.collect()));
        request.send().await.expect("written");
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn key(pk: &str, sk: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

/// An item about as large as ours: eight attributes, one of them half a kilobyte.
fn item(row: usize) -> HashMap<String, AttributeValue> {
    let mut item = key("LIMIT", &format!("ROW#{row}"));
    for name in ["createdAt", "updatedAt", "createdBy", "updatedBy", "name", "version"] {
        item.insert(name.to_owned(), text("2026-11-25T10:20:30.123456Z"));
    }
    if row == 0 {
        item.insert("envelope".to_owned(), AttributeValue::B(Blob::new([7; 512])));
    }
    item
}

/// KMS.
pub struct Keys {
    client: aws_sdk_kms::Client,
    arn: String,
    ciphertext: Blob,
}

impl Keys {
    /// Creates a client and opens its connection.
    pub async fn open(config: &SdkConfig) -> Self {
        let client = aws_sdk_kms::Client::new(config);
        let ciphertext = Blob::new(STANDARD.decode(variable("CIPHERTEXT")).unwrap_or_default());
        let keys = Self { client, arn: variable("ENVELOPE_KEY_ARN"), ciphertext };
        keys.client.describe_key().key_id(&keys.arn).send().await.expect("the key");
        keys
    }

    /// `GenerateDataKey`.
    pub async fn generate(&self) {
        let request = self.client.generate_data_key().key_id(&self.arn);
        let request = request.key_spec(aws_sdk_kms::types::DataKeySpec::Aes256);
        request.set_encryption_context(Some(context())).send().await.expect("a data key");
    }

    /// `Decrypt`.
    pub async fn decrypt(&self) {
        let request = self.client.decrypt().key_id(&self.arn).ciphertext_blob(self.ciphertext.clone());
        request.set_encryption_context(Some(context())).send().await.expect("a data key");
    }
}

/// The encryption context that the ciphertext is bound to.
fn context() -> HashMap<String, String> {
    let context: HashMap<String, String> =
        serde_json::from_str(&variable("CONTEXT")).expect("an encryption context");
    context
}

/// Secrets Manager.
pub struct Target(aws_sdk_secretsmanager::Client);

impl Target {
    /// Creates a client. As in our functions, the first call opens its connection.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self(aws_sdk_secretsmanager::Client::new(config))
    }

    /// `CreateSecret`, with four tags.
    pub async fn create(&self) {
        let mut request =
            self.0.create_secret().name("tower-limit").secret_string("{\"SECRET_0\":\"a value\"}");
        for name in ["deployment", "scope", "run", "not-after"] {
            let key = format!("pipeline-secrets:{name}");
            let tag = aws_sdk_secretsmanager::types::Tag::builder().key(key).value("2026-11-25T10:20:30Z");
            request = request.tags(tag.build());
        }
        request.client_request_token("0123456789abcdef0123456789abcdef").send().await.expect("created");
    }

    /// `ListSecrets` by tags.
    pub async fn list(&self) {
        use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};
        let filter = |key, value: &str| Filter::builder().key(key).values(value).build();
        let request = self.0.list_secrets().max_results(100);
        let request = request.filters(filter(FilterNameStringType::TagKey, "pipeline-secrets:deployment"));
        request.filters(filter(FilterNameStringType::TagValue, "compare")).send().await.expect("a list");
    }
}

/// EventBridge.
pub struct Bus(aws_sdk_eventbridge::Client);

impl Bus {
    /// Creates a client. As in our functions, the first call opens its connection.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self(aws_sdk_eventbridge::Client::new(config))
    }

    /// `PutEvents` of one event.
    pub async fn put(&self) {
        let entry = aws_sdk_eventbridge::types::PutEventsRequestEntry::builder()
            .event_bus_name("bus")
            .source("pipeline-secrets")
            .detail_type("Run Delivered")
            .detail("{\"workflowId\":\"ab12ABCDEFGHIJ\"}")
            .build();
        self.0.put_events().entries(entry).send().await.expect("put");
    }
}
