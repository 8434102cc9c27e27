//! What the proof found once, so that it stays mended.

use domain::Error;
use domain::ids::RunId;
use domain::platform::Platform;
use domain::{copies::Layout, run::State};
use faults::gate::{Fault, Planned};
use faults::operations::{CleanupOperation, KEY};
use faults::plan;
use faults::runner::alone;
use faults::story::{SECRETS, Story};
use faults::world::{DEPLOYMENT, World};
use jiff::SignedDuration;
use serde_json::json;
use support::StoredSecret;

/// A copy of this run, made when nobody waited for it any more.
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
fn one_row_that_cannot_be_read_keeps_no_other_runs_orphan() {
    alone(async |world| {
        world.reset();
        world.people();
        world.create(&SECRETS[..2], None).await.expect("stored");
        let launched = world.launch(Platform::AwsBatch, Layout::Bundle, None).await.expect("launched");
        world.pass(SignedDuration::from_hours(25));
        world.clean(CleanupOperation::Sweep).await.expect("swept");
        let ended = launched.run.id;
        assert_eq!(world.run(&ended).await.lifecycle.state, State::Ended);
        // Sorts before every other run.
        let garbled = RunId::new("ab1200000000AA").expect("an id");
        world.put(
            &json!({ "pk": { "S": format!("RUN#{garbled}") }, "sk": { "S": "RUN" }, "state": { "N": "7" } }),
        );
        let (kept, gone) = (orphan(world, &garbled), orphan(world, &ended));

        let swept = world.clean(CleanupOperation::Sweep).await.expect("swept");
        assert_eq!((swept.orphans, swept.orphans_failed), (1, 1));
        let state = world.aws.state();
        assert!(state.services.target.secrets.contains_key(&kept));
        assert!(!state.services.target.secrets.contains_key(&gone));
    });
}

#[test]
fn a_launch_whose_intent_lost_its_answer_is_repeated_at_once() {
    let calls = plan::rehearse(Story::LaunchKeyed).calls;
    let intent = calls.iter().position(|call| call == "TransactWriteItems").expect("an intent");
    alone(async move |world| {
        world.reset();
        world.people();
        world.create(&SECRETS[..2], None).await.expect("stored");
        let lost = Planned { nth: intent + 1, fault: Fault::AfterForGood };
        world.aws.gate.arm(&[lost]);
        let first = world.launch(Platform::AwsBatch, Layout::Bundle, Some(KEY)).await;
        assert!(matches!(first, Err(Error::Unavailable { .. })));
        assert_eq!(world.aws.gate.open(), 1);
        // No time passes and nobody sweeps.
        let again = world.launch(Platform::AwsBatch, Layout::Bundle, Some(KEY)).await.expect("launched");
        assert!(again.tokens.is_some());
    });
}
