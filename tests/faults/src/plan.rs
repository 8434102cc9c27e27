//! Which trials there are: a fault at every call of every story, and pairs of them.

use crate::gate::{Fault, Layer, Planned};
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
pub fn singles(story: Story, calls: &[(Layer, String)], depth: Depth) -> Vec<Trial> {
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
pub fn in_the_sweep(story: Story, calls: &[(Layer, String)], depth: Depth) -> Vec<Trial> {
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
        let later =
            calls[index + 1..].iter().filter(|other| !one.fault.is_crash() || other.layer != one.layer);
        trials.extend(later.map(|other| trial(vec![*one, *other], vec![], vec![], true)));
        trials.extend(calls.iter().map(|other| trial(vec![*one], vec![*other], vec![], index % 2 == 0)));
        trials.extend(sweep_calls.iter().map(|other| trial(vec![*one], vec![], vec![*other], false)));
    }
    trials
}

fn points(calls: &[(Layer, String)], depth: Depth) -> Vec<Planned> {
    let mut points = Vec::new();
    for layer in [Layer::Port, Layer::Http] {
        let of_layer = calls.iter().filter(|(met, _)| *met == layer).map(|(_, what)| what);
        for (index, what) in of_layer.enumerate() {
            let faults: &[Fault] = match layer {
                Layer::Port => &Fault::OF_PORTS,
                Layer::Http => &Fault::OF_HTTP,
            };
            let tried = faults.iter().filter(|fault| tells_something(layer, what, **fault));
            let tried = tried.filter(|fault| depth == Depth::Full || is_quick(layer, **fault));
            points.extend(tried.map(|fault| Planned { layer, nth: index + 1, fault: *fault }));
        }
    }
    points
}

/// A read that took effect and was not heard of is a read that failed; only a transaction meets another writer; only
/// what makes something can land late.
fn tells_something(layer: Layer, what: &str, fault: Fault) -> bool {
    let writes = match layer {
        Layer::Port => WRITES.iter().any(|name| what.ends_with(name)),
        Layer::Http => matches!(
            what,
            "TransactWriteItems" | "UpdateItem" | "CreateSecret" | "DeleteSecret" | "PutEvents"
        ),
    };
    match fault {
        Fault::After | Fault::CrashAfter | Fault::AfterThenThrottled | Fault::AfterForGood => writes,
        Fault::Contended => {
            what == "TransactWriteItems" || layer == Layer::Port && what.contains("Runs::") && writes
        }
        Fault::Late | Fault::LateForGood => what == "CreateSecret",
        _ => true,
    }
}

const WRITES: [&str; 9] = [
    "::begin_run",
    "::save_life",
    "::record_head_job",
    "::create_secrets",
    "::update_secret",
    "::delete_secret",
    "::create_copy",
    "::delete_copy",
    "::announce",
];

fn is_quick(layer: Layer, fault: Fault) -> bool {
    match layer {
        Layer::Port => matches!(fault, Fault::After | Fault::CrashBefore | Fault::CrashAfter),
        Layer::Http => {
            matches!(fault, Fault::AfterThenThrottled | Fault::Contended | Fault::LateForGood)
        }
    }
}
