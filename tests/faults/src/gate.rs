//! Where faults happen: the gate counts every HTTP request of the AWS SDK, each retry included, and applies the fault
//! that a trial planned for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// It fails and has no effect.
    Before,
    /// It takes effect, and its answer is lost.
    After,
    /// The process dies before it took effect.
    CrashBefore,
    /// The process dies after it took effect.
    CrashAfter,
    /// Another writer is in the way, and it has no effect.
    Contended,
    /// This request and the SDK's repeats of it are throttled, and have no effect.
    Throttled,
    /// This request takes effect and its answer is lost; the SDK's repeats of it are throttled.
    AfterThenThrottled,
    /// This request takes effect and its answer is lost; the SDK's repeats of it find no connection.
    AfterForGood,
    /// This request and the SDK's repeats of it find no connection.
    BeforeForGood,
    /// There is never an answer, and no effect.
    Hangs,
    /// Its answer is lost; it takes effect long after.
    Late,
    /// As [`Fault::Late`], and the SDK's repeats of it find no connection.
    LateForGood,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 12] = [
        Self::Before,
        Self::After,
        Self::CrashBefore,
        Self::CrashAfter,
        Self::Contended,
        Self::Throttled,
        Self::AfterThenThrottled,
        Self::AfterForGood,
        Self::BeforeForGood,
        Self::Hangs,
        Self::Late,
        Self::LateForGood,
    ];

    /// Whether the process dies of it.
    #[must_use]
    pub fn is_crash(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfter)
    }

    /// What the SDK's repeats of the request meet.
    fn of_repeats(self) -> Option<Self> {
        match self {
            Self::Throttled | Self::AfterThenThrottled => Some(Self::Throttled),
            Self::AfterForGood | Self::BeforeForGood | Self::LateForGood => Some(Self::Before),
            _ => None,
        }
    }
}

/// A fault at the `nth` request, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Planned {
    /// Which request.
    pub nth: usize,
    /// What becomes of it.
    pub fault: Fault,
}

/// The gate. Clones are one gate.
#[derive(Clone, Default, Debug)]
pub struct Gate {
    state: Arc<Mutex<State>>,
    crash: Arc<Notify>,
}

#[derive(Default, Debug)]
struct State {
    open: bool,
    planned: Vec<Planned>,
    met: Vec<String>,
    repeats: HashMap<String, Fault>,
    crashed: bool,
    happened: usize,
}

impl Gate {
    /// Counts from here on, and makes this happen.
    pub fn arm(&self, planned: &[Planned]) {
        *self.state() = State { planned: planned.to_vec(), ..State::default() };
    }

    /// Lets everything pass, as the process that came after a crash finds it; gives how many faults happened.
    pub fn open(&self) -> usize {
        let mut state = self.state();
        let happened = state.happened;
        *state = State { open: true, ..State::default() };
        happened
    }

    /// What was called since the gate was armed.
    #[must_use]
    pub fn met(&self) -> Vec<String> {
        self.state().met.clone()
    }

    /// Resolves when the process is to die.
    pub async fn crashed(&self) {
        loop {
            let notified = self.crash.notified();
            if self.state().crashed {
                return;
            }
            notified.await;
        }
    }

    /// Dies here.
    pub async fn die<T>(&self) -> T {
        self.state().crashed = true;
        self.crash.notify_waiters();
        std::future::pending().await
    }

    /// Counts a request and says what becomes of it. `invocation` is the same for all of the SDK's repeats of a request.
    #[must_use]
    pub fn meet(&self, what: &str, invocation: Option<&str>) -> Option<Fault> {
        let mut state = self.state();
        if state.crashed {
            return Some(Fault::CrashBefore);
        }
        if state.open {
            return None;
        }
        state.met.push(what.to_owned());
        if let Some(fault) = invocation.and_then(|invocation| state.repeats.get(invocation)) {
            return Some(*fault);
        }
        let number = state.met.len();
        let planned = state.planned.iter().find(|planned| planned.nth == number);
        let fault = planned.map(|planned| planned.fault)?;
        state.happened += 1;
        if let (Some(repeats), Some(invocation)) = (fault.of_repeats(), invocation) {
            state.repeats.insert(invocation.to_owned(), repeats);
        }
        Some(fault)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
