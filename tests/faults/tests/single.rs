//! One fault at every call of every story, and at every call of the sweep after it.

use faults::plan::{self, Depth};
use faults::runner::run_all;
use faults::story::Story;
use faults::trial::Trial;

fn depth() -> Depth {
    match std::env::var_os("FAULTS_FULL") {
        Some(_) => Depth::Full,
        None => Depth::Quick,
    }
}

/// Runs the trials and tells of every one that went wrong.
fn prove(trials: &[Trial]) {
    let verdicts = run_all(trials);
    let wrong: Vec<_> =
        trials.iter().zip(&verdicts).filter(|(_, verdict)| !verdict.wrongs.is_empty()).collect();
    for (trial, verdict) in &wrong {
        eprintln!("{trial:?}\n    {:?}", verdict.wrongs);
    }
    let faults: usize = verdicts.iter().map(|verdict| verdict.faults).sum();
    eprintln!("{} trials, {faults} faults", trials.len());
    assert!(wrong.is_empty(), "{} of {} trials went wrong", wrong.len(), trials.len());
    assert!(faults >= trials.len() * 9 / 10, "nearly every planned fault happens");
}

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
        stories.flat_map(|story| plan::singles(story, &plan::rehearse(story).calls, depth())).collect();
    prove(&trials);
}

#[test]
fn a_fault_at_any_call_of_a_sweep_leaves_nothing_behind() {
    let stories = [Story::LaunchPerName, Story::JobEnded, Story::Sweep];
    let trials: Vec<_> = stories
        .into_iter()
        .flat_map(|story| plan::in_the_sweep(story, &plan::rehearse(story).sweep_calls, depth()))
        .collect();
    prove(&trials);
}
