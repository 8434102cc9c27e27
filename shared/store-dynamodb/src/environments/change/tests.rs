use domain::audit::AuditAction;
use domain::environment::RoleArn;
use domain::ports::ReadEnvironments;
use domain::role::Role;
use futures_util::future::join_all;
use support::Fault;

use super::*;
use crate::testing::{OWNER, TestStore, a_stored_environment, an_audit, later, some_credentials, workspace};

/// A table, and the scope of an owner.
struct Env {
    test: TestStore,
    scope: Scope,
}

impl Env {
    async fn start() -> Self {
        let test = TestStore::start().await;
        let scope = test.scope(Permission::AdministerWorkspace).await;
        test.table.faults.forget();
        Self { test, scope }
    }

    async fn change(&self, change: EnvironmentChange) -> Result<()> {
        let audit = an_audit(self.scope.owner(), AuditAction::ComputeEnvUpdated, &[]);
        self.test.store.change_environment(Some(&self.scope), &change, &audit).await
    }

    /// Creates credentials and an environment that uses them.
    async fn with_environment() -> (Self, StoredCredentials, StoredEnvironment) {
        let env = Self::start().await;
        let (credentials, environment) = (credentials_named("a", "Lab"), environment_named("a", "Frankfurt"));
        env.change(EnvironmentChange::CreateCredentials(credentials.clone())).await.unwrap();
        env.change(EnvironmentChange::CreateEnvironment(environment.clone())).await.unwrap();
        env.test.table.faults.forget();
        (env, credentials, environment)
    }

    async fn number(&self, key: Key, attribute: &'static str) -> i64 {
        self.test.row(key).await.unwrap().some_field(attribute).unwrap().unwrap_or(0)
    }

    /// The numbers of environments and credentials, and of the environments that use `credentials`.
    async fn counts(&self, credentials: &StoredCredentials) -> [i64; 3] {
        let count = || Key::environment_count(workspace());
        [
            self.number(count(), ENVIRONMENT_COUNT).await,
            self.number(count(), CREDENTIALS_COUNT).await,
            self.number(Key::credentials(workspace(), &credentials.id), USES).await,
        ]
    }
}

fn credentials_named(id: &str, name: &str) -> StoredCredentials {
    StoredCredentials { name: name.into(), ..some_credentials(id) }
}

fn environment_named(id: &str, name: &str) -> StoredEnvironment {
    StoredEnvironment { name: name.into(), ..a_stored_environment(id) }
}

fn updated(from: &StoredCredentials, change: impl FnOnce(&mut StoredCredentials)) -> EnvironmentChange {
    let mut to = StoredCredentials { updated: later(60), ..from.clone() };
    change(&mut to);
    EnvironmentChange::UpdateCredentials { from: from.clone(), to }
}

fn deletion(environment: &StoredEnvironment) -> EnvironmentChange {
    EnvironmentChange::DeleteEnvironment { environment: environment.clone(), listed_until: later(86_400) }
}

#[tokio::test]
async fn an_environment_is_created_and_deleted_in_one_call_each_and_stays_listed() {
    let (env, credentials, environment) = Env::with_environment().await;
    let id = &environment.environment.id;
    assert_eq!(env.test.store.environment(workspace(), id).await.unwrap(), Some(environment.clone()));
    assert_eq!(env.counts(&credentials).await, [1, 1, 1]);
    let listed = env.test.row(Key::listed_environment(id)).await.unwrap();
    assert_eq!(listed.some_field::<i64>("ttl").unwrap(), None);
    env.test.table.faults.forget();
    env.change(deletion(&environment)).await.unwrap();
    assert_eq!(env.test.operations(), ["TransactWriteItems"]);
    assert_eq!(env.test.store.environment(workspace(), id).await.unwrap(), None);
    assert_eq!(env.counts(&credentials).await, [0, 1, 0]);
    let listed = env.test.row(Key::listed_environment(id)).await.unwrap();
    assert_eq!(listed.field::<i64>("ttl").unwrap(), later(86_400).as_second());
    assert_eq!(listed.field::<String>("role").unwrap(), environment.environment.role.to_string());
    let again = env.change(deletion(&environment)).await.unwrap_err();
    assert!(matches!(again, Error::Contended), "{again}");
    env.change(EnvironmentChange::CreateEnvironment(environment)).await.unwrap_err();
    let renamed = environment_named("b", "frankfurt");
    let renamed = StoredEnvironment { credentials: credentials.id.clone(), ..renamed };
    let role = credentials.role.clone();
    let renamed = StoredEnvironment {
        environment: domain::environment::Environment {
            role,
            external_id: credentials.external_id.clone(),
            ..renamed.environment
        },
        ..renamed
    };
    env.change(EnvironmentChange::CreateEnvironment(renamed)).await.unwrap();
}

