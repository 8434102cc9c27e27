//! Copies: who may not read, make, change, tag or remove them, ours and others'.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::types::Tag;
use domain::copies::CopyTags;
use end_to_end::rights::exercises::text;
use end_to_end::rights::harness::World;
use end_to_end::rights::sealed::{CallResult, tried};
use local::platform::{Platform, resolve};
use serde_json::Value;

use super::{Outcome, Targets, Trial, functions};

pub(super) async fn try_all(targets: &Targets, trial: &mut Trial) -> Outcome {
    let harness = &targets.harness;
    let copy = format!("tower-{}", text(&targets.run, "workflowId"));
    let prefix = harness.stack.output("RunPrefix")?;
    let operator = aws_sdk_secretsmanager::Client::new(&harness.operator);
    // Secrets that are not ours: with nothing of ours, with our name only, with our name and another deployment's tag.
    let foreign = [
        "somebody-elses".to_owned(),
        format!("tower-{prefix}0000000001"),
        format!("tower-{prefix}0000000002"),
    ];
    for (index, name) in foreign.iter().enumerate() {
        let made = operator.create_secret().name(name).secret_string("theirs");
        let made = if index == 2 { made.tags(tag(CopyTags::DEPLOYMENT, "another-deployment")) } else { made };
        made.send().await?;
    }
    for function in functions() {
        let role = harness.role(function).await?;
        let client = aws_sdk_secretsmanager::Client::new(&role);
        let mut refuse =
            |what: &str, outcome: CallResult| trial.refuse(format!("{function} {what}"), &outcome);
        for name in foreign.iter().chain([&copy]) {
            refuse("GetSecretValue", tried(client.get_secret_value().secret_id(name).send().await));
            let put = client.put_secret_value().secret_id(name).secret_string("changed");
            refuse("PutSecretValue", tried(put.send().await));
            refuse(
                "UpdateSecret",
                tried(client.update_secret().secret_id(name).description("x").send().await),
            );
            refuse(
                "UntagResource",
                tried(client.untag_resource().secret_id(name).tag_keys(CopyTags::RUN).send().await),
            );
            let policy = client.put_resource_policy().secret_id(name).resource_policy("{}");
            refuse("PutResourcePolicy", tried(policy.send().await));
        }
        let batch = client.batch_get_secret_value().secret_id_list(&copy);
        refuse("BatchGetSecretValue", tried(batch.send().await));
        for name in &foreign {
            refuse(&format!("DeleteSecret {name}"), delete(&role, name).await);
        }
        if function != "cleanup-run" {
            refuse("DeleteSecret of a live copy", delete(&role, &copy).await);
            refuse("DescribeSecret", tried(client.describe_secret().secret_id(&copy).send().await));
            refuse("ListSecrets", tried(client.list_secrets().send().await));
        }
        let ours = [tag(CopyTags::DEPLOYMENT, harness.stack.name()), tag(CopyTags::RUN, "x")];
        if function != "launch-run" {
            refuse("CreateSecret", create(&role, &format!("tower-{prefix}0000000003"), &ours).await);
            let tagged = client.tag_resource().secret_id(&copy).set_tags(Some(ours.to_vec()));
            refuse("TagResource of a live copy", tried(tagged.send().await));
        }
        let tagged = client.tag_resource().secret_id("somebody-elses").set_tags(Some(ours.to_vec()));
        refuse("TagResource of what is not ours", tried(tagged.send().await));
    }
    launcher(targets, trial, prefix).await?;
    deployments(targets, trial, &copy).await?;
    workspaces(targets, trial).await
}

/// What the one function that makes copies may not make.
async fn launcher(targets: &Targets, trial: &mut Trial, prefix: &str) -> Outcome {
    let role = targets.harness.role("launch-run").await?;
    let ours = tag(CopyTags::DEPLOYMENT, targets.harness.stack.name());
    let name = format!("tower-{prefix}0000000009");
    for (what, name, tags) in [
        ("outside of its prefix", "tower-zzzz0000000009", vec![ours.clone()]),
        ("of any name", "production-database", vec![ours.clone()]),
        ("without tags", name.as_str(), vec![]),
        ("with another deployment's tag", &name, vec![tag(CopyTags::DEPLOYMENT, "another-deployment")]),
        ("with a tag that is none of ours", &name, vec![ours, tag("cost-center", "42")]),
    ] {
        trial.refuse(format!("launch-run CreateSecret {what}"), &create(&role, name, &tags).await);
    }
    Ok(())
}

