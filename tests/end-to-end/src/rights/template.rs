//! `infra/template.yaml` as CloudFormation expands it.

use std::collections::BTreeMap;

use local::Tools;
use serde_json::{Map, Value};
use tokio::process::Command;

use crate::rights::{Outcome, ensure};

/// The expanded template.
pub struct Template {
    /// The whole document.
    pub document: Value,
}

impl Template {
    /// Expands the template.
    pub async fn expanded(tools: &Tools) -> Outcome<Self> {
        let script = tools.checkout.root().join("infra/checks/transform.py");
        let output = Command::new(tools.installation.python())
            .arg("-B")
            .arg(script)
            .arg(tools.checkout.template())
            .output()
            .await?;
        ensure(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())?;
        Ok(Self { document: serde_json::from_slice(&output.stdout)? })
    }

    /// Returns a resource's properties.
    #[must_use]
    pub fn properties(&self, logical: &str) -> &Value {
        &self.document["Resources"][logical]["Properties"]
    }

    /// Returns the resources of a type with their names.
    pub fn of_type<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let resources = self.document["Resources"].as_object();
        resources
            .into_iter()
            .flatten()
            .filter(move |(_, resource)| resource["Type"] == kind)
            .map(|(name, resource)| (name.as_str(), resource))
    }

    /// Returns the statements of a role's policy.
    #[must_use]
    pub fn rights(&self, logical: &str) -> Vec<Value> {
        statements(&self.properties(&format!("{logical}Rights"))["PolicyDocument"])
    }

    /// Returns the statements of a key's policy.
    #[must_use]
    pub fn key_policy(&self, logical: &str) -> Vec<Value> {
        statements(&self.properties(logical)["KeyPolicy"])
    }

    /// Returns a function's environment with its references resolved: parameters to these values,
    /// others to example values.
    #[must_use]
    pub fn environment(&self, function: &str, parameters: &BTreeMap<&str, &str>) -> BTreeMap<String, String> {
        let variables = self.properties(function)["Environment"]["Variables"].as_object();
        let resolved = variables
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.clone(), resolve(&self.document, value, parameters)?)));
        resolved.collect()
    }
}

/// The statements of a policy, including conditional ones.
fn statements(policy: &Value) -> Vec<Value> {
    let listed = policy["Statement"].as_array().cloned().unwrap_or_default();
    listed
        .into_iter()
        .map(|one| if one["Fn::If"].is_array() { one["Fn::If"][1].clone() } else { one })
        .collect()
}

/// Resolves a value like CloudFormation; `None` if the variable is omitted.
fn resolve(document: &Value, value: &Value, parameters: &BTreeMap<&str, &str>) -> Option<String> {
    let object = match value {
        Value::String(text) => return Some(text.clone()),
        Value::Number(number) => return Some(number.to_string()),
        Value::Object(object) => object,
        _ => return None,
    };
    let (function, argument) = object.iter().next()?;
    match function.as_str() {
        "Ref" => reference(document, argument.as_str()?, parameters),
        "Fn::GetAtt" => Some(attribute(&document["Resources"][argument[0].as_str()?])),
        "Fn::Join" => {
            let parts = match &argument[1] {
                Value::Array(parts) => {
                    parts.iter().filter_map(|part| resolve(document, part, parameters)).collect()
                }
                // A list of one value.
                other => vec![resolve(document, other, parameters)?],
            };
            Some(parts.join(argument[0].as_str()?))
        }
        "Fn::If" => {
            let holds = condition(document, &document["Conditions"][argument[0].as_str()?], parameters);
            resolve(document, &argument[if holds { 1 } else { 2 }], parameters)
        }
        "Fn::Sub" => Some("https://api.example.org".to_owned()),
        _ => None,
    }
}

/// The ARN of a resource.
fn attribute(resource: &Value) -> String {
    match resource["Type"].as_str() {
        Some("AWS::IAM::Role") => "arn:aws:iam::111122223333:role/any",
        Some("AWS::Events::EventBus") => "arn:aws:events:eu-west-1:111122223333:event-bus/any",
        _ => "arn:aws:kms:eu-west-1:111122223333:key/1",
    }
    .to_owned()
}

fn reference(document: &Value, name: &str, parameters: &BTreeMap<&str, &str>) -> Option<String> {
    let declared: &Map<String, Value> = document["Parameters"].as_object()?;
    match (parameters.get(name), declared.get(name)) {
        (Some(given), _) => Some((*given).to_owned()),
        (None, Some(parameter)) => Some(match &parameter["Default"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }),
        (None, None) => match name {
            "AWS::NoValue" => None,
            "AWS::AccountId" => Some("111122223333".to_owned()),
            _ => Some(name.replace("::", "-")),
        },
    }
}

fn condition(document: &Value, value: &Value, parameters: &BTreeMap<&str, &str>) -> bool {
    let Some((function, argument)) = value.as_object().and_then(|object| object.iter().next()) else {
        return false;
    };
    match function.as_str() {
        "Fn::Not" => !condition(document, &argument[0], parameters),
        "Fn::Equals" => {
            resolve(document, &argument[0], parameters) == resolve(document, &argument[1], parameters)
        }
        _ => false,
    }
}
