//! `cargo prove`: runs the long proof and prints its figures (`docs/reliability.md`).

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use domain::copies::Layout;
use faults::figures::Figures;
use faults::plan::{self, Depth};
use faults::storm::{Storm, StormResult};
use faults::{lifecycle, runner};
use serde::Serialize;

/// Proves that nothing is lost, left behind or leaked when any call fails, and prints the figures.
#[derive(Parser)]
struct Options {
    /// Run a part of the proof, in about a minute.
    #[arg(long)]
    quick: bool,
    /// Print the figures as one JSON object on one line.
    #[arg(long)]
    json: bool,
    /// Prove the delivery to Kubernetes instead, on a real control plane (`tests/kubernetes`).
    #[arg(long, conflicts_with_all = ["quick", "json"])]
    kubernetes: bool,
}

/// The figures in the output.
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
    if options.kubernetes {
        return on_kubernetes();
    }
    let started = Instant::now();
    let parts = parts(&options);
    let figures: Figures = parts
        .into_iter()
        .map(|(name, part)| {
            let started = Instant::now();
            let figures = part();
            note(&format!("{name}: {} s", started.elapsed().as_secs()));
            figures
        })
        .sum();
    for violation in &figures.violations {
        note(violation);
    }
    let report = Report::of(&figures, started.elapsed().as_secs());
    let printed =
        if options.json { serde_json::to_string(&report) } else { serde_json::to_string_pretty(&report) };
    let printed = printed.unwrap_or_default();
    let written = writeln!(std::io::stdout(), "{printed}");
    match written.is_ok() && figures.violations.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn on_kubernetes() -> ExitCode {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../kubernetes/run");
    match std::process::Command::new(program).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            note(&format!("{program} cannot be started: {error}"));
            ExitCode::FAILURE
        }
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
        ("Wycheproof's vectors", Box::new(|| checked(|| (fuzz::vectors::check(), 0)))),
        ("external input", Box::new(move || checked(|| (0, fuzz::replay_all(mutations).executions)))),
    ];
    if depth == Depth::Full {
        parts.push(("every pair of faults", Box::new(|| runner::prove(&plan::every_pair()))));
        parts.push(("1,000 concurrent launches", Box::new(storm)));
        parts.push(("200 launches with a copy per name", Box::new(storm_per_name)));
    }
    parts
}

/// Runs a check that panics on a violation, and returns its numbers of vectors and executions.
fn checked(check: impl FnOnce() -> (usize, usize) + std::panic::UnwindSafe) -> Figures {
    match std::panic::catch_unwind(check) {
        Ok((vectors, fuzz_executions)) => Figures { vectors, fuzz_executions, ..Figures::default() },
        Err(panic) => {
            let message = panic.downcast_ref::<String>().map_or("a check panicked", String::as_str);
            Figures { violations: vec![message.to_owned()], ..Figures::default() }
        }
    }
}

/// A thousand launches with 20 secrets each, where the account allows 50 creations per second.
fn storm() -> Figures {
    run(Storm { launches: 1_000, secrets: 20, layout: Layout::Bundle, retries: false, creations: 50 }).1
}

/// 200 clients with a copy for each of 20 names that honor `Retry-After`. All are live in 95 s.
fn storm_per_name() -> Figures {
    let (result, mut figures) = run(Storm::per_name(200));
    if result.live < 200 || result.end > Duration::from_secs(95) {
        figures.violations.push(format!("{} of 200 clients were live after {:?}", result.live, result.end));
    }
    figures
}

fn run(storm: Storm) -> (StormResult, Figures) {
    let result = runner::with_world(async |world| Box::pin(storm.run(world)).await);
    note(&format!("{result:?}"));
    let figures = Figures { violations: result.violations.clone(), ..Figures::default() };
    (result, figures)
}

impl Report {
    fn of(figures: &Figures, seconds: u64) -> Self {
        let [orphans, early_deletions, double_effects, canary_hits] =
            ["INV2", "INV3", "INV6", "INV4"].map(|invariant| figures.violations_of(invariant));
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
            other_violations: figures.violations.len() - named,
            seconds,
        }
    }
}

/// Prints progress and violations to standard error.
fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
