//! Each metric of ours is made to appear by what it is for, in the log of the function that writes it; and each alarm on
//! it is of its name, namespace and dimension, and would go off.

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
use local::{Progress, Tools};
use runtime::Metric;
use runtime::metrics::{DIMENSION, NAMESPACE};
use serde_json::{Value, json};

/// The metrics in a log: the largest value of each.
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

/// What is made to happen, and the log of it.
struct Fixture<'a> {
    harness: &'a Harness,
    world: &'a World,
    seen: BTreeMap<String, i64>,
}

impl Fixture<'_> {
    fn note(&mut self, log: &str) {
        for (name, value) in metrics(log) {
            let largest = self.seen.entry(name).or_insert(0);
            *largest = value.max(*largest);
        }
    }

    fn value(&self, metric: Metric) -> i64 {
        self.seen.get(metric.name()).copied().unwrap_or_default()
    }

    fn expect(&self, metric: Metric, least: i64) -> Outcome {
        ensure(self.value(metric) >= least, || format!("{} is {}", metric.name(), self.value(metric)))
    }

    async fn sweep(&mut self) -> Outcome {
        let swept = self.harness.invoke("cleanup-run", &json!({"source": "pipeline-secrets.sweep"})).await?;
        self.note(&swept.log);
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
        self.note(&second.log);
        self.expect(Metric::SecondClaims, 1)
    }

    /// A byte of an envelope's end is another: the value no longer opens.
    async fn envelope_refused(&mut self, secret: i64) -> Outcome {
        let (pk, sk) = (format!("SECRETS#WS#{}", self.world.workspace), format!("VALUE#{secret}"));
        let row = self.harness.row(&pk, &sk).await?.ok_or("no value")?;
        let good = row["envelope"].clone();
        let mut bytes = good.as_b().map_err(|_| "no bytes")?.as_ref().to_vec();
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        let bad = AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new(bytes));
        self.harness.set(&pk, &sk, "envelope", bad).await?;
        let call = self.world.call(Operation::LaunchRun).body(&json!({"platform": "aws-batch"}));
        let refused = self.harness.request(&call).await?;
        self.harness.set(&pk, &sk, "envelope", good).await?;
        ensure(refused.http_status() == 500, || format!("a broken envelope: {}", refused.http_status()))?;
        self.note(&refused.log);
        self.expect(Metric::EnvelopeRefused, 1)?;
        self.expect(Metric::ServiceErrors, 1)
    }

    /// A run that reported its end, whose copy cannot be deleted, and which has been due for two hours.
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
        self.harness.set(&pk, "RUN", "due", AttributeValue::N(due.as_millisecond().to_string())).await?;
        self.sweep().await?;
        self.expect(Metric::CleanupFailures, 1)?;
        self.expect(Metric::OldestOverdueSeconds, 7200)?;
        rights.restore().await?;
        self.sweep().await?;
        let row = self.harness.row(&pk, "RUN").await?.ok_or("the run is gone")?;
        ensure(row["state"].as_s().is_ok_and(|state| state == "ended"), || "the run did not end".into())?;
        self.no_orphan(copied).await?;
        self.orphan(id).await
    }

    /// A list that still shows the copies of a run that has ended makes no alarm go off.
    async fn no_orphan(&self, copied: SystemTime) -> Outcome {
        self.harness.stack.list_secrets_as_of(Some(copied)).await?;
        let secrets = aws_sdk_secretsmanager::Client::new(&self.harness.operator);
        let listed = secrets.list_secrets().send().await?;
        let swept = self.harness.invoke("cleanup-run", &json!({"source": "pipeline-secrets.sweep"})).await?;
        self.harness.stack.list_secrets_as_of(None).await?;
        let described = secrets.list_secrets().send().await?;
        ensure(listed.secret_list().len() > described.secret_list().len(), || "the list is current".into())?;
        let seen = metrics(&swept.log);
        let value = |metric: Metric| seen.get(metric.name()).copied().unwrap_or_default();
        let quiet = value(Metric::OrphansFound) == 0 && value(Metric::CleanupFailures) == 0;
        ensure(quiet && !swept.failed, || format!("a list of minutes ago: {seen:?}"))
    }

    /// A copy of a run that has ended, and one of a run that nobody knows.
    async fn orphan(&mut self, ended: &str) -> Outcome {
        let prefix = self.harness.stack.output("RunPrefix")?;
        let unknown = format!("{prefix}0000000000");
        let secrets = aws_sdk_secretsmanager::Client::new(&self.harness.operator);
        for run in [ended, &unknown] {
            let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
            let made = secrets.create_secret().name(format!("tower-{run}")).secret_string("{}");
            let made = made.tags(tag(CopyTags::DEPLOYMENT, DEPLOYMENT)).tags(tag(CopyTags::RUN, run));
            made.tags(tag(CopyTags::NOT_AFTER, "2999-01-01T00:00:00Z")).send().await?;
        }
        self.sweep().await?;
        self.expect(Metric::OrphansFound, 1)?;
        self.expect(Metric::UnknownCopies, 1)?;
        let gone = secrets.describe_secret().secret_id(format!("tower-{ended}")).send().await;
        let kept = secrets.describe_secret().secret_id(format!("tower-{unknown}")).send().await;
        ensure(gone.is_err() && kept.is_ok(), || "the orphan goes, the unknown one stays".into())
    }

    /// Without its right to read tokens the authorizer cannot decide.
    async fn authorizer_fails(&mut self) -> Outcome {
        let rights = Rights::of(self.harness, "authorizer").await?;
        rights.without(&Grant { sid: "Read".into(), what: "dynamodb:GetItem".into() }).await?;
        let event = json!({"identitySource": [format!("Bearer {}", self.world.token)]});
        let undecided = self.harness.invoke("authorizer", &event).await?;
        rights.restore().await?;
        ensure(undecided.failed, || "the authorizer decided without reading".into())?;
        self.note(&undecided.log);
        self.expect(Metric::AuthorizerFailures, 1)
    }
}

