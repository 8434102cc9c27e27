//! Splits the deployed policy of a function's role into single grants, each of which can be removed
//! separately.

use percent_encoding::percent_decode_str;
use reqwest::StatusCode;
use serde_json::Value;

use crate::rights::harness::Harness;
use crate::rights::{Outcome, ensure, logical};

/// One action or one kind of row that a statement allows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Grant {
    /// The statement's `Sid`.
    pub sid: String,
    /// An action, or a pattern of `dynamodb:LeadingKeys`.
    pub what: String,
}

/// The policy of a function's role.
pub struct Rights<'a> {
    harness: &'a Harness,
    role: String,
    policy: Value,
}

impl<'a> Rights<'a> {
    /// Reads the deployed policy.
    pub async fn of(harness: &'a Harness, function: &str) -> Outcome<Self> {
        let role = harness.resource(&format!("{}Role", logical(function)))?.to_owned();
        let request = [("Action", "GetRolePolicy"), ("RoleName", &role), ("PolicyName", POLICY)];
        let (status, xml) = harness.raw.iam(&request).await?;
        ensure(status == StatusCode::OK, || format!("GetRolePolicy: {status} {xml}"))?;
        let document = between(&xml, "<PolicyDocument>", "</PolicyDocument>").ok_or("no document")?;
        let policy = serde_json::from_str(&percent_decode_str(document).decode_utf8()?)?;
        Ok(Self { harness, role, policy })
    }

    /// Returns every grant of the policy.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        let mut grants = Vec::new();
        for statement in self.statements().filter(|one| one["Effect"] == "Allow") {
            let sid = statement["Sid"].as_str().unwrap_or_default();
            let leading = &statement["Condition"][STRING_LIKE][LEADING_KEYS];
            for what in texts(&statement["Action"]).into_iter().chain(texts(leading)) {
                grants.push(Grant { sid: sid.to_owned(), what });
            }
        }
        grants
    }

    fn statements(&self) -> impl Iterator<Item = &Value> {
        self.policy["Statement"].as_array().into_iter().flatten()
    }

    /// Deploys the policy without this grant.
    pub async fn without(&self, grant: &Grant) -> Outcome {
        let mut policy = self.policy.clone();
        let statements = policy["Statement"].as_array_mut().ok_or("no statements")?;
        for statement in statements.iter_mut().filter(|one| one["Sid"] == grant.sid.as_str()) {
            statement["Action"] =
                texts(&statement["Action"]).into_iter().filter(|it| *it != grant.what).collect();
            let leading = texts(&statement["Condition"][STRING_LIKE][LEADING_KEYS]);
            if leading.contains(&grant.what) {
                let left: Value = leading.into_iter().filter(|it| *it != grant.what).collect();
                // `ForAllValues` with an empty list is always true.
                let no_row = Value::from(vec!["NO-ROW"]);
                let left = if left == Value::Array(Vec::new()) { no_row } else { left };
                statement["Condition"][STRING_LIKE][LEADING_KEYS] = left;
            }
        }
        statements.retain(|one| one["Action"] != Value::Array(Vec::new()));
        self.put(&policy).await
    }

    /// Deploys the original policy.
    pub async fn restore(&self) -> Outcome {
        self.put(&self.policy).await
    }

    async fn put(&self, policy: &Value) -> Outcome {
        let text = policy.to_string();
        let request = [
            ("Action", "PutRolePolicy"),
            ("RoleName", self.role.as_str()),
            ("PolicyName", POLICY),
            ("PolicyDocument", &text),
        ];
        let (status, xml) = self.harness.raw.iam(&request).await?;
        ensure(status == StatusCode::OK, || format!("PutRolePolicy: {status} {xml}"))
    }
}

const POLICY: &str = "rights";
const STRING_LIKE: &str = "ForAllValues:StringLike";
const LEADING_KEYS: &str = "dynamodb:LeadingKeys";

/// Returns the texts of a value that is one text or a list.
#[must_use]
pub fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(found, _)| found)
}
