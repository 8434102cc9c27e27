//! Triggers each custom metric by its cause and finds it in the function's log. Each alarm must
//! match the metric's name, namespace and dimension, and would fire.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_secretsmanager::types::Tag;
use domain::copies::CopyTags;
use end_to_end::rights::exercises::text;
use end_to_end::rights::harness::{Call, DEPLOYMENT, Harness, World};
use end_to_end::rights::statements::{Grant, Rights};
use end_to_end::rights::template::Template;
use end_to_end::rights::{Outcome, ensure};
use http_api::Operation;
use local::platform::Platform;
use local::{JobStatus, Progress, Tools};
use runtime::Metric;
use runtime::metrics::{DIMENSION, NAMESPACE};
use serde_json::{Value, json};

/// Returns the metrics in a log with the largest value of each.
fn metrics(log: &str) -> BTreeMap<String, i64> {
    let mut found = BTreeMap::new();
    for line in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let described = &line["_aws"]["CloudWatchMetrics"][0];
        let ours = described["Namespace"] == NAMESPACE
            && described["Dimensions"] == json!([[DIMENSION]])
            && line[DIMENSION] == DEPLOYMENT;
        for metric in described["Metrics"].as_array().into_iter().flatten().filter(|_| ours) {
            let name = text(metric, "Name");
            let largest = found.entry(name.to_owned()).or_insert(0);
            *largest = line[name].as_i64().unwrap_or_default().max(*largest);
        }
    }
    found
}

/// A stack in which the causes occur, and the metrics found in the logs.
struct Fixture<'a> {
    harness: &'a Harness,
    world: &'a World,
    values: BTreeMap<String, i64>,
}

