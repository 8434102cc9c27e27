//! Test fixtures of the use cases: every port in memory, with planned failures, and the secrets,
//! runs and users of the test cases.
//!
//! [`Table`] stores what it receives and checks only revisions. The conditions of writes are tested
//! in the store's crate ([ADR 1](../../../docs/adr/0001-tests-use-the-one-real-store.md)).

mod environments;
mod log;
mod people;
mod table;
mod target;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

pub(crate) use self::environments::Roles;
pub(crate) use self::log::{logged, logged_json};
pub(crate) use self::people::*;
pub(crate) use self::table::{Rows, Table};
pub(crate) use self::target::{Bus, Environments, Jobs, Keys, Target};
use crate::context::Context as UseCaseContext;
use crate::copies::{Layout, RunCopy};
use crate::environment::{self, Environment, EnvironmentId, ExternalId, Region, RoleArn};
use crate::identity::Actor;
use crate::ids::{RunId, RunPrefix, SecretId, UserId, WorkspaceId};
use crate::name::SecretName;
use crate::owner::SecretOwner;
use crate::platform::Platform;
use crate::ports::{self, Randomness};
use crate::run::{Lifecycle, PinnedSecret, Run, State};
use crate::secret::{SealedValue, Secret};
use crate::settings::Settings;
use crate::token::TokenKey;
use crate::use_cases::create_secrets::SecretService;
use crate::value::{SecretValue, ValueProperties};
use crate::{Error, Result};

/// The current time in every test.
pub(crate) const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

/// The time a number of minutes after [`NOW`], or before it.
pub(crate) fn minutes(minutes: i64) -> Timestamp {
    NOW + SignedDuration::from_mins(minutes)
}

pub(crate) struct Fixture {
    pub(crate) table: Rc<Table>,
    pub(crate) keys: Rc<Keys>,
    pub(crate) target: Rc<Target>,
    pub(crate) jobs: Rc<Jobs>,
    pub(crate) environments: Rc<Environments>,
    pub(crate) bus: Rc<Bus>,
    pub(crate) randomness: Sequence,
    pub(crate) backoff: Backoff,
    pub(crate) settings: Settings,
    pub(crate) prefix: RunPrefix,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self {
            table: Rc::default(),
            keys: Rc::default(),
            target: Rc::default(),
            jobs: Rc::default(),
            environments: Rc::default(),
            bus: Rc::default(),
            randomness: Sequence::default(),
            backoff: Backoff::of(3),
            settings: Settings::new("test"),
            prefix: RunPrefix::new("ab12").unwrap(),
        }
    }

    pub(crate) fn context(&self) -> UseCaseContext<'_> {
        self.context_at(NOW)
    }

    pub(crate) fn context_at(&self, now: Timestamp) -> UseCaseContext<'_> {
        UseCaseContext { now, randomness: &self.randomness, backoff: &self.backoff, settings: &self.settings }
    }

    /// Seals a value for this version of the secret.
    pub(crate) fn seal(&self, secret: &Secret, text: &str) -> SealedValue {
        let service = SecretService { store: self.table.clone(), keys: self.keys.clone() };
        run_now(service.seal(secret, &value(text), &self.context())).unwrap()
    }

    pub(crate) fn put_secret(&self, secret: &Secret, text: &str) {
        self.table.put_secret(secret.clone(), self.seal(secret, text));
    }
}

/// Planned failures of the next calls of each operation.
#[derive(Default)]
pub(crate) struct Faults(RefCell<BTreeMap<&'static str, Vec<Option<Fault>>>>, RefCell<Vec<&'static str>>);

struct Fault {
    error: Error,
    after_effect: bool,
}

impl Faults {
    /// Makes the next call of `operation` fail without an effect.
    pub(crate) fn fail(&self, operation: &'static str, error: Error) {
        self.plan(operation, Some(Fault { error, after_effect: false }));
    }

    /// Makes the next call of `operation` take effect and return this error.
    pub(crate) fn lose_answer(&self, operation: &'static str, error: Error) {
        self.plan(operation, Some(Fault { error, after_effect: true }));
    }

    /// Lets the next call of `operation` succeed. Failures planned afterwards apply to later calls.
    pub(crate) fn pass(&self, operation: &'static str) {
        self.plan(operation, None);
    }

