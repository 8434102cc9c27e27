//! A compact form of a run's lifecycle with a clock in minutes, and its conversion to and from the
//! real one. The model uses the real `run::next`, called once for each row, event and minute, and
//! cached.

use std::cell::RefCell;
use std::collections::HashMap;

use domain::Timestamp;
use domain::copies::{Layout, RunCopy};
use domain::ids::{RunId, UserId};
use domain::platform::Platform;
use domain::ports::Randomness;
use domain::run::{
    Action, Event, HeadJob, JobStatus, Lifecycle, Outcome, ReportedBy, Run, RunResult, State, next,
};
use domain::settings::Limits;
use domain::token::{TokenHash, TokenKey};
use jiff::SignedDuration;

/// A run's row without its revision: the model rejects a write if another one came after the read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Row {
    pub(super) state: State,
    pub(super) due: Option<u8>,
    pub(super) lease: u8,
    pub(super) token: u8,
    pub(super) claimed: bool,
    pub(super) job: bool,
    pub(super) result: Option<Result>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Result {
    Succeeded,
    Failed,
    LaunchFailed,
    Lost,
}

/// An event of `run::next`, without the details that do not affect the next state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum ModelEvent {
    Provisioned,
    Repinned,
    TokensRenewed,
    LaunchFailed,
    ClaimRefused,
    Claimed,
    Heartbeat,
    HeadJobRecorded,
    Reported,
    Cancelled,
    JobRunning,
    JobFinal,
    JobUnknown,
    Inspected,
    CopiesDeleted,
    Restored,
    Unreachable,
    /// The same, at a time when attempts end. It is not in `ALL`, because the clock of the model
    /// ends long before.
    UnreachableForLong,
}

impl ModelEvent {
    pub(super) const ALL: [Self; 17] = [
        Self::Provisioned,
        Self::Repinned,
        Self::TokensRenewed,
        Self::LaunchFailed,
        Self::ClaimRefused,
        Self::Claimed,
        Self::Heartbeat,
        Self::HeadJobRecorded,
        Self::Reported,
        Self::Cancelled,
        Self::JobRunning,
        Self::JobFinal,
        Self::JobUnknown,
        Self::Inspected,
        Self::CopiesDeleted,
        Self::Restored,
        Self::Unreachable,
    ];
}

/// The limits in minutes: in the same order as the real ones, but small enough to check
/// exhaustively.
pub(super) const PROVISIONING: u8 = 2;
pub(super) const PENDING: u8 = 5;
pub(super) const LEASE: u8 = 4;
pub(super) const LONGEST: u8 = 12;
const GRACE: u8 = 4;

/// The kind of a run: whether it claims its secrets, and its number of copies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Kind {
    pub(super) claims: bool,
    pub(super) copies: u8,
}

/// The result of the real `next`: the row to write and the action to take.
pub(super) type StepResult = (Option<Row>, Option<Action>);

/// Calls the real `next`, with a cache.
pub(super) fn step(kind: Kind, row: Row, event_kind: ModelEvent, now: u8) -> StepResult {
    type Key = (Kind, Row, ModelEvent, u8);
    thread_local! { static KNOWN: RefCell<HashMap<Key, StepResult>> = RefCell::default(); }
    let key = (kind, row, event_kind, now);
    if let Some(result) = KNOWN.with_borrow(|known| known.get(&key).copied()) {
        return result;
    }
    let run = run_of(kind, row);
    let now = match event_kind {
        ModelEvent::UnreachableForLong => at(u8::MAX) + FOR_LONG,
        _ => at(now),
    };
    let step = next(&run, event(kind, row, event_kind), now, &limits());
    let result = (step.lifecycle.map(|lifecycle| row_of(&lifecycle)), step.action);
    KNOWN.with_borrow_mut(|known| known.insert(key, result));
    result
}

/// The initial row of a launch.
pub(super) fn launched_row(now: u8) -> Row {
    Row {
        state: State::Provisioning,
        due: Some(now + PROVISIONING),
        lease: now + PROVISIONING,
        token: 1,
        claimed: false,
        job: false,
        result: None,
    }
}

fn limits() -> Limits {
    let minutes = |minutes: u8| SignedDuration::from_mins(i64::from(minutes));
    Limits {
        provisioning: minutes(PROVISIONING),
        pending: minutes(PENDING),
        lease: minutes(LEASE),
        longest_run: minutes(LONGEST),
        head_job_grace: minutes(GRACE),
    }
}

/// Attempts to use an environment end 30 days after the latest end of a run.
const FOR_LONG: SignedDuration = SignedDuration::from_hours(30 * 24);

fn at(minute: u8) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(i64::from(minute))
}

fn minute(at: Timestamp) -> u8 {
    u8::try_from(at.as_second() / 60).expect("the clock is short")
}