impl Fixture<'_> {
    fn record(&mut self, log: &str) {
        for (name, value) in metrics(log) {
            let largest = self.values.entry(name).or_insert(0);
            *largest = value.max(*largest);
        }
    }

    fn value(&self, metric: Metric) -> i64 {
        self.values.get(metric.name()).copied().unwrap_or_default()
    }

    fn expect(&self, metric: Metric, least: i64) -> Outcome {
        ensure(self.value(metric) >= least, || format!("{} is {}", metric.name(), self.value(metric)))
    }

    async fn sweep(&mut self) -> Outcome {
        let swept = self.harness.invoke("cleanup-run", &json!({"source": "pipeline-secrets.sweep"})).await?;
        self.record(&swept.log);
        ensure(!swept.failed, || format!("the sweep failed: {}", swept.answer))
    }

    async fn second_claim(&mut self) -> Outcome {
        let run = self.world.launch(self.harness, "slurm").await?;
        let claim = || {
            let claim = Call::new(Operation::ClaimRun).path("workflowId", &text(&run, "workflowId"));
            claim.bearer(&run["claimToken"])
        };
        self.harness.done(&claim()).await?;
        let second = self.harness.request(&claim()).await?;
        ensure(second.http_status() == 410, || format!("a second claim: {}", second.http_status()))?;
        self.record(&second.log);
        self.expect(Metric::SecondClaims, 1)
    }

    /// Corrupts the last byte of an envelope, so that the value does not open.
    async fn envelope_refused(&mut self, secret: i64) -> Outcome {
        let (pk, sk) = (format!("SECRETS#WS#{}", self.world.workspace), format!("VALUE#{secret}"));
        let row = self.harness.row(&pk, &sk).await?.ok_or("the value's row is missing")?;
        let good = row["envelope"].clone();
        let mut bytes = good.as_b().map_err(|_| "the envelope is not binary")?.as_ref().to_vec();
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        let bad = AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new(bytes));
        self.harness.set(&pk, &sk, "envelope", bad).await?;
        let call = self.world.call(Operation::LaunchRun).body(&json!({"platform": "aws-batch"}));
        let failed = self.harness.request(&call).await?;
        self.harness.set(&pk, &sk, "envelope", good).await?;
        ensure(failed.http_status() == 500, || format!("a corrupt envelope: {}", failed.http_status()))?;
        self.record(&failed.log);
        self.expect(Metric::EnvelopeRefused, 1)?;
        self.expect(Metric::ServiceErrors, 1)
    }

    /// A run whose latest end has passed and whose head job still runs.
    async fn overdue_by_head_job(&mut self) -> Outcome {
        let run = self.world.launch(self.harness, "aws-batch").await?;
        let id = text(&run, "workflowId");
        let job = Platform::new(&self.harness.stack).await.start_head_job(id).await?;
        let record = Call::new(Operation::RecordHeadJob).path("workflowId", &id).bearer(&run["runToken"]);
        self.harness.done(&record.body(&Platform::head_job(&job))).await?;
        let (pk, past) = (format!("RUN#{id}"), domain::Timestamp::now().to_string());
        self.harness.set(&pk, "RUN", "notAfter", AttributeValue::S(past)).await?;
        self.sweep().await?;
        self.expect(Metric::OverdueHeadJobs, 1)?;
        self.harness.stack.move_job_silently(&job, JobStatus::Succeeded).await?;
        self.sweep().await
    }

    /// A run that reported its end two hours ago and whose copy cannot be deleted.
    async fn cannot_be_deleted(&mut self) -> Outcome {
        let run = self.world.launch(self.harness, "aws-batch").await?;
        let id = text(&run, "workflowId");
        let copied = SystemTime::now();
        let rights = Rights::of(self.harness, "cleanup-run").await?;
        let delete = Grant { sid: "DeleteOurCopies".into(), what: "secretsmanager:DeleteSecret".into() };
        rights.without(&delete).await?;
        let end = Call::new(Operation::EndRun).path("workflowId", &id).bearer(&run["runToken"]);
        self.harness.done(&end.body(&json!({"success": true}))).await?;
        let pk = format!("RUN#{id}");
        let due = domain::Timestamp::from_second(domain::Timestamp::now().as_second() - 7200)?;
        self.harness.set(&pk, "RUN", "dueAt", AttributeValue::S(due.to_string())).await?;
        self.list_as_due(&pk, due).await?;
        self.sweep().await?;
        self.expect(Metric::CleanupFailures, 1)?;
        self.expect(Metric::OldestOverdueSeconds, 7200)?;
        rights.restore().await?;
        // The failure put the run off.
        self.list_as_due(&pk, due).await?;
        self.sweep().await?;
        let row = self.harness.row(&pk, "RUN").await?.ok_or("the run's row is missing")?;
        ensure(row["state"].as_s().is_ok_and(|state| state == "ended"), || "the run did not end".into())?;
        self.no_orphan(copied).await?;
        self.orphan(id).await
    }

    async fn list_as_due(&self, pk: &str, due: domain::Timestamp) -> Outcome {
        self.harness.set(pk, "RUN", "due", AttributeValue::N(due.as_millisecond().to_string())).await
    }

    /// A run in an environment whose role does not exist, first before its latest end, then long
    /// after it.
    async fn environment_without_a_role(&mut self) -> Outcome {
        let run = self.world.launch(self.harness, "aws-batch").await?;
        let pk = format!("RUN#{}", text(&run, "workflowId"));
        let target = [
            ("id", "a".repeat(22)),
            ("region", "eu-west-1".into()),
            ("role", "arn:aws:iam::210987654321:role/pipeline-secrets-absent".into()),
            ("externalId", "x".repeat(32)),
        ];
        let target = target.map(|(name, value)| (name.to_owned(), AttributeValue::S(value)));
        let past = domain::Timestamp::from_second(domain::Timestamp::now().as_second() - 60)?;
        let long_ago: domain::Timestamp = "2020-01-01T00:00:00Z".parse()?;
        let at = |time: domain::Timestamp| AttributeValue::S(time.to_string());
        self.harness.set(&pk, "RUN", "target", AttributeValue::M(target.into())).await?;
        self.harness.set(&pk, "RUN", "platform", AttributeValue::S("aws-batch/environment".into())).await?;
        self.harness.set(&pk, "RUN", "dueAt", at(past)).await?;
        self.list_as_due(&pk, past).await?;
        self.sweep().await?;
        self.expect(Metric::EnvironmentsUnreachable, 1)?;
        for name in ["notAfter", "leaseUntil"] {
            self.harness.set(&pk, "RUN", name, at(long_ago)).await?;
        }
        self.list_as_due(&pk, past).await?;
        self.sweep().await?;
        self.expect(Metric::RunsAbandoned, 1)
    }

    /// A stale list that still shows the copies of an ended run does not trigger an alarm.
    async fn no_orphan(&self, copied: SystemTime) -> Outcome {
        self.harness.stack.list_secrets_as_of(Some(copied)).await?;
        let secrets = aws_sdk_secretsmanager::Client::new(&self.harness.operator);
        let listed = secrets.list_secrets().send().await?;
        let swept = self.harness.invoke("cleanup-run", &json!({"source": "pipeline-secrets.sweep"})).await?;
        self.harness.stack.list_secrets_as_of(None).await?;
        let described = secrets.list_secrets().send().await?;
        ensure(listed.secret_list().len() > described.secret_list().len(), || {
            "the list is not stale".into()
        })?;
        let values = metrics(&swept.log);
        let value = |metric: Metric| values.get(metric.name()).copied().unwrap_or_default();
        let quiet = value(Metric::OrphansFound) == 0 && value(Metric::CleanupFailures) == 0;
        ensure(quiet && !swept.failed, || format!("metrics of a sweep with a stale list: {values:?}"))
    }

    /// A copy of an ended run, and a copy of an unknown run.
    async fn orphan(&mut self, ended: &str) -> Outcome {
        let prefix = self.harness.stack.output("RunPrefix")?;
        let unknown = format!("{prefix}0000000000");
        let secrets = aws_sdk_secretsmanager::Client::new(&self.harness.operator);
        for run in [ended, &unknown] {
            let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
            let create = secrets.create_secret().name(format!("tower-{run}")).secret_string("{}");
            let create = create.tags(tag(CopyTags::DEPLOYMENT, DEPLOYMENT)).tags(tag(CopyTags::RUN, run));
            create.tags(tag(CopyTags::NOT_AFTER, "2999-01-01T00:00:00Z")).send().await?;
        }
        self.sweep().await?;
        self.expect(Metric::OrphansFound, 1)?;
        self.expect(Metric::UnknownCopies, 1)?;
        let orphan = secrets.describe_secret().secret_id(format!("tower-{ended}")).send().await;
        let kept = secrets.describe_secret().secret_id(format!("tower-{unknown}")).send().await;
        ensure(orphan.is_err() && kept.is_ok(), || {
            "the orphan must be deleted and the unknown copy kept".into()
        })
    }

    /// A secret and a token that expire within two weeks, found by the request of the schedule.
    /// Their events reach a rule like that of the guide.
    async fn expiring(&mut self, template: &Template) -> Outcome {
        let day = |days: i64| {
            domain::Timestamp::from_second(domain::Timestamp::now().as_second() + days * 86_400 - 60)
        };
        let queue = Queue::subscribed(self.harness).await?;
        let body = json!({"name": "EXPIRES", "value": "one", "expires": day(7)?.to_string()});
        let secret = self.harness.done(&self.world.call(Operation::CreatePipelineSecret).body(&body)).await?;
        for (name, days) in [("soon", 14), ("later", 15)] {
            let body = json!({"name": name, "expires": day(days)?.to_string()});
            self.harness.done(&self.world.own(Operation::CreateToken).body(&body)).await?;
        }
        let request = text(&template.properties("ExpiryRule")["Targets"][0], "Input").to_owned();
        let checked = self.harness.invoke("identity", &serde_json::from_str(&request)?).await?;
        ensure(checked.answer == json!({"secrets": 1, "tokens": 1, "failed": 0}), || {
            format!("the check: {}", checked.answer)
        })?;
        self.record(&checked.log);
        self.expect(Metric::ExpiringSecrets, 1)?;
        self.expect(Metric::ExpiringTokens, 1)?;
        let mut events = [queue.receive().await?, queue.receive().await?];
        events.sort_by_key(|event| event["detail"]["daysToExpiry"].as_i64());
        let [of_secret, of_token] = &events;
        ensure(
            of_secret["detail-type"] == "Secret Approaching Expiration"
                && of_secret["detail"]["secretId"] == secret["secretId"]
                && of_secret["detail"]["workspaceId"] == self.world.workspace
                && of_secret["detail"]["daysToExpiry"] == 7,
            || format!("{of_secret}"),
        )?;
        ensure(
            of_token["detail-type"] == "Access Token Approaching Expiration"
                && of_token["detail"]["name"] == "soon"
                && of_token["detail"]["userId"] == self.world.owner
                && of_token["detail"]["daysToExpiry"] == 14,
            || format!("{of_token}"),
        )?;
        // A failed check is a failed invocation, which Lambda repeats, and still counts.
        let rights = Rights::of(self.harness, "identity").await?;
        rights.without(&Grant { sid: "ExpiryEvents".into(), what: "events:PutEvents".into() }).await?;
        let failed = self.harness.invoke("identity", &json!({"announceExpiry": {}})).await?;
        rights.restore().await?;
        let counted = metrics(&failed.log).get(Metric::ExpiringSecrets.name()) == Some(&1);
        ensure(failed.failed && counted, || format!("without PutEvents: {} {}", failed.answer, failed.log))
    }

    /// Without the right to read tokens, the authorizer cannot decide.
    async fn authorizer_fails(&mut self) -> Outcome {
        let rights = Rights::of(self.harness, "authorizer").await?;
        rights.without(&Grant { sid: "Read".into(), what: "dynamodb:GetItem".into() }).await?;
        let event = json!({"identitySource": [format!("Bearer {}", self.world.token)]});
        let undecided = self.harness.invoke("authorizer", &event).await?;
        rights.restore().await?;
        ensure(undecided.failed, || "the authorizer decided without reading the token".into())?;
        self.record(&undecided.log);
        self.expect(Metric::AuthorizerFailures, 1)
    }
}