    pub(crate) fn calls(&self) -> Vec<&'static str> {
        self.1.borrow().clone()
    }

    pub(crate) fn count(&self, operation: &str) -> usize {
        self.1.borrow().iter().filter(|called| **called == operation).count()
    }

    fn plan(&self, operation: &'static str, fault: Option<Fault>) {
        self.0.borrow_mut().entry(operation).or_default().push(fault);
    }

    /// Runs an operation, or returns its planned failure.
    fn call<T>(&self, operation: &'static str, effect: impl FnOnce() -> Result<T>) -> Result<T> {
        self.1.borrow_mut().push(operation);
        let fault =
            self.0.borrow_mut().get_mut(operation).filter(|faults| !faults.is_empty()).map(|f| f.remove(0));
        match fault.flatten() {
            None => effect(),
            Some(Fault { error, after_effect: false }) => Err(error),
            Some(Fault { error, after_effect: true }) => effect().and(Err(error)),
        }
    }
}

/// Repeats one byte.
pub(crate) struct Repeating(pub(crate) u8);

impl Randomness for Repeating {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

/// Pseudorandom bytes that do not repeat.
#[derive(Default)]
pub(crate) struct Sequence(Cell<u64>);

impl Randomness for Sequence {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0.set(self.0.get() + 1);
            // Spread over all bytes, so that ids and tokens differ in every character.
            let number = self.0.get().wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
    }
}

/// A backoff with time for a number of retries.
pub(crate) struct Backoff {
    left: Cell<u32>,
    attempts: RefCell<Vec<u32>>,
    remaining: Cell<Duration>,
    passing: Cell<Duration>,
    pauses: RefCell<Vec<Duration>>,
}

impl Backoff {
    pub(crate) fn of(repeats: u32) -> Self {
        Self {
            left: Cell::new(repeats),
            attempts: RefCell::default(),
            remaining: Cell::new(Duration::from_secs(29)),
            passing: Cell::default(),
            pauses: RefCell::default(),
        }
    }

    /// Lets time pass until this much is left.
    pub(crate) fn set_remaining(&self, remaining: Duration) {
        self.remaining.set(remaining);
    }

    /// The pauses so far.
    pub(crate) fn pauses(&self) -> Vec<Duration> {
        self.pauses.borrow().clone()
    }

    /// Lets this much time pass each time that the remaining time is read.
    pub(crate) fn pass_on_read(&self, passing: Duration) {
        self.passing.set(passing);
    }

    /// The numbers of the retries so far.
    pub(crate) fn attempts(&self) -> Vec<u32> {
        self.attempts.borrow().clone()
    }
}

#[async_trait(?Send)]
impl ports::Backoff for Backoff {
    async fn wait(&self, retry: u32) -> bool {
        let left = self.left.get();
        if left == 0 {
            return false;
        }
        self.left.set(left - 1);
        self.attempts.borrow_mut().push(retry);
        true
    }

    fn remaining(&self) -> Duration {
        let remaining = self.remaining.get();
        self.remaining.set(remaining.saturating_sub(self.passing.get()));
        remaining
    }

    async fn pause(&self, time: Duration) {
        self.pauses.borrow_mut().push(time);
    }
}

/// Runs a future that only calls ports in memory, which never wait.
pub(crate) fn run_now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..1_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
    panic!("a port in memory waits for something");
}

/// Returns the error of a failed call, for types without `Debug`.
pub(crate) fn error_of<T>(outcome: Result<T>) -> Error {
    match outcome {
        Ok(_) => panic!("it succeeded and had to fail"),
        Err(error) => error,
    }
}

pub(crate) fn unavailable() -> Error {
    Error::unavailable("test", "planned by a test")
}

/// An environment of the workspace in another account.
pub(crate) fn environment() -> Environment {
    Environment {
        id: EnvironmentId::parse("0123456789abcdefghijkl").unwrap(),
        region: Region::parse("ap-southeast-2").unwrap(),
        role: RoleArn::parse("arn:aws:iam::210987654321:role/pipeline-secrets-team").unwrap(),
        external_id: ExternalId::parse("0123456789abcdefghijklmnopqrstuv").unwrap(),
        copy_key: None,
    }
}

