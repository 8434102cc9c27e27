//! Events as EventBridge may deliver them: repeated, reversed, late, unknown, from other accounts
//! or regions, malformed.

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
use faults::runner::with_world;
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

/// Delivers an event to the handler, as Lambda does.
async fn deliver(world: &World, event: &str) -> Result<Option<SweepSummary>> {
    let handler = Handler { cleaner: world.cleaner(), account: ACCOUNT.into(), region: REGION.into() };
    // The handler uses the real clock.
    let deadline = world.deadline();
    let context = Context { now: Timestamp::now(), ..world.context(&deadline) };
    handler.handle(event, &context).await
}

/// Resets the world, with its clock this far behind the handler's.
async fn set_up(world: &World, ago: SignedDuration) {
    world.reset();
    world.pass(Timestamp::now().duration_since(world.now()) - ago);
    world.add_members();
    world.create(&SECRETS[..2], None).await.expect("stored");
    world.create_as(LAUNCHER, false, &SECRETS[2..], None).await.expect("stored");
}

/// A run on AWS Batch with its running head job.
async fn batch_run(world: &World, job: &'static str) -> RunId {
    let launched = world.launch(Platform::AwsBatch, Layout::Bundle, None).await.expect("launched");
    let names = launched.run.id.to_string();
    world.aws.state().services.jobs.push(Job { id: job.into(), status: "RUNNING", run: names });
    let token = launched.tokens.expect("tokens").run;
    world.report(&launched.run.id, &token, Report::Job(job)).await.expect("recorded");
    launched.run.id
}

fn batch_event(job: &str, status: &str) -> Value {
    json!({
        "version": "0", "id": "c8f9", "source": "aws.batch", "detail-type": "Batch Job State Change",
        "account": ACCOUNT, "region": REGION, "time": "2026-11-23T10:20:30Z", "resources": [],
        "detail": { "jobId": job, "status": status, "jobQueue": QUEUE, "container": { "environment": [] } },
    })
}

fn run_event(kind: &str, run: &RunId) -> Value {
    json!({
        "source": "pipeline-secrets", "detail-type": kind, "account": ACCOUNT, "region": REGION,
        "detail": { "workflowId": run.as_str() },
    })
}

fn copies(world: &World) -> Vec<String> {
    let state = world.aws.state();
    let ours = |name: &&String| faults::world::unrelated_secrets().iter().all(|(other, _)| other != *name);
    state.services.target.secrets.keys().filter(ours).cloned().collect()
}

fn rows(world: &World) -> Vec<ledger::Row> {
    ledger::rows(&world.aws.state().services.database)
}

#[test]
fn events_repeated_a_hundred_times_out_of_order_have_one_effect() {
    with_world(async |world| {
        set_up(world, SignedDuration::from_mins(1)).await;
        let run = batch_run(world, JOB).await;
        world.set_job("SUCCEEDED");
        // The end first, then earlier events, each a hundred times.
        let events = [
            batch_event(JOB, "SUCCEEDED"),
            batch_event(JOB, "FAILED"),
            batch_event(JOB, "RUNNING"),
            batch_event(JOB, "SUBMITTED"),
            run_event("Run Look", &run),
            run_event("Run Delivered", &run),
        ];
        for event in events {
            let event = event.to_string();
            for _ in 0..100 {
                deliver(world, &event).await.expect("handled");
            }
        }
        assert_eq!(world.aws.state().services.target.deleted.len(), 1);
        assert_eq!(ledger::audits(&rows(world), "run.ended", Some(run.as_str())), 1);
        assert_eq!(check::final_violations(world).await, Vec::<String>::new());
    });
}

#[test]
fn a_running_job_keeps_its_copies_whatever_an_event_says() {
    with_world(async |world| {
        set_up(world, SignedDuration::from_mins(1)).await;
        let run = batch_run(world, JOB).await;
        for status in ["FAILED", "SUCCEEDED", "RUNNABLE"] {
            deliver(world, &batch_event(JOB, status).to_string()).await.expect("handled");
            deliver(world, &run_event("Run Look", &run).to_string()).await.expect("handled");
        }
        assert_eq!(world.run(&run).await.lifecycle.state, State::Running);
        assert_eq!(copies(world).len(), 1);
    });
}

#[test]
fn an_event_that_arrives_a_week_late_does_not_change_a_later_run() {
    with_world(async |world| {
        set_up(world, SignedDuration::from_hours(7 * 24)).await;
        let first = batch_run(world, JOB).await;
        world.set_job("SUCCEEDED");
        world.pass(SignedDuration::from_hours(7 * 24));
        let second = batch_run(world, "9d7a1f2e-0000-4000-8000-000000000002").await;
        deliver(world, &batch_event(JOB, "SUCCEEDED").to_string()).await.expect("handled");
        deliver(world, &run_event("Run Look", &first).to_string()).await.expect("handled");
        assert_eq!(world.run(&first).await.lifecycle.state, State::Ended);
        assert_eq!(world.run(&second).await.lifecycle.state, State::Running);
        assert_eq!(copies(world), [format!("tower-{second}")]);
    });
}