/// A queue of the operator's, which a rule on the bus of the deployment sends to.
struct Queue<'a> {
    harness: &'a Harness,
    url: String,
}

impl<'a> Queue<'a> {
    async fn subscribed(harness: &'a Harness) -> Outcome<Self> {
        let arn = format!("arn:aws:sqs:{}:{}:expiring", local::REGION, local::ACCOUNT);
        let allow = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage",
            "Principal": {"Service": "events.amazonaws.com"}, "Resource": arn}]});
        let create = json!({"QueueName": "expiring", "Attributes": {"Policy": allow.to_string()}});
        let url = text(&sqs(harness, "CreateQueue", &create).await?, "QueueUrl").to_owned();
        let events = aws_sdk_eventbridge::Client::new(&harness.operator);
        let bus = harness.stack.output("EventBusName")?;
        let pattern = json!({"source": ["pipeline-secrets.expiry"], "detail": {"daysToExpiry": [14, 7, 1]}});
        let rule = events.put_rule().name("expiring").event_bus_name(bus).event_pattern(pattern.to_string());
        rule.send().await?;
        let target = aws_sdk_eventbridge::types::Target::builder().id("queue").arn(arn).build()?;
        events.put_targets().rule("expiring").event_bus_name(bus).targets(target).send().await?;
        Ok(Self { harness, url })
    }

    /// Returns the next event, within 20 seconds.
    async fn receive(&self) -> Outcome<Value> {
        let request = json!({"QueueUrl": self.url, "WaitTimeSeconds": 20});
        let received = sqs(self.harness, "ReceiveMessage", &request).await?;
        let message = received["Messages"].get(0).ok_or("no event within 20 seconds")?;
        let delete = json!({"QueueUrl": self.url, "ReceiptHandle": message["ReceiptHandle"]});
        sqs(self.harness, "DeleteMessage", &delete).await?;
        Ok(serde_json::from_str(text(message, "Body"))?)
    }
}