/// The same run in [`environment`].
pub(crate) fn elsewhere(run: Run) -> Run {
    Run { target: environment::Target::Elsewhere(environment()), ..run }
}

pub(crate) fn environment_refused() -> Error {
    Error::EnvironmentRefused { account: "210987654321".into(), cause: "planned by a test" }
}

pub(crate) fn workspace_id() -> WorkspaceId {
    WorkspaceId::new(42).unwrap()
}

pub(crate) fn user_id(number: i64) -> UserId {
    UserId::new(number).unwrap()
}

/// The user who launches runs and stores secrets in most tests.
pub(crate) fn actor() -> Actor {
    Actor::without_token(user_id(7))
}

pub(crate) fn of_workspace() -> SecretOwner {
    SecretOwner::Workspace(workspace_id())
}

pub(crate) fn of_user() -> SecretOwner {
    SecretOwner::User(actor().user)
}

pub(crate) fn name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

pub(crate) fn value(text: &str) -> SecretValue {
    SecretValue::new(text.to_owned().into()).unwrap()
}

/// Secrets by name.
pub(crate) fn values(list: &[(&str, &str)]) -> BTreeMap<SecretName, SecretValue> {
    list.iter().map(|(text, content)| (name(text), value(content))).collect()
}

/// A secret at version 3 with a small value that every platform can carry.
pub(crate) fn secret(owner: SecretOwner, id: i64, text: &str) -> Secret {
    Secret {
        id: SecretId::new(id).unwrap(),
        owner,
        name: name(text),
        version: 3,
        created: minutes(-100),
        created_by: user_id(8),
        updated: minutes(-50),
        updated_by: user_id(9),
        last_used: None,
        expires: None,
        description: None,
        properties: ValueProperties { raw_bytes: 256, json_bytes: 256, nextflow_store: true, lost: false },
    }
}

pub(crate) fn pin_of(secret: &Secret) -> PinnedSecret {
    PinnedSecret {
        name: secret.name.clone(),
        owner: secret.owner,
        id: secret.id,
        version: secret.version,
        overrides: None,
    }
}

/// The key of [`run`]'s run token.
pub(crate) fn run_key() -> TokenKey {
    TokenKey::make_random(&Sequence(Cell::new(1_000)))
}

/// The key of [`run`]'s claim token.
pub(crate) fn claim_key() -> TokenKey {
    TokenKey::make_claim(&Sequence(Cell::new(2_000)))
}

/// A run of the workspace in this state, with one pinned secret. It has one copy on AWS Batch, and
/// an unused claim token on HPC platforms.
pub(crate) fn run(platform: Platform, state: State) -> Run {
    let id = RunId::new("ab12ABCDEFGHIJ").unwrap();
    let secret = secret(of_workspace(), 1, "LICENCE");
    let copies = match platform.claims() {
        true => Vec::new(),
        false => vec![RunCopy {
            name: format!("tower-{id}"),
            arn: (state != State::Provisioning).then(|| "arn:copy".into()),
            holds: vec![secret.name.clone()],
            store: false,
        }],
    };
    let (due, lease_until) = match state {
        State::Provisioning => (Some(minutes(2)), minutes(2)),
        State::Pending => (Some(minutes(24 * 60)), minutes(24 * 60)),
        State::Running => (Some(minutes(20)), minutes(20)),
        State::Ending => (Some(NOW), minutes(20)),
        State::Ended => (None, minutes(20)),
    };
    Run {
        id,
        workspace: Some(workspace_id()),
        user: actor().user,
        launched_with: None,
        platform,
        layout: Layout::Bundle,
        created: minutes(-10),
        not_after: minutes(30 * 24 * 60),
        target: crate::environment::Target::Home,
        lifecycle: Lifecycle {
            revision: 5,
            state,
            due,
            lease_until,
            secrets: vec![pin_of(&secret)],
            copies,
            run_token: run_key().hash(),
            claim_token: platform.claims().then(|| claim_key().hash()),
            claimed: None,
            delivered: (!platform.claims() && state != State::Provisioning).then_some(minutes(-9)),
            head_job: None,
            outcome: None,
            ending: None,
            removed: None,
        },
    }
}