#[test]
fn without_events_the_sweep_ends_a_run_within_an_hour() {
    with_world(async |world| {
        set_up(world, SignedDuration::from_mins(60)).await;
        let run = batch_run(world, JOB).await;
        world.set_job("FAILED");
        world.pass(SignedDuration::from_mins(60));
        let swept = deliver(world, r#"{"source":"pipeline-secrets.sweep"}"#).await.expect("swept");
        assert_eq!(swept.expect("a sweep").ended, 1);
        assert_eq!(world.run(&run).await.lifecycle.state, State::Ended);
        assert_eq!(copies(world), Vec::<String>::new());
    });
}

#[test]
fn unrelated_events_cause_one_look_at_most() {
    with_world(async |world| {
        set_up(world, SignedDuration::from_mins(1)).await;
        let run = batch_run(world, JOB).await;
        let before = rows(world);
        world.set_job("SUCCEEDED");
        for (key, value) in [("account", json!("999999999999")), ("region", json!("us-east-1"))] {
            for (value, looks) in [(value, 1), (Value::Null, 0), (json!(""), 1)] {
                let mut event = batch_event(JOB, "SUCCEEDED");
                event[key] = value;
                world.aws.gate.arm(&[]);
                let outcome = deliver(world, &event.to_string()).await;
                assert_eq!(outcome.is_ok(), looks == 1, "{event}: an event has an account and a region");
                // The row of a job elsewhere has another key, so no run is found.
                assert_eq!(world.aws.gate.calls(), vec!["GetItem".to_owned(); looks], "{event}");
                world.aws.gate.open();
            }
        }
        // A job that no run has recorded, and a run that does not exist.
        deliver(world, &batch_event("9d7a1f2e-0000-4000-8000-00000000dead", "FAILED").to_string())
            .await
            .expect("nothing");
        let unknown = RunId::new("ab12UNKNOWNRUN").expect("an id");
        deliver(world, &run_event("Run Look", &unknown).to_string()).await.expect("nothing");
        deliver(world, &run_event("Run Delivered", &unknown).to_string()).await.expect("nothing");
        assert_eq!(rows(world), before);
        assert_eq!(copies(world), [format!("tower-{run}")]);
    });
}

/// Lambda retries such an event and then sends it to the queue of failed clean-ups. `main` counts a
/// metric for each attempt.
#[test]
fn a_malformed_event_fails_without_any_aws_call() {
    with_world(async |world| {
        set_up(world, SignedDuration::from_mins(1)).await;
        let run = batch_run(world, JOB).await;
        let (batch, look) = (batch_event(JOB, "FAILED"), run_event("Run Look", &run));
        let mut malformed: Vec<String> =
            ["", "{", "null", "[]", "7", "\"x\"", "{}", "{\"source\":\"aws.s3\"}"].map(str::to_owned).into();
        let wrong_values =
            [Value::Null, json!(7), json!([]), json!({}), json!(true), json!("x".repeat(1_000_000))];
        for (event, pointer) in [
            (&batch, "/source"),
            (&batch, "/detail"),
            (&batch, "/detail/jobId"),
            (&look, "/detail-type"),
            (&look, "/detail/workflowId"),
            (&look, "/source"),
        ] {
            for wrong in &wrong_values {
                // Any text is a valid job id: it is one that no run has recorded.
                if pointer == "/detail/jobId" && wrong.is_string() {
                    continue;
                }
                let mut event_json = event.clone();
                *event_json.pointer_mut(pointer).expect("a field") = wrong.clone();
                malformed.push(event_json.to_string());
            }
        }
        for id in ["", "../etc", "ab12", "AB12\u{0}", "ab12UNKNOWNRUN#"] {
            let mut event_json = look.clone();
            event_json["detail"]["workflowId"] = json!(id);
            malformed.push(event_json.to_string());
        }
        for event in malformed {
            world.aws.gate.arm(&[]);
            let answer = deliver(world, &event).await;
            let shown: String = event.chars().take(200).collect();
            assert!(matches!(answer, Err(Error::Invalid(_))), "{shown}: {:?}", answer.err());
            assert_eq!(world.aws.gate.calls(), Vec::<String>::new(), "{shown}");
            world.aws.gate.open();
        }
        assert_eq!(copies(world), [format!("tower-{run}")]);
    });
}

#[test]
fn no_event_of_any_shape_ends_a_live_run() {
    with_world(async |world| {
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
            let _ = deliver(world, &event.to_string()).await;
        }
        assert_eq!(copies(world), before);
        assert_eq!(world.run(&run).await.lifecycle.state, State::Running);
        assert_eq!(world.aws.state().violations, Vec::<String>::new());
    });
}
