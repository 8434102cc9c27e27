//! Events as EventBridge may hand them over: often, reversed, late, about nothing we know, from elsewhere, malformed.

use cleanup_run::Handler;
use domain::copies::Layout;
use domain::ids::RunId;
use domain::platform::Platform;
use domain::run::State;
use domain::use_cases::sweep::SweepSummary;
use domain::{Context, Error, Result, Timestamp};
use faults::check;
use faults::ledger;
use faults::operations::Report;
use faults::runner::alone;
use faults::story::{JOB, SECRETS};
use faults::world::{LAUNCHER, World};
use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use support::REGION;
use support::{Job, QUEUE};

const ACCOUNT: &str = "111122223333";

/// Hands an event over, as Lambda does.
async fn hand(world: &World, event: &str) -> Result<Option<SweepSummary>> {
    let handler = Handler { cleaner: world.cleaner(), account: ACCOUNT.into(), region: REGION.into() };
    // The handler is asked at the present of the clock.
    let deadline = world.deadline();
    let context = Context { now: Timestamp::now(), ..world.context(&deadline) };
    handler.handle(event, &context).await
}

/// A world whose present is this long before the handler's.
async fn set_up(world: &World, ago: SignedDuration) {
    world.reset();
    world.pass(Timestamp::now().duration_since(world.now()) - ago);
    world.people();
    world.create(&SECRETS[..2], None).await.expect("stored");
    world.create_as(LAUNCHER, false, &SECRETS[2..], None).await.expect("stored");
}

/// A run on AWS Batch with its running head job.
async fn batch_run(world: &World, job: &'static str) -> RunId {
    let launched = world.launch(Platform::AwsBatch, Layout::Bundle, None).await.expect("launched");
    world.aws.state().services.jobs.push(Job { id: job.into(), status: "RUNNING" });
    let token = launched.tokens.expect("tokens").run;
    world.report(&launched.run.id, &token, Report::Job(job)).await.expect("recorded");
    launched.run.id
}

fn of_batch(job: &str, status: &str) -> Value {
    json!({
        "version": "0", "id": "c8f9", "source": "aws.batch", "detail-type": "Batch Job State Change",
        "account": ACCOUNT, "region": REGION, "time": "2026-11-23T10:20:30Z", "resources": [],
        "detail": { "jobId": job, "status": status, "jobQueue": QUEUE, "container": { "environment": [] } },
    })
}

fn of_run(kind: &str, run: &RunId) -> Value {
    json!({
        "source": "pipeline-secrets", "detail-type": kind, "account": ACCOUNT, "region": REGION,
        "detail": { "workflowId": run.as_str() },
    })
}

fn copies(world: &World) -> Vec<String> {
    let state = world.aws.state();
    let ours = |name: &&String| faults::world::others().iter().all(|(other, _)| other != *name);
    state.services.target.secrets.keys().filter(ours).cloned().collect()
}

fn rows(world: &World) -> Vec<ledger::Row> {
    ledger::rows(&world.aws.state().services.database)
}

#[test]
fn an_event_a_hundred_times_and_in_any_order_has_one_effect() {
    alone(async |world| {
        set_up(world, SignedDuration::from_mins(1)).await;
        let run = batch_run(world, JOB).await;
        world.set_job("SUCCEEDED");
        // The end first, what came before it afterwards, and each of them a hundred times.
        let events = [
            of_batch(JOB, "SUCCEEDED"),
            of_batch(JOB, "FAILED"),
            of_batch(JOB, "RUNNING"),
            of_batch(JOB, "SUBMITTED"),
            of_run("Run Look", &run),
            of_run("Run Delivered", &run),
        ];
        for event in events {
            let event = event.to_string();
            for _ in 0..100 {
                hand(world, &event).await.expect("handled");
            }
        }
        assert_eq!(world.aws.state().services.target.deleted.len(), 1);
        assert_eq!(ledger::audits(&rows(world), "run.ended", Some(run.as_str())), 1);
        assert_eq!(check::aftermath(world).await, Vec::<String>::new());
    });
}

#[test]
fn a_job_that_runs_on_keeps_its_copies_whatever_an_event_says() {
    alone(async |world| {
        set_up(world, SignedDuration::from_mins(1)).await;
        let run = batch_run(world, JOB).await;
        for status in ["FAILED", "SUCCEEDED", "RUNNABLE"] {
            hand(world, &of_batch(JOB, status).to_string()).await.expect("handled");
            hand(world, &of_run("Run Look", &run).to_string()).await.expect("handled");
        }
        assert_eq!(world.run(&run).await.lifecycle.state, State::Running);
        assert_eq!(copies(world).len(), 1);
    });
}

#[test]
fn an_event_that_comes_a_week_late_touches_no_later_run() {
    alone(async |world| {
        set_up(world, SignedDuration::from_hours(7 * 24)).await;
        let first = batch_run(world, JOB).await;
        world.set_job("SUCCEEDED");
        world.pass(SignedDuration::from_hours(7 * 24));
        let second = batch_run(world, "9d7a1f2e-0000-4000-8000-000000000002").await;
        hand(world, &of_batch(JOB, "SUCCEEDED").to_string()).await.expect("handled");
        hand(world, &of_run("Run Look", &first).to_string()).await.expect("handled");
        assert_eq!(world.run(&first).await.lifecycle.state, State::Ended);
        assert_eq!(world.run(&second).await.lifecycle.state, State::Running);
        assert_eq!(copies(world), [format!("tower-{second}")]);
    });
}