#[tokio::test]
async fn a_taken_name_is_a_conflict_that_says_so() {
    let (env, _, _) = Env::with_environment().await;
    for change in [
        EnvironmentChange::CreateCredentials(credentials_named("c", "LAB")),
        EnvironmentChange::CreateEnvironment(environment_named("c", "frankfurt")),
    ] {
        let error = env.change(change).await.unwrap_err();
        assert!(matches!(error, Error::Conflict(_)), "{error}");
        assert!(error.to_string().contains("already exists"), "{error}");
    }
    let other = credentials_named("d", "other");
    env.change(EnvironmentChange::CreateCredentials(other.clone())).await.unwrap();
    let error = env.change(updated(&other, |to| to.name = "lab".into())).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error}");
}

#[tokio::test]
async fn a_renamed_item_frees_its_name_and_a_change_of_case_keeps_it() {
    let (env, credentials, environment) = Env::with_environment().await;
    env.change(updated(&credentials, |to| to.name = "LAB".into())).await.unwrap();
    let current = env.test.store.credentials(workspace(), &credentials.id).await.unwrap().unwrap();
    assert_eq!(current.name, "LAB");
    env.change(updated(&current, |to| (to.name, to.updated) = ("two".into(), later(90)))).await.unwrap();
    env.change(EnvironmentChange::CreateCredentials(credentials_named("c", "lab"))).await.unwrap();
    let to = StoredEnvironment { name: "Paris".into(), updated: later(60), ..environment.clone() };
    env.change(EnvironmentChange::UpdateEnvironment { from: environment, to: to.clone() }).await.unwrap();
    assert_eq!(env.test.store.environment(workspace(), &to.environment.id).await.unwrap(), Some(to));
}

#[tokio::test]
async fn credentials_in_use_keep_their_role_and_cannot_be_deleted() {
    let (env, credentials, environment) = Env::with_environment().await;
    let role = RoleArn::parse("arn:aws:iam::210987654321:role/pipeline-secrets-other").unwrap();
    let moved = || updated(&credentials, |to| to.role = role.clone());
    for change in [moved(), EnvironmentChange::DeleteCredentials(credentials.clone())] {
        let error = env.change(change).await.unwrap_err();
        assert!(error.to_string().contains("environment uses"), "{error}");
    }
    env.change(updated(&credentials, |to| to.description = Some("described".into()))).await.unwrap();
    let described = env.test.store.credentials(workspace(), &credentials.id).await.unwrap().unwrap();
    env.change(deletion(&environment)).await.unwrap();
    let external_id = domain::environment::ExternalId::parse(&"z".repeat(32)).unwrap();
    let changed = updated(&described, |to| {
        (to.role, to.external_id, to.updated) = (role.clone(), external_id, later(90));
    });
    env.change(changed).await.unwrap();
    let current = env.test.store.credentials(workspace(), &credentials.id).await.unwrap().unwrap();
    assert_eq!((&current.role, &current.external_id), (&role, &credentials.external_id), "it never changes");
    env.change(EnvironmentChange::DeleteCredentials(current)).await.unwrap();
    assert_eq!(env.test.store.credentials(workspace(), &credentials.id).await.unwrap(), None);
    env.change(EnvironmentChange::CreateCredentials(credentials_named("e", "Lab"))).await.unwrap();
}

#[tokio::test]
async fn an_environment_needs_the_role_with_which_it_was_proved() {
    let (env, credentials, environment) = Env::with_environment().await;
    env.change(deletion(&environment)).await.unwrap();
    let role = RoleArn::parse("arn:aws:iam::210987654321:role/pipeline-secrets-other").unwrap();
    env.change(updated(&credentials, |to| to.role = role)).await.unwrap();
    let late = env.change(EnvironmentChange::CreateEnvironment(environment_named("b", "late")));
    let error = late.await.unwrap_err();
    assert!(matches!(error, Error::Contended), "the credentials changed after the proof: {error}");
    let mut unknown = environment_named("c", "unknown");
    unknown.credentials = some_credentials("zzz").id;
    let error = env.change(EnvironmentChange::CreateEnvironment(unknown)).await.unwrap_err();
    assert!(matches!(error, Error::Contended), "{error}");
}