async fn sqs(harness: &Harness, action: &str, request: &Value) -> Outcome<Value> {
    let (status, answer) = harness.raw.json("sqs", &format!("AmazonSQS.{action}"), request).await?;
    ensure(status.is_success(), || format!("{action}: {answer}"))?;
    Ok(if answer.is_empty() { Value::Null } else { serde_json::from_str(&answer)? })
}

#[tokio::test]
async fn each_metric_is_emitted_for_its_cause() -> Outcome {
    let harness = Harness::start(&[("SweepSchedule", "rate(7 days)")]).await?;
    let world = World::make(&harness, "alarms").await?;
    let secret = world.store(&harness, "NCBI_API_KEY").await?;
    let mut fixture = Fixture { harness: &harness, world: &world, values: BTreeMap::new() };
    fixture.second_claim().await?;
    fixture.envelope_refused(secret).await?;
    fixture.overdue_by_head_job().await?;
    fixture.cannot_be_deleted().await?;
    fixture.environment_without_a_role().await?;
    fixture.authorizer_fails().await?;
    let template = Template::expanded(&harness.tools).await?;
    fixture.expiring(&template).await?;
    let silent: Vec<_> =
        Metric::ALL.into_iter().filter(|metric| fixture.value(*metric) == 0).map(Metric::name).collect();
    let quiet: Vec<_> = ours(&template)
        .into_iter()
        .filter(|alarm| !alarm.would_fire(&fixture.values))
        .map(|it| it.name)
        .collect();
    harness.stop().await?;
    ensure(silent.is_empty(), || format!("metrics without a value: {}", silent.join(", ")))?;
    // These two need five failures within five minutes, and three consecutive missed sweeps, which
    // the test does not wait for.
    ensure(quiet == ["AuthorizerFailuresAlarm", "SweepSilentAlarm"], || {
        format!("would not fire: {}", quiet.join(", "))
    })
}