struct Bytes(u8);
impl Randomness for Bytes {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

fn token(number: u8) -> TokenHash {
    thread_local! { static HASHES: RefCell<HashMap<u8, TokenHash>> = RefCell::default(); }
    HASHES.with_borrow_mut(|hashes| {
        hashes.entry(number).or_insert_with(|| TokenKey::make_random(&Bytes(number)).hash()).clone()
    })
}

fn copies(kind: Kind) -> Vec<RunCopy> {
    let copy = |index| RunCopy {
        name: format!("tower-ab12ABCDEFGHIJ.{index}"),
        arn: None,
        holds: Vec::new(),
        store: false,
    };
    (0..kind.copies).map(copy).collect()
}

fn run_of(kind: Kind, row: Row) -> Run {
    let outcome = row.result.map(|result| Outcome {
        result: match result {
            Result::Succeeded => RunResult::Succeeded,
            Result::Failed => RunResult::Failed,
            Result::LaunchFailed => RunResult::LaunchFailed,
            Result::Lost => RunResult::Lost,
        },
        exit_status: None,
        reported_by: ReportedBy::Report,
        cancelled_by: None,
    });
    Run {
        id: RunId::new("ab12ABCDEFGHIJ").expect("an id"),
        workspace: None,
        user: UserId::new(1).expect("an id"),
        launched_with: None,
        platform: if kind.claims { Platform::Slurm } else { Platform::AwsBatch },
        layout: Layout::Bundle,
        created: at(0),
        not_after: at(LONGEST),
        // The only target that `Unreachable` concerns.
        target: domain::environment::Target::Elsewhere(crate::world::environment()),
        lifecycle: Lifecycle {
            revision: 1,
            state: row.state,
            due: row.due.map(at),
            lease_until: at(row.lease),
            secrets: Vec::new(),
            copies: copies(kind),
            run_token: token(row.token),
            claim_token: kind.claims.then(|| token(row.token)),
            claimed: row.claimed.then(|| at(0)),
            delivered: None,
            head_job: row.job.then(job),
            outcome,
            ending: None,
            removed: None,
        },
    }
}

fn row_of(lifecycle: &Lifecycle) -> Row {
    Row {
        state: lifecycle.state,
        due: lifecycle.due.map(minute),
        lease: minute(lifecycle.lease_until),
        token: if lifecycle.run_token == token(1) { 1 } else { 2 },
        claimed: lifecycle.claimed.is_some(),
        job: lifecycle.head_job.is_some(),
        result: lifecycle.outcome.as_ref().map(|outcome| match outcome.result {
            RunResult::Succeeded => Result::Succeeded,
            // The model does not need the difference.
            RunResult::Failed | RunResult::Cancelled => Result::Failed,
            RunResult::LaunchFailed => Result::LaunchFailed,
            RunResult::Lost => Result::Lost,
        }),
    }
}

fn job() -> HeadJob {
    HeadJob { job_id: "j".into(), queue: "q".into(), region: "r".into(), account: None }
}

fn event(kind: Kind, row: Row, event_kind: ModelEvent) -> Event {
    match event_kind {
        ModelEvent::Provisioned => Event::Provisioned(copies(kind)),
        ModelEvent::Repinned => Event::Repinned(Vec::new()),
        ModelEvent::TokensRenewed => {
            let renewed = token(if row.token == 1 { 2 } else { 1 });
            Event::TokensRenewed { claim_token: kind.claims.then(|| renewed.clone()), run_token: renewed }
        }
        ModelEvent::LaunchFailed => Event::LaunchFailed,
        ModelEvent::ClaimRefused => Event::ClaimRefused,
        ModelEvent::Claimed => Event::Claimed(Vec::new()),
        ModelEvent::Heartbeat => Event::Heartbeat,
        ModelEvent::HeadJobRecorded => Event::HeadJobRecorded(job()),
        ModelEvent::Reported => {
            let reported_by = ReportedBy::Report;
            Event::Reported(Outcome {
                result: RunResult::Failed,
                exit_status: None,
                reported_by,
                cancelled_by: None,
            })
        }
        ModelEvent::Cancelled => {
            let by = UserId::new(1).expect("an id");
            Event::Cancelled { by, head_job: None, forced: false }
        }
        ModelEvent::JobRunning => Event::HeadJobObserved(JobStatus::NotFinal),
        ModelEvent::JobFinal => {
            Event::HeadJobObserved(JobStatus::Final { succeeded: true, exit_status: None })
        }
        ModelEvent::JobUnknown => Event::HeadJobObserved(JobStatus::Unknown),
        ModelEvent::Inspected => Event::Inspected,
        ModelEvent::CopiesDeleted => Event::CopiesDeleted,
        ModelEvent::Restored => Event::Restored,
        ModelEvent::Unreachable | ModelEvent::UnreachableForLong => Event::Unreachable,
    }
}
