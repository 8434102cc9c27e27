//! One fault at every call of every story, and at every call of the sweep after it.

use faults::plan::{self, Depth};
use faults::runner::prove;
use faults::story::Story;

#[test]
fn without_a_fault_every_story_ends_well() {
    for story in Story::ALL {
        assert_eq!(plan::rehearse(story).wrongs, Vec::<String>::new(), "{story:?}");
    }
}

#[test]
fn a_fault_at_any_call_of_a_story_leaves_nothing_behind() {
    let stories = Story::ALL.into_iter();
    let trials: Vec<_> =
        stories.flat_map(|story| plan::singles(story, &plan::rehearse(story).calls, Depth::Quick)).collect();
    assert_eq!(prove(&trials).wrongs, Vec::<String>::new());
}

#[test]
fn a_fault_at_any_call_of_a_sweep_leaves_nothing_behind() {
    let stories = [Story::LaunchPerName, Story::JobEnded, Story::Sweep];
    let trials: Vec<_> = stories
        .into_iter()
        .flat_map(|story| plan::in_the_sweep(story, &plan::rehearse(story).sweep_calls, Depth::Quick))
        .collect();
    assert_eq!(prove(&trials).wrongs, Vec::<String>::new());
}