/// An alarm on a custom metric.
struct Alarm {
    name: String,
    properties: Value,
}

impl Alarm {
    fn would_fire(&self, values: &BTreeMap<String, i64>) -> bool {
        let value = values.get(text(&self.properties, "MetricName")).copied().unwrap_or_default();
        let threshold = self.properties["Threshold"].as_i64().unwrap_or(i64::MAX);
        self.properties["ComparisonOperator"] == "GreaterThanThreshold" && value > threshold
    }
}

fn ours(template: &Template) -> Vec<Alarm> {
    let alarms = template.of_type("AWS::CloudWatch::Alarm");
    let ours = alarms.filter(|(_, alarm)| alarm["Properties"]["Namespace"] == NAMESPACE);
    ours.map(|(name, alarm)| Alarm { name: name.to_owned(), properties: alarm["Properties"].clone() })
        .collect()
}

#[tokio::test]
async fn each_alarm_uses_an_emitted_metric_and_notifies_the_topic() -> Outcome {
    let template = Template::expanded(&Tools::ready(Progress::Quiet).await?).await?;
    let names: BTreeSet<_> = Metric::ALL.into_iter().map(Metric::name).collect();
    let mut alarmed = BTreeSet::new();
    let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/alarms.md"))?;
    let mut wrong = Vec::new();
    for alarm in ours(&template) {
        let metric = text(&alarm.properties, "MetricName").to_owned();
        let dimensions = json!([{"Name": DIMENSION, "Value": {"Ref": "AWS::StackName"}}]);
        if alarm.properties["Dimensions"] != dimensions || !names.contains(metric.as_str()) {
            wrong.push(alarm.name);
        }
        alarmed.insert(metric);
    }
    for (name, alarm) in template.of_type("AWS::CloudWatch::Alarm") {
        let properties = &alarm["Properties"];
        let topic = json!({"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]});
        // Missing sweep metrics are the fault that the alarm reports. An inactive queue has no
        // metrics but may hold messages. Other metrics are missing while nothing happens.
        let missing = match name {
            "SweepSilentAlarm" => "breaching",
            _ if properties["MetricName"] == "ApproximateNumberOfMessagesVisible" => "ignore",
            _ => "notBreaching",
        };
        if properties["AlarmActions"] != topic || properties["TreatMissingData"] != missing {
            wrong.push(name.to_owned());
        }
        if !guide.contains(&format!("\n**`{name}`** – ")) {
            wrong.push(format!("{name} has no paragraph in docs/alarms.md"));
        }
    }
    let paragraphs = guide.matches("\n**`").count();
    ensure(paragraphs == template.of_type("AWS::CloudWatch::Alarm").count(), || {
        format!("docs/alarms.md has {paragraphs} paragraphs on alarms")
    })?;
    // Internal errors are counted as 5xx, which has a separate alarm.
    let expected: BTreeSet<_> =
        names.into_iter().filter(|name| *name != Metric::ServiceErrors.name()).map(str::to_owned).collect();
    ensure(alarmed == expected, || format!("metrics with an alarm: {alarmed:?}, expected: {expected:?}"))?;
    let dashboard = template.properties("Dashboard")["DashboardBody"].to_string();
    wrong.extend(
        Metric::ALL
            .iter()
            .filter(|it| !dashboard.contains(it.name()))
            .map(|it| format!("{} is not on the dashboard", it.name())),
    );
    ensure(wrong.is_empty(), || wrong.join("\n"))
}