#[tokio::test]
async fn other_credentials_are_counted_and_listed() {
    let (env, credentials, environment) = Env::with_environment().await;
    let other = credentials_named("b", "other");
    env.change(EnvironmentChange::CreateCredentials(other.clone())).await.unwrap();
    let mut to =
        StoredEnvironment { credentials: other.id.clone(), updated: later(60), ..environment.clone() };
    (to.environment.role, to.environment.external_id) = (other.role.clone(), other.external_id.clone());
    env.change(EnvironmentChange::UpdateEnvironment { from: environment, to: to.clone() }).await.unwrap();
    assert_eq!(env.counts(&credentials).await, [1, 2, 0]);
    assert_eq!(env.counts(&other).await, [1, 2, 1]);
    let listed = env.test.row(Key::listed_environment(&to.environment.id)).await.unwrap();
    assert_eq!(listed.field::<String>("externalId").unwrap(), other.external_id.to_string());
}

#[tokio::test]
async fn a_workspace_has_at_most_50_of_each() {
    let (env, credentials, _) = Env::with_environment().await;
    for (counter, change) in [
        (CREDENTIALS_COUNT, EnvironmentChange::CreateCredentials(credentials_named("c", "one-more"))),
        (ENVIRONMENT_COUNT, EnvironmentChange::CreateEnvironment(environment_named("c", "one-more"))),
    ] {
        env.test.set(Key::environment_count(workspace()), counter, n(50)).await;
        let mut change = change;
        if let EnvironmentChange::CreateEnvironment(new) = &mut change {
            new.credentials = credentials.id.clone();
            new.environment.external_id = credentials.external_id.clone();
        }
        let error = env.change(change.clone()).await.unwrap_err();
        assert!(matches!(error, Error::LimitExceeded { limit: 50, .. }), "{error}");
        env.test.set(Key::environment_count(workspace()), counter, n(49)).await;
        env.change(change).await.unwrap();
    }
}

#[tokio::test]
async fn a_lowered_role_or_another_scope_stops_every_change() {
    let (env, credentials, environment) = Env::with_environment().await;
    env.test.join(OWNER, Role::View).await;
    let changes = [
        EnvironmentChange::CreateCredentials(credentials_named("c", "new")),
        updated(&credentials, |to| to.name = "renamed".into()),
        EnvironmentChange::DeleteCredentials(credentials.clone()),
        EnvironmentChange::CreateEnvironment(environment_named("c", "new")),
        deletion(&environment),
    ];
    for change in &changes {
        let error = env.change(change.clone()).await.unwrap_err();
        assert!(matches!(error, Error::NotFound), "{error}");
    }
    env.test.join(OWNER, Role::Owner).await;
    let audit = an_audit(env.scope.owner(), AuditAction::ComputeEnvUpdated, &[]);
    let reads = env.test.scope(Permission::ReadWorkspace).await;
    let own = env.test.user_scope(Permission::AdministerWorkspace).await;
    for scope in [reads, own] {
        let outcome = env.test.store.change_environment(Some(&scope), &changes[4], &audit).await;
        assert!(matches!(outcome, Err(Error::Bug { .. })), "{outcome:?}");
    }
    assert_eq!(env.counts(&credentials).await, [1, 1, 1]);
}

#[tokio::test]
async fn of_parallel_creations_of_a_name_one_succeeds_and_a_lost_answer_has_one_effect() {
    let env = Env::start().await;
    let ids = ["a", "b", "c", "d", "e", "f"];
    let created = join_all(
        ids.map(|id| env.change(EnvironmentChange::CreateCredentials(credentials_named(id, "Lab")))),
    );
    let created = created.await;
    assert_eq!(created.iter().filter(|created| created.is_ok()).count(), 1);
    let refused = |error: &Error| matches!(error, Error::Conflict(_) | Error::Contended);
    assert!(created.iter().all(|created| created.as_ref().err().is_none_or(refused)));
    env.test.table.faults.fail_next(Fault::LostReply);
    let lost = credentials_named("g", "lost");
    env.change(EnvironmentChange::CreateCredentials(lost.clone())).await.unwrap();
    assert_eq!(env.counts(&lost).await, [0, 2, 0]);
    assert_eq!(env.test.audits().await, 2);
}

#[tokio::test]
async fn a_check_that_is_older_than_another_one_changes_nothing() {
    let (env, _, environment) = Env::with_environment().await;
    let checked = |failure: Option<&str>, seconds| StoredEnvironment {
        failure: failure.map(str::to_owned),
        proved: later(seconds),
        ..environment.clone()
    };
    let first = EnvironmentChange::UpdateEnvironment { from: environment.clone(), to: checked(None, 60) };
    env.change(first).await.unwrap();
    let late = checked(Some("refused"), 1);
    let second = EnvironmentChange::UpdateEnvironment { from: environment.clone(), to: late };
    assert!(matches!(env.change(second).await, Err(Error::Contended)));
    let stored = env.test.store.environment(workspace(), &environment.environment.id).await.unwrap().unwrap();
    assert_eq!((stored.failure, stored.proved), (None, later(60)));
}
