//! The shared test fixture: a table with a workspace, its members and a user, and items to store in
//! it.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::audit::{AuditAction, AuditRecord, Subject};
use domain::copies::{Layout, RunCopy};
use domain::environment::{
    CredentialsId, Environment, EnvironmentId, ExternalId, Region, RoleArn, StoredCredentials,
    StoredEnvironment, Target,
};
use domain::idempotency::Idempotency;
use domain::identity::{Actor, User, Workspace};
use domain::ids::{OrgId, RunId, SecretId, UserId, WorkspaceId};
use domain::name::SecretName;
use domain::owner::{Scope, SecretOwner};
use domain::platform::Platform;
use domain::ports::{Created, LaunchRuns, Randomness};
use domain::role::{Permission, Role};
use domain::run::{Lifecycle, PinnedSecret, Run, State};
use domain::secret::{Description, OldVersion, SealedValue, Secret};
use domain::settings::Settings;
use domain::token::TokenKey;
use domain::use_cases::authorize;
use domain::value::ValueProperties;
use domain::{Result, Timestamp};
use jiff::SignedDuration;
use support::{Call, Table};

use crate::Store;
use crate::keys::Key;
use crate::rows::{Attributes, Row, fields, s};

pub(crate) struct TestStore {
    pub(crate) table: Table,
    pub(crate) store: Store,
}

pub(crate) const OWNER: i64 = 1;
pub(crate) const VIEWER: i64 = 2;

pub(crate) fn workspace() -> WorkspaceId {
    WorkspaceId::new(42).unwrap()
}

pub(crate) fn user(number: i64) -> UserId {
    UserId::new(number).unwrap()
}

pub(crate) fn now() -> Timestamp {
    "2026-11-23T10:20:30.123456789Z".parse().unwrap()
}

