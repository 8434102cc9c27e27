//! KMS, EventBridge and Batch, as far as the functions use them.

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Answer, Services, refusal};

/// A job of AWS Batch.
#[derive(Clone, Debug)]
pub struct Job {
    /// The job id.
    pub id: String,
    /// The status, such as `RUNNING` or `FAILED`.
    pub status: &'static str,
    /// The run that its environment names.
    pub run: String,
}

/// An event that was put on the bus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// The detail type.
    pub kind: String,
    /// The run that the event names.
    pub run: String,
    /// The whole entry as it was sent.
    pub sent: String,
}

impl Services {
    /// The ciphertext consists of a nonce, the key's length, and a digest of both and the
    /// encryption context. The key is another digest of the nonce.
    pub(crate) fn generate_data_key(&mut self, body: &Value) -> Answer {
        let length = body["NumberOfBytes"].as_u64().unwrap_or(32).min(64); // 32 bytes for AES_256
        let mut nonce = self.next().to_be_bytes().to_vec();
        nonce.push(u8::try_from(length).unwrap_or(32));
        let mut blob = nonce.clone();
        blob.extend_from_slice(&bound(&nonce, &body["EncryptionContext"]));
        let answer = json!({
            "CiphertextBlob": STANDARD.encode(&blob),
            "Plaintext": STANDARD.encode(key(&nonce)),
            "KeyId": body["KeyId"],
        });
        (200, answer)
    }

    pub(crate) fn decrypt(&mut self, body: &Value) -> Answer {
        let blob =
            body["CiphertextBlob"].as_str().and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
        let context = &body["EncryptionContext"];
        match blob.split_at_checked(9) {
            Some((nonce, binding)) if binding == bound(nonce, context) => {
                self.opened.push(context.clone());
                (200, json!({ "Plaintext": STANDARD.encode(key(nonce)), "KeyId": body["KeyId"] }))
            }
            _ => refusal("InvalidCiphertextException"),
        }
    }

    pub(crate) fn put_events(&mut self, body: &Value) -> Answer {
        for entry in body["Entries"].as_array().into_iter().flatten() {
            let detail: Value =
                serde_json::from_str(entry["Detail"].as_str().unwrap_or_default()).unwrap_or_default();
            self.notices.push(Notice {
                kind: entry["DetailType"].as_str().unwrap_or_default().to_owned(),
                run: detail["workflowId"].as_str().unwrap_or_default().to_owned(),
                sent: entry.to_string(),
            });
        }
        (200, json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "e" }] }))
    }
}

pub(super) fn describe(jobs: &[Job], body: &Value) -> Answer {
    let requested = body["jobs"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let known = requested.filter_map(|id| jobs.iter().find(|job| job.id == id));
    let jobs: Vec<_> = known
        .map(|job| {
            json!({
                "jobId": job.id, "jobName": "head", "jobQueue": QUEUE, "status": job.status, "startedAt": 1,
                "jobDefinition": "d",
                "container": {
                    "exitCode": i32::from(job.status == "FAILED"),
                    "environment": [{ "name": "PIPELINE_SECRETS_WORKFLOW_ID", "value": job.run }],
                },
            })
        })
        .collect();
    (200, json!({ "jobs": jobs }))
}

/// The queue of every job.
pub const QUEUE: &str = "arn:aws:batch:eu-west-1:111122223333:job-queue/q";

fn bound(nonce: &[u8], context: &Value) -> Vec<u8> {
    let mut text = nonce.to_vec();
    // serde_json sorts the keys of a map.
    text.extend_from_slice(context.to_string().as_bytes());
    digest(&SHA256, &text).as_ref()[..16].to_vec()
}

/// A key with the length in the nonce's last byte, at most 64.
fn key(nonce: &[u8]) -> Vec<u8> {
    let length = nonce.last().copied().unwrap_or_default().into();
    digest(&SHA512, &[nonce, b"key"].concat()).as_ref()[..length].to_vec()
}
