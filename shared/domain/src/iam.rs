//! The IAM statements that let jobs read the copies of a run, and no others.

use serde_json::{Map, Value, json};

use crate::copies::{CopyTags, scope_tag};
use crate::ids::{RunId, RunPrefix};
use crate::owner::SecretOwner;

/// Where the copies of a deployment are stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyLocation {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// The region.
    pub region: String,
    /// The account, 12 digits.
    pub account: String,
}

impl CopyLocation {
    /// Takes partition, region and account from the ARN of a resource in the same account and
    /// region.
    #[must_use]
    pub fn of_arn(arn: &str) -> Option<Self> {
        let mut parts = arn.split(':');
        let (_, partition, _) = (parts.next()?, parts.next()?, parts.next()?);
        let (region, account) = (parts.next()?, parts.next()?);
        Some(Self { partition: partition.to_owned(), region: region.to_owned(), account: account.to_owned() })
    }
}

/// The copies that a role may read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Readable<'a> {
    /// The copies of every run of the workspace or user.
    OfScope(&'a RunPrefix),
    /// The copies of one run.
    OfRun(&'a RunId),
}

/// Returns the statements for the execution role of a job definition (`bundle`) or the job role of
/// tasks (`per-name`). They allow reading this deployment's copies with the scope's tag, restricted
/// by name and tags.
#[must_use]
pub fn read_copies(
    home: &CopyLocation,
    readable: Readable<'_>,
    deployment: &str,
    scope: SecretOwner,
    copy_key: Option<&str>,
) -> Value {
    let CopyLocation { partition, region, account } = home;
    let tag = |key: &str| format!("secretsmanager:ResourceTag/{key}");
    let mut tags = Map::from_iter([
        (tag(CopyTags::DEPLOYMENT), deployment.into()),
        (tag(CopyTags::SCOPE), scope_tag(scope).into()),
    ]);
    let name = match readable {
        Readable::OfScope(prefix) => prefix.as_str(),
        Readable::OfRun(run) => {
            tags.insert(tag(CopyTags::RUN), run.as_str().into());
            run.as_str()
        }
    };
    let mut statements = vec![json!({
        "Sid": "ReadPipelineSecrets",
        "Effect": "Allow",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": format!("arn:{partition}:secretsmanager:{region}:{account}:secret:tower-{name}*"),
        "Condition": {"StringEquals": tags},
    })];
    if let Some(key) = copy_key {
        statements.push(json!({
            "Sid": "DecryptPipelineSecrets",
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": key,
            "Condition": {"StringEquals": {"kms:ViaService": format!("secretsmanager.{region}.amazonaws.com")}},
        }));
    }
    Value::Array(statements)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statements_are_those_that_the_policy_linter_checks() {
        let home = CopyLocation::of_arn("arn:aws:dynamodb:eu-west-1:123456789012:table/t").unwrap();
        let prefix = RunPrefix::new("ab12").unwrap();
        let key = "arn:aws:kms:eu-west-1:123456789012:key/11112222-3333-4444-5555-666677778888";
        let readable = Readable::OfScope(&prefix);
        let statements = |key| read_copies(&home, readable, "prod", "WS#42".parse().unwrap(), key);
        let judged: Value =
            serde_json::from_str(include_str!("../../../infra/checks/launch-statements.json")).unwrap();
        assert_eq!(statements(Some(key)), judged);
        assert_eq!(statements(None).as_array().unwrap()[..], judged.as_array().unwrap()[..1]);
    }

    #[test]
    fn the_statements_of_a_run_read_no_other_runs_copies() {
        let home = CopyLocation::of_arn("arn:aws:dynamodb:eu-west-1:123456789012:table/t").unwrap();
        let run = RunId::new("ab12ABCDEFGHIJ").unwrap();
        let scope: SecretOwner = "USER#7".parse().unwrap();
        let statements = read_copies(&home, Readable::OfRun(&run), "prod", scope, None);
        let [statement] = statements.as_array().unwrap().as_slice() else { panic!("{statements}") };
        assert_eq!(
            statement["Resource"],
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:tower-ab12ABCDEFGHIJ*"
        );
        let tags = json!({
            "secretsmanager:ResourceTag/pipeline-secrets:deployment": "prod",
            "secretsmanager:ResourceTag/pipeline-secrets:scope": "user/7",
            "secretsmanager:ResourceTag/pipeline-secrets:run": "ab12ABCDEFGHIJ",
        });
        assert_eq!(statement["Condition"], json!({ "StringEquals": tags }));
    }

    #[test]
    fn the_location_of_copies_is_parsed_from_any_arn() {
        for (arn, home) in [
            ("arn:aws:dynamodb:eu-west-1:123456789012:table/t", Some("aws eu-west-1 123456789012")),
            ("arn:aws-cn:kms:cn-north-1:210987654321:key/k", Some("aws-cn cn-north-1 210987654321")),
            ("arn:aws:lambda:us-east-1:123456789012:function:f:1", Some("aws us-east-1 123456789012")),
            ("arn:aws:dynamodb:eu-west-1", None),
            ("arn:aws", None),
            ("", None),
        ] {
            let read = CopyLocation::of_arn(arn)
                .map(|home| format!("{} {} {}", home.partition, home.region, home.account));
            assert_eq!(read.as_deref(), home, "{arn:?}");
        }
    }

    #[test]
    fn the_statements_name_the_deployments_partition_region_and_scope() {
        let home = CopyLocation::of_arn("arn:aws-cn:kms:cn-north-1:210987654321:key/k").unwrap();
        let prefix = RunPrefix::new("ZZ99").unwrap();
        let statements = read_copies(
            &home,
            Readable::OfScope(&prefix),
            "test",
            "USER#7".parse().unwrap(),
            Some("the-key"),
        );
        for (pointer, expected) in [
            ("/0/Resource", "arn:aws-cn:secretsmanager:cn-north-1:210987654321:secret:tower-ZZ99*"),
            ("/0/Condition/StringEquals/secretsmanager:ResourceTag~1pipeline-secrets:deployment", "test"),
            ("/0/Condition/StringEquals/secretsmanager:ResourceTag~1pipeline-secrets:scope", "user/7"),
            ("/1/Resource", "the-key"),
            ("/1/Condition/StringEquals/kms:ViaService", "secretsmanager.cn-north-1.amazonaws.com"),
        ] {
            assert_eq!(statements.pointer(pointer), Some(&Value::from(expected)), "{pointer}");
        }
    }
}
