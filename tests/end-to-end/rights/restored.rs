//! A table restored from a backup: the service rejects requests and deletes nothing until the table
//! is reconciled with the logged audit trail. After that, deletions since the backup are effective
//! again, and live runs still have their copies.

use aws_sdk_dynamodb::types::AttributeValue;
use end_to_end::rights::exercises::text;
use end_to_end::rights::harness::{Call, Harness, World};
use end_to_end::rights::{Outcome, ensure};
use http_api::Operation;
use local::platform::{Platform, resolve};
use reqwest::Method;
use serde_json::{Value, json};

async fn rows(
    harness: &Harness,
    table: &str,
) -> Outcome<Vec<std::collections::HashMap<String, AttributeValue>>> {
    let scan =
        aws_sdk_dynamodb::Client::new(&harness.operator).scan().table_name(table).consistent_read(true);
    let mut pages = scan.into_paginator().items().send();
    let mut rows = Vec::new();
    while let Some(row) = pages.next().await {
        rows.push(row?);
    }
    Ok(rows)
}

/// Runs the operator's script that reconciles the table with the audit trail in the functions'
/// logs.
async fn reconcile(harness: &Harness) -> Outcome<Value> {
    let since = ["--since", "2026-01-01T00:00:00Z"];
    let silent = SILENT.iter().chain(&["cleanup-run"]).flat_map(|function| ["--may-be-empty", *function]);
    let arguments: Vec<_> = since.into_iter().chain(silent).collect();
    let run = harness.script("reconcile", &arguments).await?;
    let output = String::from_utf8(run.stdout)?;
    ensure(run.status.success(), || format!("{output}{}", String::from_utf8_lossy(&run.stderr)))?;
    ensure(output.contains(" tokens to the index of expiries"), || output.clone())?;
    let answer = output.lines().rfind(|line| line.starts_with('{'));
    Ok(serde_json::from_str(answer.ok_or("the script printed no answer")?)?)
}

/// Functions that record no change in this test.
const SILENT: [&str; 2] = ["claim-run", "report-run"];

/// Without audit lines, the table would be opened with the old state.
async fn a_log_without_lines_is_refused(harness: &Harness) -> Outcome {
    let run = harness.script("reconcile", &["--since", "2026-01-01T00:00:00Z"]).await?;
    let errors = String::from_utf8_lossy(&run.stderr).into_owned();
    ensure(!run.status.success() && run.stdout.is_empty(), || format!("accepted: {errors}"))?;
    let named: Vec<_> =
        SILENT.iter().filter(|function| errors.contains(&format!("--may-be-empty {function}"))).collect();
    ensure(named.len() == SILENT.len() && errors.matches("has no audit line").count() >= SILENT.len(), || {
        errors
    })
}

