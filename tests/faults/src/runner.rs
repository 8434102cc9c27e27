//! Many trials on every processor: each thread has a world of its own.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::figures::Figures;
use crate::trial::{self, Trial, Verdict};
use crate::world::World;

/// Runs all of them, and gives their verdicts in their order.
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

/// Runs all of them, and gives what they counted and found. Nearly every planned fault must have happened.
#[must_use]
pub fn prove(trials: &[Trial]) -> Figures {
    let verdicts = run_all(trials);
    let fault_points = verdicts.iter().map(|verdict| verdict.faults).sum();
    let wrongs = trials
        .iter()
        .zip(&verdicts)
        .flat_map(|(trial, verdict)| verdict.wrongs.iter().map(move |wrong| format!("{wrong} ({trial:?})")));
    let mut wrongs: Vec<_> = wrongs.collect();
    if fault_points < trials.len() * 9 / 10 {
        wrongs.push(format!("in {} trials {fault_points} faults happened", trials.len()));
    }
    let sinks_searched = verdicts.iter().map(|verdict| verdict.searched).sum();
    Figures { fault_points, sinks_searched, wrongs, ..Figures::default() }
}

/// Does something in a world, on this thread, with a clock that jumps over every wait.
pub fn in_world<T>(deed: impl AsyncFnOnce(&World) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async { Box::pin(deed(&World::new())).await })
}

/// Does something in a world, on a thread that is large enough for the SDK's futures in an unoptimized build.
pub fn alone<T: Send>(deed: impl AsyncFnOnce(&World) -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || in_world(deed));
        match thread.expect("a thread").join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Bytes of a thread's stack.
const STACK: usize = 64 * 1024 * 1024;
