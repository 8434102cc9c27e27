//! Copies: no role may read, create, change, tag or delete more of them than it needs, ours or
//! others'.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::types::Tag;
use domain::copies::CopyTags;
use end_to_end::rights::exercises::text;
use end_to_end::rights::harness::World;
use end_to_end::rights::sealed::{CallResult, call_result};
use local::platform::{Platform, resolve};
use serde_json::Value;

use super::{Attempts, Outcome, Targets, functions};

pub(super) async fn try_all(targets: &Targets, attempts: &mut Attempts) -> Outcome {
    let harness = &targets.harness;
    let copy = format!("tower-{}", text(&targets.run, "workflowId"));
    let prefix = harness.stack.output("RunPrefix")?;
    let operator = aws_sdk_secretsmanager::Client::new(&harness.operator);
    // Secrets outside the deployment: with an unrelated name, with our prefix but no tags, with our
    // prefix and another deployment's tag.
    let others =
        ["unrelated".to_owned(), format!("tower-{prefix}0000000001"), format!("tower-{prefix}0000000002")];
    for (index, name) in others.iter().enumerate() {
        let create = operator.create_secret().name(name).secret_string("theirs");
        let create =
            if index == 2 { create.tags(tag(CopyTags::DEPLOYMENT, "another-deployment")) } else { create };
        create.send().await?;
    }
    for function in functions() {
        let role = harness.role(function).await?;
        let client = aws_sdk_secretsmanager::Client::new(&role);
        let mut expect_denied =
            |what: &str, outcome: CallResult| attempts.expect_denied(format!("{function} {what}"), &outcome);
        for name in others.iter().chain([&copy]) {
            expect_denied(
                "GetSecretValue",
                call_result(client.get_secret_value().secret_id(name).send().await),
            );
            let put = client.put_secret_value().secret_id(name).secret_string("changed");
            expect_denied("PutSecretValue", call_result(put.send().await));
            expect_denied(
                "UpdateSecret",
                call_result(client.update_secret().secret_id(name).description("x").send().await),
            );
            expect_denied(
                "UntagResource",
                call_result(client.untag_resource().secret_id(name).tag_keys(CopyTags::RUN).send().await),
            );
            let policy = client.put_resource_policy().secret_id(name).resource_policy("{}");
            expect_denied("PutResourcePolicy", call_result(policy.send().await));
        }
        let batch = client.batch_get_secret_value().secret_id_list(&copy);
        expect_denied("BatchGetSecretValue", call_result(batch.send().await));
        for name in &others {
            expect_denied(&format!("DeleteSecret {name}"), delete(&role, name).await);
        }
        if function != "cleanup-run" {
            expect_denied("DeleteSecret of a live copy", delete(&role, &copy).await);
            expect_denied(
                "DescribeSecret",
                call_result(client.describe_secret().secret_id(&copy).send().await),
            );
            expect_denied("ListSecrets", call_result(client.list_secrets().send().await));
        }
        let ours = [tag(CopyTags::DEPLOYMENT, harness.stack.name()), tag(CopyTags::RUN, "x")];
        if function != "launch-run" {
            expect_denied("CreateSecret", create(&role, &format!("tower-{prefix}0000000003"), &ours).await);
            let tagged = client.tag_resource().secret_id(&copy).set_tags(Some(ours.to_vec()));
            expect_denied("TagResource of a live copy", call_result(tagged.send().await));
        }
        let tagged = client.tag_resource().secret_id("unrelated").set_tags(Some(ours.to_vec()));
        expect_denied("TagResource of an unrelated secret", call_result(tagged.send().await));
    }
    launcher(targets, attempts, prefix).await?;
    deployments(targets, attempts, &copy).await?;
    workspaces(targets, attempts).await
}

/// Secrets that launch-run, the only function that creates copies, may not create.
async fn launcher(targets: &Targets, attempts: &mut Attempts, prefix: &str) -> Outcome {
    let role = targets.harness.role("launch-run").await?;
    let ours = tag(CopyTags::DEPLOYMENT, targets.harness.stack.name());
    let name = format!("tower-{prefix}0000000009");
    for (what, name, tags) in [
        ("outside its prefix", "tower-zzzz0000000009", vec![ours.clone()]),
        ("with an arbitrary name", "production-database", vec![ours.clone()]),
        ("without tags", name.as_str(), vec![]),
        ("with another deployment's tag", &name, vec![tag(CopyTags::DEPLOYMENT, "another-deployment")]),
        ("with an unknown tag", &name, vec![ours, tag("cost-center", "42")]),
    ] {
        attempts.expect_denied(format!("launch-run CreateSecret {what}"), &create(&role, name, &tags).await);
    }
    Ok(())
}

