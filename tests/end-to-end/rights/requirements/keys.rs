//! Requirements on keys: their users, and the services through which they use them.

use end_to_end::rights::statements::texts;
use end_to_end::rights::template::Template;
use serde_json::Value;

use super::{Requirement, logical_names, unless};

pub(super) const REQUIREMENTS: &[Requirement] = &[
    Requirement {
        what: "there are exactly two keys, both rotated, retained when the stack is deleted, and with the longest waiting period before deletion",
        page: "https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html",
        violations: |template| {
            let mut names: Vec<_> =
                template.of_type("AWS::KMS::Key").map(|(name, _)| name.to_owned()).collect();
            names.sort();
            let count =
                if names == ["AtRestKey", "EnvelopeKey"] { vec![] } else { vec![format!("{names:?}")] };
            let rotated = unless(names, |name| {
                let (key, resource) = (template.properties(name), &template.document["Resources"][name]);
                key["EnableKeyRotation"] == true && key["PendingWindowInDays"] == 30 && is_kept(resource)
            });
            [count, rotated].concat()
        },
    },
    Requirement {
        what: "no key policy has wildcard actions, and the envelope key's policy does not allow grants",
        page: "https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html",
        violations: |template| {
            let actions = |key: &str| -> Vec<String> {
                template.key_policy(key).iter().flat_map(|one| texts(&one["Action"])).collect()
            };
            let mut violations: Vec<_> = ["EnvelopeKey", "AtRestKey"].into_iter().flat_map(actions).collect();
            violations.retain(|action| action.contains('*'));
            violations
                .extend(actions("EnvelopeKey").into_iter().filter(|action| action == "kms:CreateGrant"));
            violations
        },
    },
    Requirement {
        what: "no statement of the envelope key's policy lets the account's administrators use it",
        page: "https://docs.aws.amazon.com/kms/latest/developerguide/control-access-overview.html",
        violations: |template| {
            let policy = template.key_policy("EnvelopeKey");
            let root = policy.iter().filter(|one| one["Principal"]["AWS"].to_string().contains(":root"));
            let mut actions: Vec<_> = root.flat_map(|one| texts(&one["Action"])).collect();
            actions.retain(|action| USES.contains(&action.as_str()));
            actions
        },
    },
    Requirement {
        what: "every use of the envelope key is bound to the deployment by its encryption context",
        page: "https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-encryption-context",
        violations: |template| {
            let policy = template.key_policy("EnvelopeKey");
            let uses = policy
                .iter()
                .filter(|one| texts(&one["Action"]).iter().any(|it| USES.contains(&it.as_str())));
            let unbound = uses.filter(|one| {
                one["Condition"]["StringEquals"]["kms:EncryptionContext:deployment"]["Ref"]
                    != "AWS::StackName"
            });
            unbound.map(sid).collect()
        },
    },
    Requirement {
        what: "only write-secrets seals; only launch-run, claim-run and a configured break-glass principal open",
        page: "https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html",
        violations: |template| {
            let users = |action: &str| -> Vec<String> {
                let policy = template.key_policy("EnvelopeKey");
                let holding =
                    policy.into_iter().filter(|one| texts(&one["Action"]).iter().any(|it| it == action));
                holding.map(|one| one["Principal"]["AWS"].to_string()).collect()
            };
            let role = |name: &str| format!(r#"{{"Fn::GetAtt":["{name}","Arn"]}}"#);
            let openers = format!("[{},{}]", role("LaunchRunRole"), role("ClaimRunRole"));
            let expected = [
                ("kms:GenerateDataKey", vec![role("WriteSecretsRole")]),
                ("kms:Decrypt", vec![openers, r#"{"Ref":"BreakGlassPrincipal"}"#.to_owned()]),
            ];
            expected
                .into_iter()
                .filter(|(action, principals)| users(action) != *principals)
                .map(|(action, _)| action.to_owned())
                .collect()
        },
    },
    Requirement {
        what: "every function may use the table's key, only through DynamoDB",
        page: "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html",
        violations: |template| {
            let statement = of(template, "FunctionsThroughTheTable");
            let through = statement["Condition"]["StringEquals"]["kms:ViaService"].to_string();
            let actions = texts(&statement["Action"]);
            let needed = [
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:Encrypt",
                "kms:GenerateDataKey",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
            ];
            let mut violations =
                unless(needed.map(str::to_owned), |action| actions.iter().any(|it| it == action));
            violations.extend(unless(["dynamodb.".to_owned()], |service| through.contains(service)));
            let principals = statement["Principal"]["AWS"].to_string();
            let with_table = logical_names().filter(|name| name != "Console");
            violations.extend(unless(with_table, |name| principals.contains(&format!("\"{name}Role\""))));
            violations
        },
    },
    Requirement {
        what: "CloudWatch Logs may use the at-rest key, only for this deployment's log groups",
        page: "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html",
        violations: |template| {
            let statement = of(template, "Logs");
            let service =
                statement["Principal"]["Service"].to_string().contains("logs.${AWS::Region}.amazonaws.com");
            let bound = statement["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"].to_string();
            let holds = service && bound.contains("log-group:${AWS::StackName}-*");
            if holds { vec![] } else { vec!["Logs".into()] }
        },
    },
    Requirement {
        what: "EventBridge may encrypt dead letters with the queues' key; the documented statement has no condition",
        page: "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html",
        violations: |template| {
            let statement = of(template, "EventsToDeadLetters");
            let holds = statement["Principal"]["Service"] == "events.amazonaws.com"
                && texts(&statement["Action"]) == ["kms:Decrypt", "kms:GenerateDataKey"]
                && statement["Condition"].is_null();
            if holds { vec![] } else { vec!["EventsToDeadLetters".into()] }
        },
    },
    Requirement {
        what: "the function with an on-failure destination may encrypt its messages, only through SQS",
        page: "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html",
        violations: |template| {
            let statement = of(template, "CleanerToDeadLetters");
            let holds = statement["Principal"]["AWS"].to_string().contains("CleanupRunRole")
                && texts(&statement["Action"]) == ["kms:Decrypt", "kms:GenerateDataKey"]
                && statement["Condition"]["StringEquals"]["kms:ViaService"].to_string().contains("sqs.");
            if holds { vec![] } else { vec!["CleanerToDeadLetters".into()] }
        },
    },
    Requirement {
        what: "launch-run may use a configured key of the copies, only through Secrets Manager",
        page: "https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html",
        violations: |template| {
            let rights = template.rights("LaunchRun");
            let statement =
                rights.iter().find(|one| one["Sid"] == "KeyOfTheCopies").cloned().unwrap_or_default();
            let holds = texts(&statement["Action"]) == ["kms:Decrypt", "kms:GenerateDataKey"]
                && statement["Resource"]["Ref"] == "CopyKeyArn"
                && statement["Condition"]["StringEquals"]["kms:ViaService"]
                    .to_string()
                    .contains("secretsmanager.");
            if holds { vec![] } else { vec!["KeyOfTheCopies".into()] }
        },
    },
];

const USES: [&str; 7] = [
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:CreateGrant",
];

fn of(template: &Template, sid: &str) -> Value {
    template.key_policy("AtRestKey").into_iter().find(|one| one["Sid"] == sid).unwrap_or_default()
}

fn sid(statement: &Value) -> String {
    statement["Sid"].as_str().unwrap_or("a statement without Sid").to_owned()
}

pub(super) fn is_kept(resource: &Value) -> bool {
    // A failed first deployment leaves nothing behind. The table is an exception: its deletion
    // protection would block the rollback.
    let policy = if resource["Type"] == "AWS::DynamoDB::Table" { "Retain" } else { "RetainExceptOnCreate" };
    resource["DeletionPolicy"] == policy && resource["UpdateReplacePolicy"] == "Retain"
}