#[tokio::test]
async fn a_restored_table_is_served_only_once_it_is_reconciled() -> Outcome {
    let mut harness = Harness::start(&[("SweepSchedule", "rate(7 days)")]).await?;
    let world = World::make(&harness, "restored").await?;
    let [deleted, changed] =
        [world.store(&harness, "DELETED").await?, world.store(&harness, "CHANGED").await?];
    let live = world.launch(&harness, "aws-batch").await?;
    let unclaimed = world.launch(&harness, "slurm").await?;

    // The backup, and changes after it.
    let table = harness.stack.output("TableName")?.to_owned();
    let backup = rows(&harness, &table).await?;
    harness.done(&world.call(Operation::DeletePipelineSecret).path("secretId", &deleted)).await?;
    let new = world.call(Operation::UpdatePipelineSecret).path("secretId", &changed);
    harness.done(&new.body(&json!({"value": "another value"}))).await?;
    let place = || Call::new(Operation::DeleteParticipant).by(world.owner).path("orgId", &world.org);
    harness.done(&place().path("workspaceId", &world.workspace).path("participantId", &world.member)).await?;
    let listed = harness.done(&Call::new(Operation::ListTokens).by(world.member)).await?;
    let token = listed["tokens"][0]["id"].as_i64().ok_or("no token")?;
    harness.done(&Call::new(Operation::DeleteToken).by(world.member).path("tokenId", &token)).await?;
    let later = world.launch(&harness, "aws-batch").await?;

    // The restore: a new table with the backup's rows replaces the stack's table.
    restore(&harness, &table, &backup).await?;
    let restoring = [("SweepSchedule", "rate(7 days)"), ("RestoredTable", RESTORED), ("Restored", "true")];
    harness.update(&restoring).await?;
    no_operation_is_served(&harness, &world, &live).await?;
    let sweep = json!({"source": "pipeline-secrets.sweep"});
    ensure(!harness.invoke("cleanup-run", &sweep).await?.failed, || "extending the leases failed".into())?;

    a_log_without_lines_is_refused(&harness).await?;
    let done = reconcile(&harness).await?;
    for (what, times) in
        [("secretsDeleted", 1), ("secretsOutdated", 1), ("tokensRevoked", 1), ("rolesRemoved", 1)]
    {
        ensure(done[what] == times, || format!("{what}: {done}"))?;
    }
    let second = reconcile(&harness).await?;
    ensure(
        second["secretsDeleted"] == 0 && second["secretsOutdated"] == 0 && second["rolesRemoved"] == 0,
        || format!("{second}"),
    )?;

    harness.update(&[("SweepSchedule", "rate(7 days)"), ("RestoredTable", RESTORED)]).await?;
    let describe = world.call(Operation::DescribePipelineSecret).path("secretId", &deleted);
    ensure(harness.request(&describe).await?.http_status() == 404, || {
        "the deleted secret exists again".into()
    })?;
    let by_member = Call::new(Operation::ListPipelineSecrets).by(world.member);
    let by_member = by_member.query("workspaceId", &world.workspace.to_string());
    ensure(harness.request(&by_member).await?.http_status() == 404, || {
        "the removed member has access again".into()
    })?;
    let launch = || world.call(Operation::LaunchRun).body(&json!({"platform": "aws-batch"}));
    let rejected = harness.request(&launch()).await?;
    ensure(rejected.http_status() == 422, || format!("a launch with a lost value: {}", rejected.answer))?;
    let update = world.call(Operation::UpdatePipelineSecret).path("secretId", &changed);
    harness.done(&update.body(&json!({"value": "written again"}))).await?;
    harness.done(&launch()).await?;
    let claim = Call::new(Operation::ClaimRun).path("workflowId", &text(&unclaimed, "workflowId"));
    let claim = harness.request(&claim.bearer(&unclaimed["claimToken"])).await?;
    ensure(claim.http_status() == 410, || format!("a claim token from the backup: {}", claim.http_status()))?;

    // A row that an earlier version wrote is added to the index of expiries on a live table.
    let (pk, sk) = (format!("SECRETS#WS#{}", world.workspace), format!("SECRET#{changed}"));
    let expires = AttributeValue::S("2999-01-01T00:00:00Z".into());
    let table = |request: aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder| {
        let key = |text: &str| AttributeValue::S(text.to_owned());
        request.table_name(RESTORED).key("pk", key(&pk)).key("sk", key(&sk))
    };
    let set = table(aws_sdk_dynamodb::Client::new(&harness.operator).update_item());
    set.update_expression("SET expires = :at").expression_attribute_values(":at", expires).send().await?;
    for (number, run) in [(1, "first"), (0, "second")] {
        let indexed = harness.script("reconcile", &["--expiry-only"]).await?;
        let output = String::from_utf8_lossy(&indexed.stdout).into_owned();
        let expected = format!("added {number} secrets and 0 tokens to the index of expiries\n");
        ensure(indexed.status.success() && output == expected, || format!("the {run} run: {output}"))?;
    }

    // A run that is live in the backup, and one that started after it: a sweep keeps the copies of
    // both.
    ensure(!harness.invoke("cleanup-run", &sweep).await?.failed, || "the sweep failed".into())?;
    let platform = Platform::new(&harness.stack).await;
    let role = platform.role("jobs", &live["iam"]["statements"]).await?;
    let role = harness.stack.sdk_config(&role).await;
    for run in [&live, &later] {
        let value_from = run["batch"]["secrets"][0]["valueFrom"].as_str().ok_or("no secret")?;
        resolve(&role, value_from).await?;
    }
    harness.stop().await
}

const RESTORED: &str = "restored-table";

async fn restore(
    harness: &Harness,
    table: &str,
    backup: &[std::collections::HashMap<String, AttributeValue>],
) -> Outcome {
    let dynamodb = aws_sdk_dynamodb::Client::new(&harness.operator);
    let described = dynamodb.describe_table().table_name(table).send().await?.table.ok_or("no table")?;
    let mut create = dynamodb
        .create_table()
        .table_name(RESTORED)
        .billing_mode(aws_sdk_dynamodb::types::BillingMode::PayPerRequest);
    create = create
        .set_attribute_definitions(described.attribute_definitions)
        .set_key_schema(described.key_schema);
    for index in described.global_secondary_indexes.unwrap_or_default() {
        let same = aws_sdk_dynamodb::types::GlobalSecondaryIndex::builder().set_index_name(index.index_name);
        let same = same.set_key_schema(index.key_schema).set_projection(index.projection).build()?;
        create = create.global_secondary_indexes(same);
    }
    create.send().await?;
    for row in backup {
        dynamodb.put_item().table_name(RESTORED).set_item(Some(row.clone())).send().await?;
    }
    Ok(())
}

/// Every operation returns 503, also over the API. Nextflow's heartbeats are an exception, because
/// an error would stop users' pipelines: they succeed, but nothing is written.
async fn no_operation_is_served(harness: &Harness, world: &World, live: &Value) -> Outcome {
    let id = text(live, "workflowId");
    let row = async || harness.row(&format!("RUN#{id}"), "RUN").await;
    let before = row().await?;
    for operation in Operation::ALL {
        let call = world.own(*operation).path("workflowId", &id).bearer(&live["runToken"]);
        let expected = if operation.is_trace() { 200 } else { 503 };
        let answer = harness.request(&call).await?;
        ensure(answer.http_status() == expected, || format!("{}: {}", operation.id(), answer.answer))?;
    }
    ensure(row().await? == before, || "a heartbeat was written".into())?;
    let caller = local::Caller::new(&harness.stack.api_endpoint, &world.token);
    let answer = caller.call(Method::GET, "/pipeline-secrets", None).await?;
    ensure(answer.status.as_u16() == 503, || format!("over the API: {}", answer.status))
}