#[test]
fn without_any_event_the_sweep_ends_a_run_within_the_hour() {
    alone(async |world| {
        set_up(world, SignedDuration::from_mins(60)).await;
        let run = batch_run(world, JOB).await;
        world.set_job("FAILED");
        world.pass(SignedDuration::from_mins(60));
        let swept = hand(world, r#"{"source":"pipeline-secrets.sweep"}"#).await.expect("swept");
        assert_eq!(swept.expect("a sweep").ended, 1);
        assert_eq!(world.run(&run).await.lifecycle.state, State::Ended);
        assert_eq!(copies(world), Vec::<String>::new());
    });
}

#[test]
fn what_is_not_ours_is_ignored_and_asks_nothing() {
    alone(async |world| {
        set_up(world, SignedDuration::from_mins(1)).await;
        let run = batch_run(world, JOB).await;
        let before = rows(world);
        world.set_job("SUCCEEDED");
        for (key, value) in [("account", json!("999999999999")), ("region", json!("us-east-1"))] {
            for value in [value, Value::Null, json!("")] {
                let mut event = of_batch(JOB, "SUCCEEDED");
                event[key] = value;
                world.aws.gate.arm(&[]);
                hand(world, &event.to_string()).await.expect("ignored");
                assert_eq!(world.aws.gate.met(), Vec::<String>::new(), "{event}");
                world.aws.gate.open();
            }
        }
        // Of another queue is a job that no run has recorded; of an unknown run, a run that is not there.
        hand(world, &of_batch("9d7a1f2e-0000-4000-8000-00000000dead", "FAILED").to_string())
            .await
            .expect("nothing");
        let unknown = RunId::new("ab12UNKNOWNRUN").expect("an id");
        hand(world, &of_run("Run Look", &unknown).to_string()).await.expect("nothing");
        hand(world, &of_run("Run Delivered", &unknown).to_string()).await.expect("nothing");
        assert_eq!(rows(world), before);
        assert_eq!(copies(world), [format!("tower-{run}")]);
    });
}

/// What Lambda then repeats and puts on the queue of failures; `main` counts a metric for each.
#[test]
fn a_poisoned_event_is_a_failure_that_asks_nothing() {
    alone(async |world| {
        set_up(world, SignedDuration::from_mins(1)).await;
        let run = batch_run(world, JOB).await;
        let (batch, look) = (of_batch(JOB, "FAILED"), of_run("Run Look", &run));
        let mut poisons: Vec<String> =
            ["", "{", "null", "[]", "7", "\"x\"", "{}", "{\"source\":\"aws.s3\"}"].map(str::to_owned).into();
        let wrongs = [Value::Null, json!(7), json!([]), json!({}), json!(true), json!("x".repeat(1_000_000))];
        for (event, pointer) in [
            (&batch, "/source"),
            (&batch, "/detail"),
            (&batch, "/detail/jobId"),
            (&look, "/detail-type"),
            (&look, "/detail/workflowId"),
            (&look, "/source"),
        ] {
            for wrong in &wrongs {
                // A job's id of any length may be one that no run has recorded.
                if pointer == "/detail/jobId" && wrong.is_string() {
                    continue;
                }
                let mut poison = event.clone();
                *poison.pointer_mut(pointer).expect("a field") = wrong.clone();
                // A detail without a field lacks the field.
                poisons.push(poison.to_string());
            }
        }
        for id in ["", "../etc", "ab12", "AB12\u{0}", "ab12UNKNOWNRUN#"] {
            let mut poison = look.clone();
            poison["detail"]["workflowId"] = json!(id);
            poisons.push(poison.to_string());
        }
        for poison in poisons {
            world.aws.gate.arm(&[]);
            let answer = hand(world, &poison).await;
            let shown: String = poison.chars().take(200).collect();
            assert!(matches!(answer, Err(Error::Invalid(_))), "{shown}: {:?}", answer.err());
            assert_eq!(world.aws.gate.met(), Vec::<String>::new(), "{shown}");
            world.aws.gate.open();
        }
        assert_eq!(copies(world), [format!("tower-{run}")]);
    });
}

#[test]
fn no_event_of_any_shape_ends_a_run_that_lives() {
    alone(async |world| {
        set_up(world, SignedDuration::from_mins(1)).await;
        let run = batch_run(world, JOB).await;
        let before = copies(world);
        let field = || {
            prop_oneof![
                Just(Value::Null),
                any::<i64>().prop_map(Value::from),
                any::<bool>().prop_map(Value::from),
                "\\PC{0,40}".prop_map(Value::from),
                Just(json!(JOB)),
                Just(json!(run.as_str())),
                Just(json!(ACCOUNT)),
                Just(json!(REGION)),
                Just(json!({ "jobId": JOB, "workflowId": run.as_str() })),
            ]
        };
        let source = prop_oneof![
            Just("aws.batch"),
            Just("pipeline-secrets"),
            Just("pipeline-secrets.sweep"),
            Just("aws.ec2")
        ];
        let kind = prop_oneof![
            Just(json!("Run Look")),
            Just(json!("Run Delivered")),
            Just(json!("Batch Job State Change")),
            field()
        ];
        let event = (source, kind, field(), field(), field(), field());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[3; 32]);
        let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, rng);
        for _ in 0..400 {
            let (source, kind, account, region, detail, job) =
                event.new_tree(&mut runner).expect("an event").current();
            let mut event = json!({
                "source": source, "detail-type": kind, "account": account, "region": region, "detail": detail,
            });
            if event["detail"].is_object() {
                event["detail"]["jobId"] = job;
            }
            let _ = hand(world, &event.to_string()).await;
        }
        assert_eq!(copies(world), before);
        assert_eq!(world.run(&run).await.lifecycle.state, State::Running);
        assert_eq!(world.aws.state().wrongs, Vec::<String>::new());
    });
}
