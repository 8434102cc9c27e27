//! Runs trials on every processor. Each thread has a separate world.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::figures::Figures;
use crate::trial::{self, Trial, Verdict};
use crate::world::World;

/// Runs the trials, and returns their verdicts in the same order.
#[must_use]
pub fn run_all(trials: &[Trial]) -> Vec<Verdict> {
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(vec![Verdict::default(); trials.len()]);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let work = || {
                in_world(async |world| {
                    while let Some(trial) = trials.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let verdict = Box::pin(trial::run(world, trial)).await;
                        let index = trials.iter().position(|other| std::ptr::eq(other, trial));
                        if let (Some(index), Ok(mut verdicts)) = (index, verdicts.lock()) {
                            verdicts[index] = verdict;
                        }
                    }
                });
            };
            std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).expect("a thread");
        }
    });
    verdicts.into_inner().expect("no trial panicked")
}

/// Runs the trials, and returns their figures. At least 90% of the planned faults must have
/// occurred.
#[must_use]
pub fn prove(trials: &[Trial]) -> Figures {
    let verdicts = run_all(trials);
    let fault_points = verdicts.iter().map(|verdict| verdict.faults).sum();
    let violations = trials.iter().zip(&verdicts).flat_map(|(trial, verdict)| {
        verdict.violations.iter().map(move |violation| format!("{violation} ({trial:?})"))
    });
    let mut violations: Vec<_> = violations.collect();
    if fault_points < trials.len() * 9 / 10 {
        violations.push(format!("only {fault_points} faults occurred in {} trials", trials.len()));
    }
    let sinks_searched = verdicts.iter().map(|verdict| verdict.searched).sum();
    Figures { fault_points, sinks_searched, violations, ..Figures::default() }
}

/// Runs a function with a new world on this thread, with a clock that skips every wait.
pub fn in_world<T>(test: impl AsyncFnOnce(&World) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async { Box::pin(test(&World::new())).await })
}

/// Runs a function with a new world on a thread whose stack is large enough for the SDK's futures
/// in an unoptimized build.
pub fn with_world<T: Send>(test: impl AsyncFnOnce(&World) -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || in_world(test));
        match thread.expect("a thread").join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// The stack size of a thread in bytes.
const STACK: usize = 64 * 1024 * 1024;
