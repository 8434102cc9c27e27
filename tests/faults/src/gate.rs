//! Injects faults: the gate counts every HTTP request of the AWS SDK, including retries, and
//! applies the fault that a trial planned for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A fault of a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// The request fails and has no effect.
    Before,
    /// The request takes effect, and its answer is lost.
    After,
    /// The process crashes before the request takes effect.
    CrashBefore,
    /// The process crashes after the request took effect.
    CrashAfter,
    /// The request conflicts with another writer and has no effect.
    Contended,
    /// The request and the SDK's retries of it are throttled and have no effect.
    Throttled,
    /// The request takes effect and its answer is lost. The SDK's retries are throttled.
    AfterThenThrottled,
    /// The request takes effect and its answer is lost. The SDK's retries cannot connect.
    AfterForGood,
    /// The request and the SDK's retries of it cannot connect.
    BeforeForGood,
    /// The request is never answered and has no effect.
    Hangs,
    /// The answer is lost. The request takes effect much later.
    Late,
    /// Like [`Fault::Late`], and the SDK's retries cannot connect.
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

    /// Whether the process crashes.
    #[must_use]
    pub fn is_crash(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfter)
    }

    /// The fault of the SDK's retries.
    fn of_retries(self) -> Option<Self> {
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
    /// The number of the request.
    pub nth: usize,
    /// The fault to apply.
    pub fault: Fault,
}

/// The gate. Clones share its state.
#[derive(Clone, Default, Debug)]
pub struct Gate {
    state: Arc<Mutex<State>>,
    crash: Arc<Notify>,
}

#[derive(Default, Debug)]
struct State {
    open: bool,
    planned: Vec<Planned>,
    calls: Vec<String>,
    retries: HashMap<String, Fault>,
    crashed: bool,
    occurred: usize,
}

impl Gate {
    /// Starts counting, with these planned faults.
    pub fn arm(&self, planned: &[Planned]) {
        *self.state() = State { planned: planned.to_vec(), ..State::default() };
    }

    /// Stops injecting faults, also after a crash, and returns how many occurred.
    pub fn open(&self) -> usize {
        let mut state = self.state();
        let occurred = state.occurred;
        *state = State { open: true, ..State::default() };
        occurred
    }

    /// Returns the calls since the gate was armed.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// Resolves when the process crashes.
    pub async fn crashed(&self) {
        loop {
            let notified = self.crash.notified();
            if self.state().crashed {
                return;
            }
            notified.await;
        }
    }

    /// Crashes the process here.
    pub async fn crash<T>(&self) -> T {
        self.state().crashed = true;
        self.crash.notify_waiters();
        std::future::pending().await
    }

    /// Counts a request and returns its fault. `invocation` is the same for a request and all of
    /// the SDK's retries of it.
    #[must_use]
    pub fn next_fault(&self, what: &str, invocation: Option<&str>) -> Option<Fault> {
        let mut state = self.state();
        if state.crashed {
            return Some(Fault::CrashBefore);
        }
        if state.open {
            return None;
        }
        state.calls.push(what.to_owned());
        if let Some(fault) = invocation.and_then(|invocation| state.retries.get(invocation)) {
            return Some(*fault);
        }
        let number = state.calls.len();
        let planned = state.planned.iter().find(|planned| planned.nth == number);
        let fault = planned.map(|planned| planned.fault)?;
        state.occurred += 1;
        if let (Some(retries), Some(invocation)) = (fault.of_retries(), invocation) {
            state.retries.insert(invocation.to_owned(), retries);
        }
        Some(fault)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
