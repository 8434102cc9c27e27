//! `cargo prove`: the long proof, and its figures (`docs/reliability.md`).

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use domain::copies::Layout;
use faults::figures::Figures;
use faults::plan::{self, Depth};
use faults::storm::Storm;
use faults::{lifecycle, runner};
use serde::Serialize;

/// Proves that nothing is lost, left or leaked, whatever fails, and prints what was tried.
#[derive(Parser)]
struct Options {
    /// A part of the proof, in about a minute.
    #[arg(long)]
    quick: bool,
    /// The figures as one JSON object on one line.
    #[arg(long)]
    json: bool,
}

/// The figures, as `--json` prints them.
#[derive(Serialize)]
struct Report {
    fault_points: usize,
    model_states: usize,
    orphans: usize,
    early_deletions: usize,
    double_effects: usize,
    vectors: usize,
    fuzz_executions: usize,
    sinks_searched: usize,
    canary_hits: usize,
    other_violations: usize,
    seconds: u64,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let begun = Instant::now();
    let parts = parts(&options);
    let figures: Figures = parts
        .into_iter()
        .map(|(name, part)| {
            let begun = Instant::now();
            let figures = part();
            note(&format!("{name}: {} s", begun.elapsed().as_secs()));
            figures
        })
        .sum();
    for wrong in &figures.wrongs {
        note(wrong);
    }
    let report = Report::of(&figures, begun.elapsed().as_secs());
    let printed =
        if options.json { serde_json::to_string(&report) } else { serde_json::to_string_pretty(&report) };
    let printed = printed.unwrap_or_default();
    let written = writeln!(std::io::stdout(), "{printed}");
    match written.is_ok() && figures.wrongs.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

type Part = (&'static str, Box<dyn FnOnce() -> Figures>);

fn parts(options: &Options) -> Vec<Part> {
    let (depth, mutations) = match options.quick {
        true => (Depth::Quick, 20),
        false => (Depth::Full, 1_000),
    };
    let mut parts: Vec<Part> = vec![
        ("the model of a run's lifecycle", Box::new(move || lifecycle::check_models(depth))),
        ("a fault at every call", Box::new(move || runner::prove(&plan::every_fault(depth)))),
        ("Wycheproof's vectors", Box::new(|| outsiders(|| (fuzz::vectors::check(), 0)))),
        ("what outsiders send", Box::new(move || outsiders(|| (0, fuzz::replay_all(mutations).executions)))),
    ];
    if depth == Depth::Full {
        parts.push(("every pair of faults", Box::new(|| runner::prove(&plan::every_pair()))));
        parts.push(("1,000 launches at once", Box::new(storm)));
    }
    parts
}

/// Vectors and executions, where none broke a promise: a broken one is a panic that says which.
fn outsiders(check: impl FnOnce() -> (usize, usize) + std::panic::UnwindSafe) -> Figures {
    match std::panic::catch_unwind(check) {
        Ok((vectors, fuzz_executions)) => Figures { vectors, fuzz_executions, ..Figures::default() },
        Err(panic) => {
            let why = panic.downcast_ref::<String>().map_or("a broken promise", String::as_str);
            Figures { wrongs: vec![why.to_owned()], ..Figures::default() }
        }
    }
}

/// A thousand launches with 20 secrets each, where the account allows 50 creations a second.
fn storm() -> Figures {
    let storm = Storm { launches: 1_000, secrets: 20, layout: Layout::Bundle, creations: 50 };
    let result = runner::alone(async |world| Box::pin(storm.rage(world)).await);
    note(&format!("{result:?}"));
    Figures { wrongs: result.wrongs, ..Figures::default() }
}

impl Report {
    fn of(figures: &Figures, seconds: u64) -> Self {
        let [orphans, early_deletions, double_effects, canary_hits] =
            ["INV2", "INV3", "INV6", "INV4"].map(|invariant| figures.violations(invariant));
        let named = orphans + early_deletions + double_effects + canary_hits;
        Self {
            fault_points: figures.fault_points,
            model_states: figures.model_states,
            orphans,
            early_deletions,
            double_effects,
            vectors: figures.vectors,
            fuzz_executions: figures.fuzz_executions,
            sinks_searched: figures.sinks_searched,
            canary_hits,
            other_violations: figures.wrongs.len() - named,
            seconds,
        }
    }
}

/// Progress and what is wrong, beside the figures.
fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