#[tokio::test]
async fn each_metric_appears_for_what_it_is_for() -> Outcome {
    let harness = Harness::start(&[("SweepSchedule", "rate(7 days)")]).await?;
    let world = World::make(&harness, "alarms").await?;
    let secret = world.store(&harness, "NCBI_API_KEY").await?;
    let mut fixture = Fixture { harness: &harness, world: &world, seen: BTreeMap::new() };
    fixture.second_claim().await?;
    fixture.envelope_refused(secret).await?;
    fixture.cannot_be_deleted().await?;
    fixture.authorizer_fails().await?;
    let silent: Vec<_> =
        Metric::ALL.into_iter().filter(|metric| fixture.value(*metric) == 0).map(Metric::name).collect();
    let template = Template::expanded(&harness.tools).await?;
    let quiet: Vec<_> = ours(&template)
        .into_iter()
        .filter(|alarm| !alarm.goes_off(&fixture.seen))
        .map(|it| it.name)
        .collect();
    harness.stop().await?;
    ensure(silent.is_empty(), || format!("never seen: {}", silent.join(", ")))?;
    // Five failures within five minutes, and three sweeps one after the other, were not waited for.
    ensure(quiet == ["AuthorizerFailuresAlarm", "SweepSilentAlarm"], || {
        format!("would not go off: {}", quiet.join(", "))
    })
}

/// An alarm on one metric of ours.
struct Alarm {
    name: String,
    properties: Value,
}

impl Alarm {
    fn goes_off(&self, seen: &BTreeMap<String, i64>) -> bool {
        let value = seen.get(text(&self.properties, "MetricName")).copied().unwrap_or_default();
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
async fn each_alarm_names_a_metric_as_it_is_written_and_notifies_the_topic() -> Outcome {
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
        // A sweep that is not heard of is what is wrong. A queue that nobody calls has no metrics and may hold messages. All
        // else is not there while nothing happens.
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
    // Failures by our fault show as 5xx, which has an alarm of its own.
    let expected: BTreeSet<_> =
        names.into_iter().filter(|name| *name != Metric::ServiceErrors.name()).map(str::to_owned).collect();
    ensure(alarmed == expected, || format!("alarms on {alarmed:?}"))?;
    let dashboard = template.properties("Dashboard")["DashboardBody"].to_string();
    wrong.extend(
        Metric::ALL
            .iter()
            .filter(|it| !dashboard.contains(it.name()))
            .map(|it| format!("{} is on no dashboard", it.name())),
    );
    ensure(wrong.is_empty(), || wrong.join("\n"))
}
