//! Every place to which a value could leak, other than a run's copies and claims, and every
//! encoding in which it could appear there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};

use crate::harness::{Harness, MARK};

/// The content of a place that must not contain secret values.
pub struct Sink {
    /// The kind, for example `log` or `row`.
    pub kind: &'static str,
    /// The name, unique within its kind.
    pub name: String,
    /// The content as lossy text.
    pub text: String,
}

/// The encodings in which a part of the mark of eight or more characters can appear in text. A
/// truncated value starts or ends with one of them: plain, base64 at each of three offsets,
/// hexadecimal, percent-encoding, JSON escapes, or a list of numbers.
#[must_use]
pub fn encodings() -> BTreeSet<String> {
    let mut encodings = BTreeSet::new();
    for part in [&MARK[..8], &MARK[MARK.len() - 8..]] {
        let each = |form: fn(u8) -> String| part.bytes().map(form).collect::<String>();
        encodings.insert(part.to_owned());
        encodings.insert(each(|byte| format!("{byte:02x}")));
        encodings.insert(each(|byte| format!("{byte:02X}")));
        encodings.insert(each(|byte| format!("%{byte:02X}")));
        encodings.insert(each(|byte| format!("\\u{byte:04x}")));
        encodings.insert(part.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", "));
        encodings.insert(part.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(","));
        for shift in 0..3 {
            let encoded = STANDARD_NO_PAD.encode(format!("{}{part}", "-".repeat(shift)));
            // The first and last characters also encode the adjacent bytes.
            let whole = (8 + shift) / 3 * 4;
            encodings.insert(encoded[4 * usize::from(shift > 0)..whole].to_owned());
        }
    }
    encodings
}

impl Harness {
    /// Reads every place that must not contain secret values.
    pub async fn sinks(&self) -> Vec<Sink> {
        let mut sinks = Vec::new();
        let mut add = |kind, name: &str, text: String| sinks.push(Sink { kind, name: name.to_owned(), text });
        for (group, log) in self.logs().await {
            add("log", &group, log);
        }
        add("log", "the emulator", self.emulator_log());
        for (number, row) in self.every_row().await.into_iter().enumerate() {
            add("row", &number.to_string(), row);
        }
        for (number, copy) in self.copy_descriptions().await.into_iter().enumerate() {
            add("copy's name and tags", &number.to_string(), copy);
        }
        for (queue, messages) in self.queues().await {
            // The operator's queue of events, and the service's dead-letter queues.
            let kind = if queue.ends_with(EVENTS) { "event" } else { "dead letter" };
            add(kind, &queue, messages);
        }
        for (file, text) in files(self.folder.path()) {
            add("file", &file, text);
        }
        for (name, value) in &self.stack.deployed.outputs {
            add("output of the stack", name, value.clone());
        }
        for pid in descendants() {
            for file in ["cmdline", "environ"] {
                let text =
                    std::fs::read(Path::new("/proc").join(pid.to_string()).join(file)).unwrap_or_default();
                add("process", &format!("{pid}/{file}"), String::from_utf8_lossy(&text).into_owned());
            }
        }
        sinks
    }

    /// The descriptions of all copies in AWS Secrets Manager, without their values.
    async fn copy_descriptions(&self) -> Vec<String> {
        let secrets = aws_sdk_secretsmanager::Client::new(&self.operator);
        let mut pages = secrets.list_secrets().into_paginator().send();
        let mut descriptions = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.expect("a page");
            descriptions.extend(page.secret_list().iter().map(|secret| format!("{secret:?}")));
        }
        descriptions
    }

    /// Starts recording every event on the deployment's bus, for [`Harness::sinks`].
    pub(crate) async fn keep_events(&self) {
        let queue = self.aws("sqs", "AmazonSQS.CreateQueue", &json!({ "QueueName": EVENTS })).await;
        let input = json!({ "QueueUrl": queue["QueueUrl"], "AttributeNames": ["QueueArn"] });
        let queue = self.aws("sqs", "AmazonSQS.GetQueueAttributes", &input).await;
        let bus = self.stack.output("EventBusName").expect("a bus");
        let rule = json!({ "Name": EVENTS, "EventBusName": bus, "EventPattern": r#"{"version":["0"]}"# });
        self.aws("events", "AWSEvents.PutRule", &rule).await;
        let target = json!({ "Id": EVENTS, "Arn": queue["Attributes"]["QueueArn"] });
        let targets = json!({ "Rule": EVENTS, "EventBusName": bus, "Targets": [target] });
        self.aws("events", "AWSEvents.PutTargets", &targets).await;
    }

    /// Receives the messages in all queues. Their visibility timeout starts.
    pub async fn queues(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let queues = self.aws("sqs", "AmazonSQS.ListQueues", &json!({})).await;
        for queue in queues["QueueUrls"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let input =
                json!({"QueueUrl": queue, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"]});
            let mut text = String::new();
            loop {
                let messages = self.aws("sqs", "AmazonSQS.ReceiveMessage", &input).await;
                text.push_str(&messages.to_string());
                text.push('\n');
                if messages["Messages"].as_array().is_none_or(Vec::is_empty) {
                    break;
                }
            }
            found.push((queue.to_owned(), text));
        }
        found
    }
}

/// The name of the operator's rule and queue of events.
const EVENTS: &str = "every-event";

/// The content of the files below a folder, except the functions' executables.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.ends_with("bootstrap") {
            let text = std::fs::read(&path).unwrap_or_default();
            found.push((path.display().to_string(), String::from_utf8_lossy(&text).into_owned()));
        }
    }
    found
}

/// The ids of this process and its descendants: the emulator and the functions.
pub(crate) fn descendants() -> Vec<u32> {
    let mut parents = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // `pid (name) state parent …`; the name can contain any character.
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<u32>().ok());
        parents.extend(parent.map(|parent| (pid, parent)));
    }
    let is_service_fault = |mut pid: u32| loop {
        match parents.get(&pid) {
            _ if pid == std::process::id() => break true,
            Some(parent) => pid = *parent,
            None => break false,
        }
    };
    parents.keys().copied().filter(|pid| is_service_fault(*pid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_in_every_encoding_and_when_truncated() {
        let value = format!("before {MARK} after");
        let json = serde_json::to_string(&value).expect("JSON");
        let hex = value.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let numbers = format!("{:?}", value.as_bytes());
        let mut texts = vec![value.clone(), json, hex, numbers];
        for shift in 0..3 {
            texts.push(STANDARD_NO_PAD.encode(format!("{}{value}", "x".repeat(shift))));
            texts.push(STANDARD_NO_PAD.encode(format!("{}{}", "x".repeat(shift), &MARK[..8])));
        }
        texts.push(value[.."before ".len() + 8].to_owned());
        texts.push(value["before ".len() + 5..].to_owned());
        for text in texts {
            assert!(encodings().iter().any(|form| text.contains(form)), "{text}");
        }
        assert!(!encodings().iter().any(|form| form.len() < 8));
    }
}
