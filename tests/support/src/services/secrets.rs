//! AWS Secrets Manager, as far as copies need it: names, tags, client request tokens, and lists by
//! tag prefix.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, refusal};

/// The secrets of the account.
#[derive(Default)]
pub struct Target {
    /// The secrets by name.
    pub secrets: BTreeMap<String, StoredSecret>,
    /// The names of deleted secrets, in order.
    pub deleted: Vec<String>,
    /// The names of created secrets, in order.
    pub created: Vec<String>,
    /// The deployment whose secrets may be deleted. As with IAM, the tag decides.
    pub deployment: String,
}

/// A secret of the account.
#[derive(Clone, Debug)]
pub struct StoredSecret {
    /// The secret string.
    pub text: String,
    /// The client request token of its creation.
    pub token: String,
    /// The tags.
    pub tags: BTreeMap<String, String>,
}

impl StoredSecret {
    /// A secret that another application created, with these tags.
    #[must_use]
    pub fn by_others(tags: &[(&str, &str)]) -> Self {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self { text: "theirs".into(), token: "theirs".into(), tags }
    }
}

impl Target {
    pub(crate) fn answer(&mut self, operation: &str, body: &Value) -> Answer {
        match operation {
            "CreateSecret" => self.create(body),
            "DescribeSecret" => self.describe(body),
            "DeleteSecret" => self.delete(body),
            _ => self.list(body),
        }
    }

    fn create(&mut self, body: &Value) -> Answer {
        let (name, text) = (text_of(body, "Name"), text_of(body, "SecretString"));
        let token = text_of(body, "ClientRequestToken");
        if let Some(stored) = self.secrets.get(&name) {
            // https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
            return match stored.token == token && stored.text == text {
                true => (200, json!({ "ARN": arn(&name), "Name": name })),
                false => refusal("ResourceExistsException"),
            };
        }
        let tags = body["Tags"].as_array().into_iter().flatten();
        let tags = tags.map(|tag| (text_of(tag, "Key"), text_of(tag, "Value"))).collect();
        let answer = json!({ "ARN": arn(&name), "Name": name });
        self.created.push(name.clone());
        self.secrets.insert(name, StoredSecret { text, token, tags });
        (200, answer)
    }

    fn describe(&self, body: &Value) -> Answer {
        let name = text_of(body, "SecretId");
        match self.secrets.get(&name) {
            Some(stored) => (200, entry(&name, stored)),
            None => refusal("ResourceNotFoundException"),
        }
    }

    /// Like IAM, allows only secrets with the deployment's tag. A missing secret has no tag.
    fn delete(&mut self, body: &Value) -> Answer {
        let name = text_of(body, "SecretId");
        match self.secrets.get(&name) {
            None => refusal("AccessDeniedException"),
            Some(stored) if stored.tags.get("pipeline-secrets:deployment") != Some(&self.deployment) => {
                refusal("AccessDeniedException")
            }
            Some(_) => {
                self.secrets.remove(&name);
                self.deleted.push(name.clone());
                (200, json!({ "ARN": arn(&name), "Name": name }))
            }
        }
    }

    /// As on AWS, the filters match prefixes, and key and value can match different tags.
    fn list(&self, body: &Value) -> Answer {
        let filter = |key: &str| {
            let filters = body["Filters"].as_array().into_iter().flatten();
            let values =
                filters.filter(move |filter| filter["Key"] == key).filter_map(|f| f["Values"].as_array());
            values.flatten().filter_map(Value::as_str).map(str::to_owned).next().unwrap_or_default()
        };
        let (key, value) = (filter("tag-key"), filter("tag-value"));
        let found = self.secrets.iter().filter(|(_, stored)| {
            stored.tags.keys().any(|tag| tag.starts_with(&key))
                && stored.tags.values().any(|tag| tag.starts_with(&value))
        });
        let size = usize::try_from(body["MaxResults"].as_u64().unwrap_or(100)).unwrap_or(100);
        let start: usize = text_of(body, "NextToken").parse().unwrap_or(0);
        let found: Vec<_> =
            found.skip(start).map(|(name, stored)| entry(name, stored)).take(size + 1).collect();
        match found.len() > size {
            true => (200, json!({ "SecretList": found[..size], "NextToken": (start + size).to_string() })),
            false => (200, json!({ "SecretList": found })),
        }
    }
}

fn entry(name: &str, stored: &StoredSecret) -> Value {
    let tags: Vec<_> = stored.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    json!({ "ARN": arn(name), "Name": name, "Tags": tags })
}

fn arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:eu-west-1:111122223333:secret:{name}-AbCdEf")
}

fn text_of(body: &Value, key: &str) -> String {
    body[key].as_str().unwrap_or_default().to_owned()
}
