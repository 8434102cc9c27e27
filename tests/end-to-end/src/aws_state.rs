//! The state of the AWS account behind the API, read as its operator: rows, logs, copies, jobs.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use local::REGION;
use local::platform::Platform;
use serde_json::{Value, json};

use crate::harness::Harness;

impl Harness {
    /// Returns the rows of a partition as text.
    pub async fn rows(&self, partition: &str) -> Vec<String> {
        let query = aws_sdk_dynamodb::Client::new(&self.operator)
            .query()
            .table_name(self.stack.output("TableName").expect("a table"))
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(partition.to_owned()))
            .consistent_read(true);
        let mut pages = query.into_paginator().items().send();
        let mut rows = Vec::new();
        while let Some(row) = pages.next().await {
            rows.push(as_text(&row.expect("a row")));
        }
        rows
    }

    /// Returns every row of the table as text.
    pub async fn every_row(&self) -> Vec<String> {
        let scan = aws_sdk_dynamodb::Client::new(&self.operator).scan();
        let scan = scan.table_name(self.stack.output("TableName").expect("a table"));
        let mut pages = scan.into_paginator().items().send();
        let mut rows = Vec::new();
        while let Some(row) = pages.next().await {
            rows.push(as_text(&row.expect("a row")));
        }
        rows
    }

    /// Returns the log of each function.
    pub async fn logs(&self) -> BTreeMap<String, String> {
        let mut logs = BTreeMap::new();
        let groups = self.stack.deployed.outputs.iter().filter(|(name, _)| name.ends_with("LogGroup"));
        for (name, group) in groups {
            let (mut text, mut next) = (String::new(), Value::Null);
            loop {
                let mut input = json!({"logGroupName": group});
                if next.is_string() {
                    input["nextToken"] = next;
                }
                let page = self.aws("logs", "Logs_20140328.FilterLogEvents", &input).await;
                for event in page["events"].as_array().into_iter().flatten() {
                    text.push_str(event["message"].as_str().unwrap_or_default());
                    text.push('\n');
                }
                next = page["nextToken"].clone();
                if next.is_null() {
                    break;
                }
            }
            logs.insert(name.clone(), text);
        }
        logs
    }

    /// Calls an AWS service with a JSON protocol for which no SDK is linked. The emulator does not
    /// check the operator's signature.
    pub async fn aws(&self, service: &str, target: &str, input: &Value) -> Value {
        let request = self.http.post(&self.stack.aws_endpoint).header("x-amz-target", target);
        let request = request.header("content-type", "application/x-amz-json-1.1").body(input.to_string());
        let answer = request.header("authorization", signature(service)).send().await.expect("an answer");
        let (status, text) = (answer.status(), answer.text().await.expect("an answer"));
        assert!(status.is_success(), "{target}: {status} {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Sends a GET request to an AWS service with a REST protocol.
    pub async fn aws_rest(&self, service: &str, path: &str) -> Value {
        let request = self.http.get(format!("{}{path}", self.stack.aws_endpoint));
        let answer = request.header("authorization", signature(service)).send().await.expect("an answer");
        let (status, text) = (answer.status(), answer.text().await.expect("an answer"));
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Returns the text of a copy in AWS Secrets Manager, or `None` if the copy does not exist.
    pub async fn copy(&self, name: &str) -> Option<String> {
        let secrets = aws_sdk_secretsmanager::Client::new(&self.operator);
        let found = secrets.get_secret_value().secret_id(name).send().await.ok()?;
        found.secret_string().map(str::to_owned)
    }

    /// Returns the names of all secrets in AWS Secrets Manager.
    pub async fn secret_names(&self) -> Vec<String> {
        let list = aws_sdk_secretsmanager::Client::new(&self.operator).list_secrets();
        let mut pages = list.into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.expect("a page").secret_list.unwrap_or_default();
            names.extend(page.into_iter().filter_map(|secret| secret.name));
        }
        names
    }

    /// Submits a head job of this run to AWS Batch, moves it to RUNNING, and returns the body that
    /// records it.
    pub async fn head_job(&self, run: &str) -> Value {
        let job = Platform::new(&self.stack).await.start_head_job(run).await.expect("a head job");
        Platform::head_job(&job)
    }
}

fn signature(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

/// Formats a row with its attributes in order, and bytes as lossy text.
fn as_text(row: &std::collections::HashMap<String, AttributeValue>) -> String {
    let in_order: BTreeMap<_, _> = row.iter().collect();
    let shown = in_order.iter().map(|(name, value)| match value {
        AttributeValue::B(bytes) => format!("{name}={}", String::from_utf8_lossy(bytes.as_ref())),
        other => format!("{name}={other:?}"),
    });
    shown.collect::<Vec<_>>().join(" ")
}
