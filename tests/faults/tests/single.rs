//! One fault at every call of every story, and at every call of the following sweep.

use faults::plan::{self, Depth};
use faults::runner::prove;
use faults::story::Story;

#[test]
fn without_faults_no_story_violates_an_invariant() {
    for story in Story::ALL {
        assert_eq!(plan::run_without_faults(story).violations, Vec::<String>::new(), "{story:?}");
    }
}

#[test]
fn a_fault_at_any_call_of_a_story_leaves_nothing_behind() {
    let stories = Story::ALL.into_iter();
    let trials: Vec<_> = stories
        .flat_map(|story| plan::single_faults(story, &plan::run_without_faults(story).calls, Depth::Quick))
        .collect();
    assert_eq!(prove(&trials).violations, Vec::<String>::new());
}

#[test]
fn a_fault_at_any_call_of_a_sweep_leaves_nothing_behind() {
    let stories = [Story::LaunchPerName, Story::JobEnded, Story::Sweep];
    let trials: Vec<_> = stories
        .into_iter()
        .flat_map(|story| {
            plan::sweep_faults(story, &plan::run_without_faults(story).sweep_calls, Depth::Quick)
        })
        .collect();
    assert_eq!(prove(&trials).violations, Vec::<String>::new());
}