pub(crate) fn later(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

impl TestStore {
    /// Workspace 42 with its owner, user 1, and a viewer, user 2.
    pub(crate) async fn start() -> Self {
        let table = Table::start().await;
        let store = Store::new(table.client.clone(), table.name.clone());
        let test = Self { table, store };
        let key = Key::meta(SecretOwner::Workspace(workspace()));
        test.seed(key.row(fields(&a_workspace()).unwrap())).await;
        test.seed(Key::meta(SecretOwner::User(user(OWNER))).attributes()).await;
        test.join(OWNER, Role::Owner).await;
        test.join(VIEWER, Role::View).await;
        test
    }

    pub(crate) async fn seed(&self, row: Attributes) {
        let request = self.table.quiet().put_item().table_name(&self.table.name).set_item(Some(row));
        request.send().await.unwrap();
    }

    /// Sets one attribute of a row without going through the store.
    pub(crate) async fn set(&self, key: Key, attribute: &str, value: AttributeValue) {
        let request = self.table.quiet().update_item().table_name(&self.table.name);
        request
            .set_key(Some(key.attributes()))
            .update_expression("SET #a = :v")
            .expression_attribute_names("#a", attribute)
            .expression_attribute_values(":v", value)
            .send()
            .await
            .unwrap();
    }

    pub(crate) async fn remove(&self, key: Key) {
        let request = self.table.quiet().delete_item().table_name(&self.table.name);
        request.set_key(Some(key.attributes())).send().await.unwrap();
    }

    pub(crate) async fn join(&self, number: i64, role: Role) {
        self.seed(Key::member(workspace(), user(number)).with([("role", s(role.as_str()))])).await;
    }

    pub(crate) async fn scope(&self, permission: Permission) -> Scope {
        self.scope_of(OWNER, Some(workspace()), permission).await.unwrap()
    }

    pub(crate) async fn user_scope(&self, permission: Permission) -> Scope {
        self.scope_of(OWNER, None, permission).await.unwrap()
    }

    /// Authorizes this user.
    pub(crate) async fn scope_of(
        &self,
        number: i64,
        workspace: Option<WorkspaceId>,
        permission: Permission,
    ) -> Result<Scope> {
        let quiet = Store::new(self.table.quiet().clone(), self.table.name.clone());
        let actor = Actor::without_token(user(number));
        authorize(&quiet, &Settings::new("test"), &actor, workspace, permission).await
    }

    /// Begins a run with the permission of its scope.
    pub(crate) async fn begin_run(
        &self,
        run: &Run,
        idempotency: Option<&Idempotency>,
        replaces: Option<&RunId>,
        audit: &AuditRecord,
    ) -> Result<Created> {
        let scope = self.scope_of(OWNER, run.workspace, Permission::Launch).await.unwrap();
        self.store.begin_run(&scope, run, idempotency, replaces, audit).await
    }

    pub(crate) async fn row(&self, key: Key) -> Option<Row> {
        self.table.row(&key.pk, &key.sk).await.map(Row)
    }

    pub(crate) async fn count(&self, owner: SecretOwner) -> Option<i64> {
        self.row(Key::count(owner)).await?.some_field("secretCount").unwrap()
    }

    /// The number of audit records.
    pub(crate) async fn audits(&self) -> usize {
        self.keys_beginning("AUDIT#").await
    }

    /// The number of rows whose partition key or sort key has this prefix.
    pub(crate) async fn keys_beginning(&self, prefix: &str) -> usize {
        let rows = self.table.rows().await;
        let begins = |row: &Attributes, name| row[name].as_s().unwrap().starts_with(prefix);
        rows.iter().filter(|row| begins(row, "pk") || begins(row, "sk")).count()
    }

    /// The operations called since the start or the last
    /// [`Faults::forget`](support::Faults::forget).
    pub(crate) fn operations(&self) -> Vec<String> {
        self.table.faults.operations()
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.table.faults.calls()
    }
}

pub(crate) fn a_user(number: i64, name: &str) -> User {
    User {
        id: user(number),
        user_name: name.into(),
        email: format!("{name}@example.org"),
        created: now(),
        disabled: None,
        grants: 0,
        removed: None,
    }
}

pub(crate) fn a_workspace() -> Workspace {
    Workspace {
        id: workspace(),
        org: OrgId::new(5).unwrap(),
        org_name: "acme".into(),
        name: "lab".into(),
        full_name: "The lab".into(),
        platforms: vec![Platform::AwsBatch, Platform::Slurm],
        created: now(),
        grants: 0,
        deleted: None,
    }
}

pub(crate) fn name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

pub(crate) fn secret_id(number: i64) -> SecretId {
    SecretId::new(number).unwrap()
}

pub(crate) fn a_secret(scope: &Scope, number: i64, text: &str) -> (Secret, SealedValue) {
    let secret = Secret {
        id: secret_id(number),
        owner: scope.owner(),
        name: name(text),
        version: 1,
        created: now(),
        created_by: scope.actor(),
        updated: now(),
        updated_by: scope.actor(),
        last_used: None,
        expires: Some(later(3_600)),
        description: Some(Description::new("licence of the lab").unwrap()),
        properties: ValueProperties { raw_bytes: 256, json_bytes: 512, nextflow_store: true, lost: false },
    };
    let sealed = sealed_value(&secret, 300);
    (secret, sealed)
}

pub(crate) fn sealed_value(secret: &Secret, bytes: usize) -> SealedValue {
    let fill = u8::try_from(secret.version).unwrap();
    SealedValue {
        owner: secret.owner,
        secret: secret.id,
        version: secret.version,
        envelope: vec![fill; bytes],
    }
}

/// The next version, and the version that it replaces.
pub(crate) fn next_version(old: &Secret) -> (Secret, SealedValue, OldVersion) {
    let replaced = OldVersion {
        version: old.version,
        written: old.updated,
        written_by: old.updated_by,
        replaced: later(60),
    };
    let secret = Secret { version: old.version + 1, updated: later(60), ..old.clone() };
    let sealed = sealed_value(&secret, 300);
    (secret, sealed, replaced)
}

/// A record with a unique id.
pub(crate) fn an_audit(owner: SecretOwner, action: AuditAction, secrets: &[&Secret]) -> AuditRecord {
    AuditRecord {
        scope: owner,
        at: now(),
        id: record_number().to_string(),
        actor: Some(user(OWNER)),
        action,
        subjects: secrets.iter().map(|secret| Subject::of(secret)).collect(),
        run: None,
        person: None,
        detail: None,
    }
}

fn record_number() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub(crate) fn idempotency(request: &str) -> Idempotency {
    Idempotency::new(user(OWNER), "0123456789abcdef", [request.as_bytes()]).unwrap()
}

pub(crate) fn run_id(text: &str) -> RunId {
    RunId::new(&format!("{text:0<14}")).unwrap()
}

pub(crate) struct Fixed;

impl Randomness for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

pub(crate) fn a_run(id: &str) -> Run {
    let id = run_id(id);
    let key = TokenKey::make_random(&Fixed);
    Run {
        workspace: Some(workspace()),
        user: user(OWNER),
        launched_with: None,
        platform: Platform::AwsBatch,
        layout: Layout::Bundle,
        created: now(),
        not_after: later(30 * 86_400),
        target: Target::Home,
        lifecycle: Lifecycle {
            revision: 1,
            state: State::Provisioning,
            due: Some(later(120)),
            lease_until: later(120),
            secrets: vec![PinnedSecret {
                name: name("NCBI_API_KEY"),
                owner: SecretOwner::User(user(OWNER)),
                id: secret_id(7),
                version: 3,
                overrides: Some(secret_id(8)),
            }],
            copies: vec![RunCopy {
                name: format!("tower-{id}"),
                arn: None,
                holds: vec![name("NCBI_API_KEY")],
                store: false,
            }],
            run_token: key.hash(),
            claim_token: None,
            claimed: None,
            delivered: None,
            head_job: None,
            outcome: None,
            ending: None,
            removed: None,
        },
        id,
    }
}

/// An environment with this id in another account.
pub(crate) fn an_environment(id: &str) -> Environment {
    Environment {
        id: EnvironmentId::parse(&format!("{id:0<22}")).unwrap(),
        region: Region::parse("eu-central-1").unwrap(),
        role: RoleArn::parse("arn:aws:iam::210987654321:role/pipeline-secrets-lab").unwrap(),
        external_id: ExternalId::parse(&format!("{id:x<32}")).unwrap(),
        copy_key: Some("alias/copies".into()),
    }
}

pub(crate) fn a_stored_environment(id: &str) -> StoredEnvironment {
    StoredEnvironment {
        environment: an_environment(id),
        workspace: workspace(),
        name: "Frankfurt".into(),
        description: Some("the cluster of the lab".into()),
        credentials: some_credentials(id).id,
        config: "{}".into(),
        proved: later(1),
        failure: None,
        created: now(),
        created_by: user(OWNER),
        updated: later(2),
    }
}

pub(crate) fn some_credentials(id: &str) -> StoredCredentials {
    StoredCredentials {
        id: CredentialsId::parse(&format!("{id:0<22}")).unwrap(),
        workspace: workspace(),
        name: "Lab".into(),
        description: None,
        role: an_environment(id).role,
        external_id: an_environment(id).external_id,
        created: now(),
        created_by: user(OWNER),
        updated: later(2),
    }
}

pub(crate) fn run_audit(run: &Run, action: AuditAction) -> AuditRecord {
    AuditRecord { run: Some(run.id.clone()), ..an_audit(run.scope(), action, &[]) }
}

/// The run with a changed lifecycle and the next revision.
pub(crate) fn advanced(run: &Run, change: impl FnOnce(&mut Lifecycle)) -> Run {
    let mut run = run.clone();
    run.lifecycle.revision += 1;
    change(&mut run.lifecycle);
    run
}
