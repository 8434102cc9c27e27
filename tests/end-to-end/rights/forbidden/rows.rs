//! The table: every function with every kind of row and every operation.

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use end_to_end::rights::sealed::{CallResult, call_result};

use super::{Attempts, Outcome, Targets, functions};

const KINDS: [&str; 16] = [
    "ORG#",
    "WS#",
    "MEMBERS#",
    "USER#",
    "LOGIN#",
    "TOKEN#",
    "SECRETS#",
    "IDEM#",
    "RUN#",
    "LAUNCH#",
    "QUOTA#",
    "JOB#",
    "AUDIT#",
    "ENVS#",
    "ENVIRONMENTS",
    "REMOVED#",
];
const OPERATIONS: [&str; 5] = ["GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"];

/// The operations that each function may use, by kind of row. IAM denies all others.
fn allowed(function: &str, kind: &str, operation: &str) -> bool {
    let kinds: &[&str] = match (function, operation) {
        ("authorizer", "GetItem") => &["TOKEN#", "LOGIN#", "USER#"],
        ("authorizer", "UpdateItem") => &["TOKEN#"],
        ("identity", "GetItem") => {
            &["ORG#", "WS#", "MEMBERS#", "USER#", "LOGIN#", "TOKEN#", "SECRETS#", "ENVS#"]
        }
        ("identity", "Query") => {
            &["MEMBERS#", "USER#", "LOGIN#", "SECRETS#", "ENVS#", "ENVIRONMENTS", "REMOVED#"]
        }
        ("identity", "PutItem") => &[
            "ORG#",
            "WS#",
            "MEMBERS#",
            "USER#",
            "LOGIN#",
            "TOKEN#",
            "AUDIT#",
            "ENVS#",
            "ENVIRONMENTS",
            "REMOVED#",
        ],
        ("identity", "UpdateItem") => &["WS#", "MEMBERS#", "SECRETS#", "USER#", "TOKEN#", "ENVS#"],
        ("identity", "DeleteItem") => {
            &["ORG#", "MEMBERS#", "USER#", "LOGIN#", "TOKEN#", "SECRETS#", "ENVS#", "REMOVED#"]
        }
        ("read-secrets", "GetItem") => &["MEMBERS#", "SECRETS#", "RUN#"],
        ("read-secrets", "Query") => &["SECRETS#", "AUDIT#"],
        ("write-secrets", "GetItem") => &["MEMBERS#", "SECRETS#"],
        ("write-secrets", "PutItem") => &["SECRETS#", "IDEM#", "AUDIT#"],
        ("write-secrets", "UpdateItem" | "DeleteItem") => &["SECRETS#"],
        ("launch-run", "GetItem") => &["RUN#", "LAUNCH#"],
        ("launch-run", "Query") => &["SECRETS#", "USER#"],
        ("launch-run", "PutItem") => &["RUN#", "LAUNCH#", "AUDIT#"],
        ("claim-run", "GetItem") => &["RUN#", "USER#"],
        ("report-run", "GetItem") => &["MEMBERS#", "RUN#"],
        ("report-run", "PutItem") => &["JOB#", "AUDIT#"],
        ("cleanup-run", "Query") => &["REMOVED#", "ENVIRONMENTS"],
        ("cleanup-run", "GetItem") => &["RUN#", "JOB#"],
        ("launch-run", "UpdateItem") => &["RUN#", "QUOTA#"],
        ("claim-run" | "report-run", "UpdateItem") => &["RUN#"],
        ("cleanup-run", "UpdateItem") => &["RUN#", "SECRETS#"],
        ("claim-run" | "cleanup-run", "PutItem") => &["AUDIT#"],
        _ => &[],
    };
    kinds.contains(&kind)
}

pub(super) async fn try_all(targets: &Targets, attempts: &mut Attempts) -> Outcome {
    let table = targets.harness.stack.output("TableName")?;
    for function in functions() {
        let role = targets.harness.role(function).await?;
        for kind in KINDS {
            for operation in OPERATIONS {
                let outcome = attempt(&role, table, kind, operation).await;
                let what = format!("{function} {operation} {kind}");
                // A control may fail, for example on its condition, but not with a denial by IAM.
                let passed = outcome.as_ref().is_err_and(|code| !code.contains("AccessDenied"));
                match allowed(function, kind, operation) {
                    true if passed => {}
                    true => attempts.expect_allowed(what, &outcome),
                    false => attempts.expect_denied(what, &outcome),
                }
            }
        }
        let dynamodb = aws_sdk_dynamodb::Client::new(&role);
        for (shard, reader) in [("DUE#0", "cleanup-run"), ("EXPIRY#0", "identity"), ("OTHER#0", "none")] {
            let query = dynamodb.query().table_name(table).index_name("due");
            let query = query.key_condition_expression("dueShard = :shard");
            let query = query.expression_attribute_values(":shard", AttributeValue::S(shard.to_owned()));
            let (what, outcome) = (format!("{function} Query of {shard}"), call_result(query.send().await));
            match function == reader {
                true => attempts.expect_allowed(what, &outcome),
                false => attempts.expect_denied(what, &outcome),
            }
        }
        attempts.expect_denied(
            format!("{function} Scan"),
            &call_result(dynamodb.scan().table_name(table).send().await),
        );
        let index = dynamodb.scan().table_name(table).index_name("by-workspace");
        attempts.expect_denied(format!("{function} Scan of an index"), &call_result(index.send().await));
        let deleted = dynamodb.delete_table().table_name(table).send().await;
        attempts.expect_denied(format!("{function} DeleteTable"), &call_result(deleted));
    }
    Ok(())
}

/// Calls an operation with a key of no row and a condition that is never true, so that an allowed
/// call changes nothing.
async fn attempt(role: &SdkConfig, table: &str, kind: &str, operation: &str) -> CallResult {
    let dynamodb = aws_sdk_dynamodb::Client::new(role);
    let key = |text: &str| AttributeValue::S(text.to_owned());
    let pk = if kind.ends_with('#') { format!("{kind}0") } else { kind.to_owned() };
    let never = "attribute_exists(pk) AND attribute_not_exists(pk)";
    match operation {
        "GetItem" => call_result(
            dynamodb.get_item().table_name(table).key("pk", key(&pk)).key("sk", key("0")).send().await,
        ),
        "Query" => {
            let query = dynamodb.query().table_name(table).key_condition_expression("pk = :pk");
            call_result(query.expression_attribute_values(":pk", key(&pk)).send().await)
        }
        "PutItem" => {
            let put = dynamodb.put_item().table_name(table).item("pk", key(&pk)).item("sk", key("0"));
            call_result(put.condition_expression(never).send().await)
        }
        "UpdateItem" => {
            let update = dynamodb.update_item().table_name(table).key("pk", key(&pk)).key("sk", key("0"));
            // An attribute that functions with limited rights may change.
            let attribute = match kind {
                "RUN#" => "revision",
                "QUOTA#" => "until",
                _ => "lastUsed",
            };
            let update = update.update_expression("SET #a = :v").expression_attribute_names("#a", attribute);
            let update = update.expression_attribute_values(":v", key("v"));
            call_result(update.condition_expression(never).send().await)
        }
        _ => {
            let delete = dynamodb.delete_item().table_name(table).key("pk", key(&pk)).key("sk", key("0"));
            call_result(delete.condition_expression(never).send().await)
        }
    }
}