/// Two deployments in one account: neither can access the other's copies, rows or key.
async fn deployments(targets: &Targets, attempts: &mut Attempts, copy: &str) -> Outcome {
    let harness = &targets.harness;
    // Even if both have the same prefix.
    let prefix = harness.stack.output("RunPrefix")?;
    let parameters = [("SweepSchedule", "rate(7 days)"), ("RunPrefix", prefix)];
    let second = harness.deploy_beside("second", &parameters).await?;
    for function in ["launch-run", "cleanup-run", "read-secrets"] {
        let output = format!("{}Function", end_to_end::rights::logical(function));
        let theirs = second.outputs.get(&output).ok_or("no such function")?;
        let role = harness.stack.sdk_config(&harness.stack.credentials_of(theirs).await?).await;
        let client = aws_sdk_secretsmanager::Client::new(&role);
        let mut expect_denied = |what: &str, outcome: CallResult| {
            attempts.expect_denied(format!("another deployment's {function} {what}"), &outcome);
        };
        expect_denied("DescribeSecret", call_result(client.describe_secret().secret_id(copy).send().await));
        expect_denied("DeleteSecret", delete(&role, copy).await);
        expect_denied("GetSecretValue", call_result(client.get_secret_value().secret_id(copy).send().await));
        let theirs = tag(CopyTags::DEPLOYMENT, "second");
        expect_denied(
            "TagResource",
            call_result(client.tag_resource().secret_id(copy).tags(theirs).send().await),
        );
        let ours = [tag(CopyTags::DEPLOYMENT, harness.stack.name())];
        expect_denied(
            "CreateSecret under our prefix",
            create(&role, &format!("tower-{prefix}0000000004"), &ours).await,
        );
        let row =
            aws_sdk_dynamodb::Client::new(&role).get_item().table_name(harness.stack.output("TableName")?);
        let key = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
        let row = row.key("pk", key("RUN#1")).key("sk", key("RUN")).send().await;
        expect_denied("GetItem of our table", call_result(row));
    }
    // The second deployment has a separate API.
    let endpoint = second.outputs.get("ApiEndpoint").ok_or("no endpoint")?;
    end_to_end::rights::ensure(endpoint != &harness.stack.api_endpoint, || {
        "both stacks have the same API endpoint".into()
    })
}

/// A role with a launch's `iam.statements` can read its own workspace's copies and no others.
async fn workspaces(targets: &Targets, attempts: &mut Attempts) -> Outcome {
    let harness = &targets.harness;
    let other = World::make(harness, "other").await?;
    other.store(harness, "IMAGING_KEY").await?;
    let run = other.launch(harness, "aws-batch").await?;
    let platform = Platform::new(&harness.stack).await;
    let value_from =
        |run: &Value| run["batch"]["secrets"][0]["valueFrom"].as_str().unwrap_or_default().to_owned();
    for (name, own, others) in [("jobs-a", &targets.run, &run), ("jobs-b", &run, &targets.run)] {
        let role = platform.role(name, &own["iam"]["statements"]).await?;
        let role = harness.stack.sdk_config(&role).await;
        let read = |value_from: String| {
            let role = &role;
            async move { resolve(role, &value_from).await.map(drop).map_err(|error| error.to_string()) }
        };
        attempts.expect_allowed(format!("{name}: its own copy"), &read(value_from(own)).await);
        attempts.expect_denied(format!("{name}: another workspace's copy"), &read(value_from(others)).await);
    }
    // A role with `iam.runStatements` cannot read the copies of another run in the same workspace.
    let second = other.launch(harness, "aws-batch").await?;
    let role = platform.role("jobs-of-a-run", &run["iam"]["runStatements"]).await?;
    let role = harness.stack.sdk_config(&role).await;
    let read = async |run: &Value| {
        resolve(&role, &value_from(run)).await.map(drop).map_err(|error| error.to_string())
    };
    attempts.expect_allowed("a run's role: its own copy", &read(&run).await);
    attempts.expect_denied("a run's role: another run's copy", &read(&second).await);
    Ok(())
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

async fn create(role: &SdkConfig, name: &str, tags: &[Tag]) -> CallResult {
    let call = aws_sdk_secretsmanager::Client::new(role).create_secret().name(name).secret_string("x");
    let tags = (!tags.is_empty()).then(|| tags.to_vec());
    call_result(call.set_tags(tags).send().await)
}

async fn delete(role: &SdkConfig, name: &str) -> CallResult {
    let call = aws_sdk_secretsmanager::Client::new(role).delete_secret().secret_id(name);
    call_result(call.force_delete_without_recovery(true).send().await)
}