/// Two deployments in one account: neither reaches the other's copies, rows or key.
async fn deployments(targets: &Targets, trial: &mut Trial, copy: &str) -> Outcome {
    let harness = &targets.harness;
    // Even where both were given the same prefix.
    let prefix = harness.stack.output("RunPrefix")?;
    let parameters = [("SweepSchedule", "rate(7 days)"), ("RunPrefix", prefix)];
    let beside = harness.deploy_beside("beside", &parameters).await?;
    for function in ["launch-run", "cleanup-run", "read-secrets"] {
        let output = format!("{}Function", end_to_end::rights::logical(function));
        let theirs = beside.outputs.get(&output).ok_or("no such function")?;
        let role = harness.stack.sdk_config(&harness.stack.credentials_of(theirs).await?).await;
        let client = aws_sdk_secretsmanager::Client::new(&role);
        let mut refuse = |what: &str, outcome: CallResult| {
            trial.refuse(format!("another deployment's {function} {what}"), &outcome);
        };
        refuse("DescribeSecret", tried(client.describe_secret().secret_id(copy).send().await));
        refuse("DeleteSecret", delete(&role, copy).await);
        refuse("GetSecretValue", tried(client.get_secret_value().secret_id(copy).send().await));
        let theirs = tag(CopyTags::DEPLOYMENT, "beside");
        refuse("TagResource", tried(client.tag_resource().secret_id(copy).tags(theirs).send().await));
        let ours = [tag(CopyTags::DEPLOYMENT, harness.stack.name())];
        refuse(
            "CreateSecret under our prefix",
            create(&role, &format!("tower-{prefix}0000000004"), &ours).await,
        );
        let row =
            aws_sdk_dynamodb::Client::new(&role).get_item().table_name(harness.stack.output("TableName")?);
        let key = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
        let row = row.key("pk", key("RUN#1")).key("sk", key("RUN")).send().await;
        refuse("GetItem of our table", tried(row));
    }
    // It lives: its own API answers under its own name.
    let endpoint = beside.outputs.get("ApiEndpoint").ok_or("no endpoint")?;
    end_to_end::rights::ensure(endpoint != &harness.stack.api_endpoint, || "two stacks, one API".into())
}

/// The role that a launch asks for reads its own workspace's copies and no other's.
async fn workspaces(targets: &Targets, trial: &mut Trial) -> Outcome {
    let harness = &targets.harness;
    let other = World::make(harness, "other").await?;
    other.store(harness, "IMAGING_KEY").await?;
    let run = other.launch(harness, "aws-batch").await?;
    let platform = Platform::new(&harness.stack).await;
    let value_from =
        |run: &Value| run["batch"]["secrets"][0]["valueFrom"].as_str().unwrap_or_default().to_owned();
    for (name, own, foreign) in [("jobs-a", &targets.run, &run), ("jobs-b", &run, &targets.run)] {
        let role = platform.role(name, &own["iam"]["statements"]).await?;
        let role = harness.stack.sdk_config(&role).await;
        let read = |value_from: String| {
            let role = &role;
            async move { resolve(role, &value_from).await.map(drop).map_err(|error| error.to_string()) }
        };
        trial.permit(format!("{name}: its own copy"), &read(value_from(own)).await);
        trial.refuse(format!("{name}: another workspace's copy"), &read(value_from(foreign)).await);
    }
    // And with the statements of one run, no other run's of the same workspace.
    let second = other.launch(harness, "aws-batch").await?;
    let role = platform.role("jobs-of-a-run", &run["iam"]["runStatements"]).await?;
    let role = harness.stack.sdk_config(&role).await;
    let read = async |run: &Value| {
        resolve(&role, &value_from(run)).await.map(drop).map_err(|error| error.to_string())
    };
    trial.permit("a run's role: its own copy", &read(&run).await);
    trial.refuse("a run's role: another run's copy", &read(&second).await);
    Ok(())
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

async fn create(role: &SdkConfig, name: &str, tags: &[Tag]) -> CallResult {
    let call = aws_sdk_secretsmanager::Client::new(role).create_secret().name(name).secret_string("x");
    let tags = (!tags.is_empty()).then(|| tags.to_vec());
    tried(call.set_tags(tags).send().await)
}

async fn delete(role: &SdkConfig, name: &str) -> CallResult {
    let call = aws_sdk_secretsmanager::Client::new(role).delete_secret().secret_id(name);
    tried(call.force_delete_without_recovery(true).send().await)
}
