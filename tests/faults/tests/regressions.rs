//! Regression tests for bugs that the proof found.

use domain::Error;
use domain::ids::RunId;
use domain::platform::Platform;
use domain::{copies::Layout, run::State};
use faults::gate::{Fault, Planned};
use faults::operations::{CleanupOperation, KEY, Report};
use faults::plan;
use faults::runner::with_world;
use faults::story::{JOB, SECRETS, Story};
use faults::world::{DEPLOYMENT, World};
use jiff::SignedDuration;
use serde_json::json;
use support::{Job, StoredSecret};

/// Adds a copy of this run that was created after the run ended.
fn orphan(world: &World, run: &RunId) -> String {
    let tags = [
        ("pipeline-secrets:deployment", DEPLOYMENT),
        ("pipeline-secrets:scope", "workspace/42"),
        ("pipeline-secrets:run", run.as_str()),
        ("pipeline-secrets:not-after", "2036-01-01T00:00:00Z"),
    ];
    let name = format!("tower-{run}.9");
    world.aws.state().services.target.secrets.insert(name.clone(), StoredSecret::by_others(&tags));
    name
}

#[test]
fn an_unreadable_row_does_not_block_the_cleanup_of_other_runs_orphans() {
    with_world(async |world| {
        world.reset();
        world.add_members();
        world.create(&SECRETS[..2], None).await.expect("stored");
        let launched = world.launch(Platform::AwsBatch, Layout::Bundle, None).await.expect("launched");
        world.pass(SignedDuration::from_hours(25));
        world.clean(CleanupOperation::Sweep).await.expect("swept");
        let ended = launched.run.id;
        assert_eq!(world.run(&ended).await.lifecycle.state, State::Ended);
        // Sorts before every other run.
        let corrupt = RunId::new("ab1200000000AA").expect("an id");
        world.put(
            &json!({ "pk": { "S": format!("RUN#{corrupt}") }, "sk": { "S": "RUN" }, "state": { "N": "7" } }),
        );
        let (kept, deleted) = (orphan(world, &corrupt), orphan(world, &ended));

        let swept = world.clean(CleanupOperation::Sweep).await.expect("swept");
        assert_eq!((swept.orphans, swept.orphans_failed), (1, 1));
        let state = world.aws.state();
        assert!(state.services.target.secrets.contains_key(&kept));
        assert!(!state.services.target.secrets.contains_key(&deleted));
    });
}

#[test]
fn a_run_cannot_take_the_head_job_of_another_run_before_or_after_it_is_recorded() {
    with_world(async |world| {
        world.reset();
        world.add_members();
        world.create(&SECRETS[..2], None).await.expect("stored");
        let victim = world.launch(Platform::AwsBatch, Layout::Bundle, None).await.expect("launched");
        let thief = world.launch(Platform::AwsBatch, Layout::Bundle, None).await.expect("launched");
        let (id, token) = (victim.run.id, victim.tokens.expect("tokens").run);
        let (thief_id, thief_token) = (thief.run.id, thief.tokens.expect("tokens").run);
        let job = Job { id: JOB.into(), status: "RUNNING", run: id.to_string() };
        world.aws.state().services.jobs.push(job);

        for _ in 0..2 {
            let stolen = world.report(&thief_id, &thief_token, Report::Job(JOB)).await;
            assert!(matches!(stolen, Err(Error::Refused(_))), "{:?}", stolen.map(drop));
            assert_eq!(world.run(&thief_id).await.lifecycle.head_job, None);
            // The second time, this is a repeat.
            let recorded = world.report(&id, &token, Report::Job(JOB)).await.expect("recorded");
            assert_eq!(recorded.lifecycle.head_job.expect("a head job").job_id, JOB);
        }
        // The job does not keep the copies of the other run alive.
        world.pass(SignedDuration::from_hours(25));
        world.clean(CleanupOperation::Sweep).await.expect("swept");
        assert_eq!(world.run(&thief_id).await.lifecycle.state, State::Ended);
        assert_eq!(world.run(&id).await.lifecycle.state, State::Running);
    });
}

#[test]
fn a_launch_with_a_lost_answer_to_its_intent_can_be_retried_at_once() {
    let calls = plan::run_without_faults(Story::LaunchKeyed).calls;
    let intent = calls.iter().position(|call| call == "TransactWriteItems").expect("an intent");
    with_world(async move |world| {
        world.reset();
        world.add_members();
        world.create(&SECRETS[..2], None).await.expect("stored");
        let lost = Planned { nth: intent + 1, fault: Fault::AfterForGood };
        world.aws.gate.arm(&[lost]);
        let first = world.launch(Platform::AwsBatch, Layout::Bundle, Some(KEY)).await;
        assert!(matches!(first, Err(Error::Unavailable { .. })));
        assert_eq!(world.aws.gate.open(), 1);
        // No time passes and no sweep runs.
        let retried = world.launch(Platform::AwsBatch, Layout::Bundle, Some(KEY)).await.expect("launched");
        assert!(retried.tokens.is_some());
    });
}
