//! Plans the trials: a fault at every call of every story, and pairs of faults.

use crate::gate::{Fault, Planned};
use crate::runner;
use crate::story::Story;
use crate::trial::{self, Trial, Verdict};

/// The extent of the trials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// The faults that have found bugs, at every call. Part of `cargo test`.
    Quick,
    /// Every fault at every call. Part of `cargo prove`.
    Full,
}

/// Runs a story without faults, which shows its calls and those of the following sweep.
#[must_use]
pub fn run_without_faults(story: Story) -> Verdict {
    let trial =
        Trial { story, first: Vec::new(), retry: Vec::new(), sweep: Vec::new(), delivers_events: false };
    runner::with_world(async move |world| Box::pin(trial::run(world, &trial)).await)
}

/// Plans one fault at every call of the story.
#[must_use]
pub fn single_faults(story: Story, calls: &[String], depth: Depth) -> Vec<Trial> {
    let points = points(calls, depth).into_iter().enumerate();
    points
        .map(|(index, planned)| Trial {
            story,
            first: vec![planned],
            retry: Vec::new(),
            sweep: Vec::new(),
            delivers_events: index % 2 == 0,
        })
        .collect()
}

/// Plans one fault at every call of the sweep that follows the story.
#[must_use]
pub fn sweep_faults(story: Story, calls: &[String], depth: Depth) -> Vec<Trial> {
    let points = points(calls, depth).into_iter();
    points
        .map(|planned| Trial {
            story,
            first: Vec::new(),
            retry: Vec::new(),
            sweep: vec![planned],
            delivers_events: false,
        })
        .collect()
}

/// Plans one fault at every call of every story and of the following sweep.
#[must_use]
pub fn every_fault(depth: Depth) -> Vec<Trial> {
    let mut trials = Vec::new();
    for story in Story::ALL {
        let without_faults = run_without_faults(story);
        trials.extend(single_faults(story, &without_faults.calls, depth));
        trials.extend(sweep_faults(story, &without_faults.sweep_calls, depth));
    }
    trials
}

/// Plans two faults, of those that have found bugs, at every pair of calls: both in the story; one
/// in the story and one in the client's first retry; one in the story and one in the following
/// sweep.
#[must_use]
pub fn every_pair() -> Vec<Trial> {
    Story::ALL.into_iter().flat_map(pairs).collect()
}

/// Plans the pairs of faults of a story.
#[must_use]
pub fn pairs(story: Story) -> Vec<Trial> {
    let without_faults = run_without_faults(story);
    let (calls, sweep_calls) =
        (points(&without_faults.calls, Depth::Quick), points(&without_faults.sweep_calls, Depth::Quick));
    let trial = |first, retry, sweep, delivers_events| Trial { story, first, retry, sweep, delivers_events };
    let mut trials = Vec::new();
    for (index, one) in calls.iter().enumerate() {
        // A crashed process makes no further calls.
        let later = if one.fault.is_crash() { &[] } else { &calls[index + 1..] };
        trials.extend(later.iter().map(|other| trial(vec![*one, *other], vec![], vec![], true)));
        trials.extend(calls.iter().map(|other| trial(vec![*one], vec![*other], vec![], index % 2 == 0)));
        trials.extend(sweep_calls.iter().map(|other| trial(vec![*one], vec![], vec![*other], false)));
    }
    trials
}

fn points(calls: &[String], depth: Depth) -> Vec<Planned> {
    let points = calls.iter().enumerate().flat_map(|(index, operation)| {
        let faults = Fault::ALL.into_iter().filter(|fault| is_meaningful(operation, *fault));
        let faults = faults.filter(move |fault| depth == Depth::Full || is_quick(*fault));
        faults.map(move |fault| Planned { nth: index + 1, fault })
    });
    points.collect()
}

/// Whether a fault of an operation differs from the others: a read with a lost answer is a failed
/// read; only transactions conflict with other writers; only creations can land late.
fn is_meaningful(operation: &str, fault: Fault) -> bool {
    let writes = matches!(
        operation,
        "TransactWriteItems" | "UpdateItem" | "CreateSecret" | "DeleteSecret" | "PutEvents"
    );
    match fault {
        Fault::After | Fault::CrashAfter | Fault::AfterThenThrottled | Fault::AfterForGood => writes,
        Fault::Contended => operation == "TransactWriteItems",
        Fault::Late | Fault::LateForGood => operation == "CreateSecret",
        _ => true,
    }
}

fn is_quick(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::CrashBefore
            | Fault::CrashAfter
            | Fault::AfterThenThrottled
            | Fault::Contended
            | Fault::LateForGood
    )
}
