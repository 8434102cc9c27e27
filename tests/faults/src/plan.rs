//! Which trials there are: a fault at every call of every story, and pairs of them.

use crate::gate::{Fault, Planned};
use crate::runner;
use crate::story::Story;
use crate::trial::{self, Trial, Verdict};

/// How much is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// The faults that have found bugs, at every call: part of `cargo test`.
    Quick,
    /// Every fault at every call: `cargo prove`.
    Full,
}

/// The calls of a story and of the sweep after it where nothing fails.
#[must_use]
pub fn rehearse(story: Story) -> Verdict {
    let trial = Trial { story, first: Vec::new(), repeat: Vec::new(), sweep: Vec::new(), delivers: false };
    runner::alone(async move |world| Box::pin(trial::run(world, &trial)).await)
}

/// A fault at every call of the story.
#[must_use]
pub fn singles(story: Story, calls: &[String], depth: Depth) -> Vec<Trial> {
    let points = points(calls, depth).into_iter().enumerate();
    points
        .map(|(index, planned)| Trial {
            story,
            first: vec![planned],
            repeat: Vec::new(),
            sweep: Vec::new(),
            delivers: index % 2 == 0,
        })
        .collect()
}

/// A fault at every call of the sweep that follows the story.
#[must_use]
pub fn in_the_sweep(story: Story, calls: &[String], depth: Depth) -> Vec<Trial> {
    let points = points(calls, depth).into_iter();
    points
        .map(|planned| Trial {
            story,
            first: Vec::new(),
            repeat: Vec::new(),
            sweep: vec![planned],
            delivers: false,
        })
        .collect()
}

/// One fault: at every call of every story, and of the sweep after each.
#[must_use]
pub fn every_fault(depth: Depth) -> Vec<Trial> {
    let mut trials = Vec::new();
    for story in Story::ALL {
        let rehearsed = rehearse(story);
        trials.extend(singles(story, &rehearsed.calls, depth));
        trials.extend(in_the_sweep(story, &rehearsed.sweep_calls, depth));
    }
    trials
}

/// Two faults of those that have found bugs, at every two calls: both in the story; one in the story and one in the
/// client's first repeat of it; one in the story and one in the sweep after it.
#[must_use]
pub fn every_pair() -> Vec<Trial> {
    Story::ALL.into_iter().flat_map(pairs).collect()
}

/// The pairs of a story.
#[must_use]
pub fn pairs(story: Story) -> Vec<Trial> {
    let rehearsed = rehearse(story);
    let (calls, sweep_calls) =
        (points(&rehearsed.calls, Depth::Quick), points(&rehearsed.sweep_calls, Depth::Quick));
    let trial = |first, repeat, sweep, delivers| Trial { story, first, repeat, sweep, delivers };
    let mut trials = Vec::new();
    for (index, one) in calls.iter().enumerate() {
        // A process that died meets nothing more.
        let later = if one.fault.is_crash() { &[] } else { &calls[index + 1..] };
        trials.extend(later.iter().map(|other| trial(vec![*one, *other], vec![], vec![], true)));
        trials.extend(calls.iter().map(|other| trial(vec![*one], vec![*other], vec![], index % 2 == 0)));
        trials.extend(sweep_calls.iter().map(|other| trial(vec![*one], vec![], vec![*other], false)));
    }
    trials
}

fn points(calls: &[String], depth: Depth) -> Vec<Planned> {
    let points = calls.iter().enumerate().flat_map(|(index, operation)| {
        let tried = Fault::ALL.into_iter().filter(|fault| tells_something(operation, *fault));
        let tried = tried.filter(move |fault| depth == Depth::Full || is_quick(*fault));
        tried.map(move |fault| Planned { nth: index + 1, fault })
    });
    points.collect()
}

/// A read that took effect and was not heard of is a read that failed; only a transaction meets another writer; only
/// what makes something can land late.
fn tells_something(operation: &str, fault: Fault) -> bool {
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
