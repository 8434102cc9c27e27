//! Every place where a value could have got to beside a run's copies and claims, and every form in which it could stand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};

use crate::harness::{Harness, MARK};

/// A place that was read: its kind, its name, and what stands there.
pub struct Sink {
    /// As in `log` or `row`.
    pub kind: &'static str,
    /// Which of its kind.
    pub name: String,
    /// What stands there; what is no text is replaced.
    pub text: String,
}

/// The forms in which a part of the mark of eight characters or more can stand in text: every such part that a value
/// could be cut to begins or ends with one of these, as it is, in base64 at each of three places, in hexadecimal, in
/// percent-encoding, in JSON's escapes, and as a list of numbers.
#[must_use]
pub fn forms() -> BTreeSet<String> {
    let mut forms = BTreeSet::new();
    for part in [&MARK[..8], &MARK[MARK.len() - 8..]] {
        let each = |form: fn(u8) -> String| part.bytes().map(form).collect::<String>();
        forms.insert(part.to_owned());
        forms.insert(each(|byte| format!("{byte:02x}")));
        forms.insert(each(|byte| format!("{byte:02X}")));
        forms.insert(each(|byte| format!("%{byte:02X}")));
        forms.insert(each(|byte| format!("\\u{byte:04x}")));
        forms.insert(part.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", "));
        forms.insert(part.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(","));
        for shift in 0..3 {
            let encoded = STANDARD_NO_PAD.encode(format!("{}{part}", "-".repeat(shift)));
            // The first and last characters also hold what stands around.
            let whole = (8 + shift) / 3 * 4;
            forms.insert(encoded[4 * usize::from(shift > 0)..whole].to_owned());
        }
    }
    forms
}

impl Harness {
    /// Reads every place where no value may be.
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
        for (number, copy) in self.copies_seen().await.into_iter().enumerate() {
            add("copy's name and tags", &number.to_string(), copy);
        }
        for (queue, messages) in self.queues().await {
            // The operator's queue of events, and the service's own of what could not be delivered.
            let kind = if queue.ends_with(EVENTS) { "event" } else { "dead letter" };
            add(kind, &queue, messages);
        }
        for (file, text) in files(self.folder.path()) {
            add("file", &file, text);
        }
        for (name, value) in &self.stack.deployed.outputs {
            add("output of the stack", name, value.clone());
        }
        for pid in family() {
            for file in ["cmdline", "environ"] {
                let text =
                    std::fs::read(Path::new("/proc").join(pid.to_string()).join(file)).unwrap_or_default();
                add("process", &format!("{pid}/{file}"), String::from_utf8_lossy(&text).into_owned());
            }
        }
        sinks
    }

    /// What lists and descriptions of AWS Secrets Manager show of every copy, its value left out.
    async fn copies_seen(&self) -> Vec<String> {
        let secrets = aws_sdk_secretsmanager::Client::new(&self.operator);
        let mut pages = secrets.list_secrets().into_paginator().send();
        let mut seen = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.expect("a page");
            seen.extend(page.secret_list().iter().map(|secret| format!("{secret:?}")));
        }
        seen
    }

    /// Keeps every event of the deployment's bus from here on, for [`Harness::sinks`].
    pub(crate) async fn keep_events(&self) {
        let queue = self.aws("sqs", "AmazonSQS.CreateQueue", &json!({ "QueueName": EVENTS })).await;
        let asked = json!({ "QueueUrl": queue["QueueUrl"], "AttributeNames": ["QueueArn"] });
        let queue = self.aws("sqs", "AmazonSQS.GetQueueAttributes", &asked).await;
        let bus = self.stack.output("EventBusName").expect("a bus");
        let rule = json!({ "Name": EVENTS, "EventBusName": bus, "EventPattern": r#"{"version":["0"]}"# });
        self.aws("events", "AWSEvents.PutRule", &rule).await;
        let target = json!({ "Id": EVENTS, "Arn": queue["Attributes"]["QueueArn"] });
        let targets = json!({ "Rule": EVENTS, "EventBusName": bus, "Targets": [target] });
        self.aws("events", "AWSEvents.PutTargets", &targets).await;
    }

    /// The messages that wait in queues, each of which is then hidden for a while.
    pub async fn queues(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let queues = self.aws("sqs", "AmazonSQS.ListQueues", &json!({})).await;
        for queue in queues["QueueUrls"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let order =
                json!({"QueueUrl": queue, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"]});
            let mut text = String::new();
            loop {
                let messages = self.aws("sqs", "AmazonSQS.ReceiveMessage", &order).await;
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

/// The operator's rule and queue of events.
const EVENTS: &str = "every-event";

/// What stands in the files below a folder, the functions' programs left out.
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

/// This process and all that come of it: the emulator's, and the functions'.
pub(crate) fn family() -> Vec<u32> {
    let mut parents = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // `pid (name) state parent …`, and a name can hold anything.
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<u32>().ok());
        parents.extend(parent.map(|parent| (pid, parent)));
    }
    let is_ours = |mut pid: u32| loop {
        match parents.get(&pid) {
            _ if pid == std::process::id() => break true,
            Some(parent) => pid = *parent,
            None => break false,
        }
    };
    parents.keys().copied().filter(|pid| is_ours(*pid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_in_every_form_and_cut_at_either_end() {
        let value = format!("before {MARK} behind");
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
            assert!(forms().iter().any(|form| text.contains(form)), "{text}");
        }
        assert!(!forms().iter().any(|form| form.len() < 8));
    }
}
